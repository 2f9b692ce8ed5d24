package callback

import (
	"errors"
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

// endpoint is one receiver. All but its breaker and the time of that is guarded
// by the mutex of endpoints.
type endpoint struct {
	breaker *gobreaker.TwoStepCircuitBreaker[struct{}]
	// tryAgain is when a broken one is tried again, in Unix nanoseconds.
	tryAgain atomic.Int64
	running  int
	used     time.Time
	full     queue
	broken   queue
}

// queue hands out times to come back at.
type queue struct {
	gap, spread time.Duration
	last        time.Time
}

func newEndpoints(o Options) *endpoints {
	return &endpoints{
		now: o.Now, random: o.Random, breakFor: o.BreakFor, swept: o.Now(),
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
		p.all.mu.Lock()
		defer p.all.mu.Unlock()
		p.own.running--
	})
}

// admit returns a pass, or nil and when to ask again.
func (s *endpoints) admit(scope verification.Scope, address string, now time.Time) (*pass, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(now)
	e := s.get(endpointName{scope, originOf(address)})
	e.used = now
	if e.running >= atOnce {
		return nil, e.full.next(now.Add(soonest), s.random())
	}
	tell, err := e.breaker.Allow()
	if err != nil {
		from := now.Add(soonest)
		if again := time.Unix(0, e.tryAgain.Load()); errors.Is(err, gobreaker.ErrOpenState) && again.After(from) {
			from = again
		}
		return nil, e.broken.next(from, s.random())
	}
	e.running++
	return &pass{all: s, own: e, tell: tell}, time.Time{}
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
	e := &endpoint{full: queue{gap: fullGap, spread: fullSpread}, broken: queue{gap: brokenGap, spread: brokenSpread}}
	rest := scale(s.breakFor, s.random())
	e.breaker = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Timeout:     rest,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= breakAfter },
		IsExcluded:  func(err error) bool { return errors.Is(err, errNoVerdict) },
		OnStateChange: func(_ string, _, to gobreaker.State) {
			if to == gobreaker.StateOpen {
				e.tryAgain.Store(s.now().Add(rest).UnixNano())
			}
		},
	})
	s.byName[name] = e
	return e
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
		if e.running == 0 && (idle || crowded && e.breaker.State() == gobreaker.StateClosed) {
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
