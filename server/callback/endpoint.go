package callback

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
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
	// fullSpread and brokenSpread bound how far ahead that goes.
	fullSpread, brokenSpread = 2 * time.Minute, 10 * time.Minute

	// idleFor is how long an endpoint that nobody asks for is remembered.
	idleFor = 15 * time.Minute
	// sweepEvery is how often those are looked for.
	sweepEvery = time.Minute
	// endpointsKept is from how many on those that work are forgotten early.
	endpointsKept = 10_000
)

// endpoints are the receivers as this node knows them.
type endpoints struct {
	now      func() time.Time
	random   func() float64
	breakFor time.Duration
	// patience is how long a job waits for its turn.
	patience time.Duration
	log      *slog.Logger

	mu     sync.Mutex
	byName map[endpointName]*endpoint
	swept  time.Time
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
		byName: make(map[endpointName]*endpoint),
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
	e, entered := s.enter(endpointName{scope, originOf(address)}, now)
	if !entered {
		return nil, s.later(&e.full, now.Add(soonest))
	}
	if !e.takeTurn(ctx, s.patience) {
		s.leave(e)
		return nil, s.later(&e.full, now.Add(soonest))
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

// enter returns the endpoint, and whether there is room for one more job.
func (s *endpoints) enter(name endpointName, now time.Time) (*endpoint, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(now)
	e := s.get(name)
	e.used = now
	if e.inside >= atOnce+waitingAtMost {
		return e, false
	}
	e.inside++
	return e, true
}

func (s *endpoints) leave(e *endpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.inside--
}

// takeTurn waits for a turn. A busy receiver that is quick gets one attempt after
// the other this way; one that is slow does not hold the jobs up for long.
func (e *endpoint) takeTurn(ctx context.Context, patience time.Duration) bool {
	select {
	case e.turns <- struct{}{}:
		return true
	default:
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case e.turns <- struct{}{}:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
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
	e := &endpoint{turns: make(chan struct{}, atOnce), full: queue{gap: fullGap, spread: fullSpread}, broken: queue{gap: brokenGap, spread: brokenSpread}}
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

// sweep forgets endpoints that nobody asks for, now and then, and those that
// work when there are too many.
func (s *endpoints) sweep(now time.Time) {
	crowded := len(s.byName) >= endpointsKept
	if !crowded && now.Sub(s.swept) < sweepEvery {
		return
	}
	s.swept = now
	for name, e := range s.byName {
		idle := now.Sub(e.used) >= idleFor
		if e.inside == 0 && (idle || crowded && e.breaker.State() == gobreaker.StateClosed) {
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
