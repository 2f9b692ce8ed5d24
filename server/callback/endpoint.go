package callback

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/verigate/verigate/server/verification"
)

const (
	// atOnce is how many attempts at one endpoint may run on a node: what is slow
	// leaves the other jobs to others.
	atOnce = 4
	// waitingAtMost is how many jobs may wait for their turn at an endpoint.
	waitingAtMost = 12
	// breakAfter is how many attempts in a row fail before it is left alone.
	breakAfter = 5

	// What is refused comes back one by one, this far apart: one that is down for
	// long may have many callbacks, which must not ask all the time, and one that
	// is only busy is to stay so.
	fullGap, brokenGap = 10 * time.Millisecond, 100 * time.Millisecond
	// soonest is when the first one comes back, unless its time is known.
	soonest = time.Second
	// fullSpread and brokenSpread bound how far ahead that goes: the more are put
	// off, the later they come.
	fullSpread, brokenSpread = 2 * time.Minute, time.Hour

	// tenantShare is which part of the node's jobs one tenant may take up, however
	// many endpoints it has.
	tenantShare = 4

	// idleFor is how long an endpoint that nobody asks for is remembered.
	idleFor = 15 * time.Minute
	// sweepEvery is how often those are looked for.
	sweepEvery = time.Minute
	// endpointsKept is how many are remembered. When there are more, those that
	// nobody asked for longest are forgotten, a tenth at least, every crowdedEvery.
	endpointsKept = 10_000
	crowdedEvery  = time.Second
)

// endpoints are the receivers as this node knows them.
type endpoints struct {
	now      func() time.Time
	random   func() float64
	breakFor time.Duration
	// patience is how long a job waits for its turn.
	patience time.Duration
	// perTenant is how many attempts of one tenant may run, and half of that how
	// many of its jobs may wait for a turn.
	perTenant int
	log       *slog.Logger

	mu      sync.Mutex
	byName  map[endpointName]*endpoint
	tenants map[verification.Scope]*tenant
	swept   time.Time
}

// tenant is what the endpoints of a scope have in common. The mutex of endpoints
// guards it.
type tenant struct {
	running, waiting int
	full             queue
}

// endpointName keeps tenants apart: one cannot break another's.
type endpointName struct {
	scope verification.Scope
	// origin is scheme, host and port.
	origin string
}

// endpoint is one receiver. The mutex of endpoints guards all but its breaker, the
// time of that, and the turns.
type endpoint struct {
	breaker *gobreaker.TwoStepCircuitBreaker[struct{}]
	// tryAgain is when a broken one is tried again, in Unix nanoseconds.
	tryAgain atomic.Int64
	// turns holds one token for each attempt that runs.
	turns chan struct{}
	// inside are the jobs that run or wait for their turn.
	inside int
	tenant *tenant
	used   time.Time
	full   queue
	broken queue
}

// queue hands out times to come back at.
type queue struct {
	gap, spread time.Duration
	last        time.Time
}

func newEndpoints(o Options) *endpoints {
	return &endpoints{
		now: o.Now, random: o.Random, breakFor: o.BreakFor, patience: o.Patience, log: o.Log, swept: o.Now(),
		perTenant: max(1, o.Hands/tenantShare),
		byName:    make(map[endpointName]*endpoint), tenants: make(map[verification.Scope]*tenant),
	}
}

// pass lets one attempt through.
type pass struct {
	all  *endpoints
	own  *endpoint
	tell func(error)
	once sync.Once
}

// done gives the pass back with what was learned of the receiver. Only the first
// call counts.
func (p *pass) done(verdict error) {
	p.once.Do(func() {
		p.tell(verdict)
		<-p.own.turns
		p.all.leave(p.own)
	})
}

// admit returns a pass, or nil and when to ask again.
func (s *endpoints) admit(ctx context.Context, scope verification.Scope, address string, now time.Time) (*pass, time.Time) {
	e := s.find(endpointName{scope, originOf(address)}, now)
	if full := s.takeTurn(ctx, e); full != nil {
		return nil, s.later(full, now.Add(soonest))
	}
	tell, err := e.breaker.Allow()
	if err != nil {
		<-e.turns
		s.leave(e)
		from := now.Add(soonest)
		if again := time.Unix(0, e.tryAgain.Load()); errors.Is(err, gobreaker.ErrOpenState) && again.After(from) {
			from = again
		}
		return nil, s.later(&e.broken, from)
	}
	return &pass{all: s, own: e, tell: tell}, time.Time{}
}

func (s *endpoints) find(name endpointName, now time.Time) *endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(now)
	e := s.get(name)
	e.used = now
	return e
}

// takeTurn takes a turn at an endpoint, or returns the queue to stand in. A busy
// receiver that is quick gets one attempt after the other this way; one that is
// slow does not hold the jobs up for long.
func (s *endpoints) takeTurn(ctx context.Context, e *endpoint) *queue {
	select {
	case e.turns <- struct{}{}:
		return s.run(e, 0)
	default:
	}
	if full := s.wait(e); full != nil {
		return full
	}
	timer := time.NewTimer(s.patience)
	defer timer.Stop()
	select {
	case e.turns <- struct{}{}:
		return s.run(e, 1)
	case <-timer.C:
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e.inside--
	e.tenant.waiting--
	return &e.full
}

// wait lets a job wait for its turn, or returns the queue to stand in.
func (s *endpoints) wait(e *endpoint) *queue {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case e.inside >= atOnce+waitingAtMost:
		return &e.full
	case e.tenant.waiting >= max(1, s.perTenant/2):
		return &e.tenant.full
	}
	e.inside++
	e.tenant.waiting++
	return nil
}

// run begins the attempt of a job that has its turn, or gives the turn back and
// returns the queue to stand in. waited is 1 for a job that waited for it.
func (s *endpoints) run(e *endpoint, waited int) *queue {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.inside -= waited
	e.tenant.waiting -= waited
	if e.tenant.running >= s.perTenant {
		<-e.turns
		return &e.tenant.full
	}
	e.inside++
	e.tenant.running++
	return nil
}

func (s *endpoints) leave(e *endpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.inside--
	e.tenant.running--
}

func (s *endpoints) later(q *queue, from time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return q.next(from, s.random())
}

// next returns a time from the given one on that nobody else got, as long as
// there are any.
func (q *queue) next(from time.Time, random float64) time.Time {
	q.last = q.last.Add(q.gap)
	if q.last.Before(from) || q.last.After(from.Add(q.spread)) {
		q.last = from
	}
	return q.last.Add(time.Duration(random * float64(q.gap)))
}

func (s *endpoints) get(name endpointName) *endpoint {
	if e, ok := s.byName[name]; ok {
		return e
	}
	e := &endpoint{
		turns: make(chan struct{}, atOnce), tenant: s.tenantOf(name.scope),
		full: queue{gap: fullGap, spread: fullSpread}, broken: queue{gap: brokenGap, spread: brokenSpread},
	}
	rest := scale(s.breakFor, s.random())
	e.breaker = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Timeout:     rest,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= breakAfter },
		IsExcluded:  func(err error) bool { return errors.Is(err, errNoVerdict) },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			if to == gobreaker.StateOpen {
				e.tryAgain.Store(s.now().Add(rest).UnixNano())
			}
			s.tell(name, from, to)
		},
	})
	s.byName[name] = e
	return e
}

// tenantOf returns the tenant of a scope. There are as many as the configuration
// names, and none is forgotten.
func (s *endpoints) tenantOf(scope verification.Scope) *tenant {
	t, ok := s.tenants[scope]
	if !ok {
		t = &tenant{full: queue{gap: fullGap, spread: fullSpread}}
		s.tenants[scope] = t
	}
	return t
}

// tell says once that a receiver is left alone, and once that it works again. Of
// its address only the origin is said.
func (s *endpoints) tell(name endpointName, from, to gobreaker.State) {
	log := s.log.With("project", name.scope.Project, "environment", name.scope.Environment, "receiver", name.origin)
	switch {
	case from == gobreaker.StateClosed && to == gobreaker.StateOpen:
		log.Warn("a receiver of callbacks keeps failing; it is left alone and tried now and then")
	case to == gobreaker.StateClosed:
		log.Info("a receiver of callbacks works again")
	}
}

// sweep forgets endpoints that nobody asks for, now and then, and when there are
// too many also those that were asked for longest ago, whatever is known of them.
func (s *endpoints) sweep(now time.Time) {
	every := sweepEvery
	if len(s.byName) >= endpointsKept {
		every = crowdedEvery
	}
	if now.Sub(s.swept) < every {
		return
	}
	s.swept = now
	maps.DeleteFunc(s.byName, func(_ endpointName, e *endpoint) bool {
		return e.inside == 0 && now.Sub(e.used) >= idleFor
	})
	if len(s.byName) >= endpointsKept {
		s.shrink()
	}
}

func (s *endpoints) shrink() {
	names := slices.SortedFunc(maps.Keys(s.byName), func(a, b endpointName) int {
		return s.byName[a].used.Compare(s.byName[b].used)
	})
	for _, name := range names {
		if len(s.byName) <= endpointsKept-endpointsKept/10 {
			return
		}
		if s.byName[name].inside == 0 {
			delete(s.byName, name)
		}
	}
}

// originOf returns scheme, host and port; the whole text if it is no URL, which
// fails when it is requested.
func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}
