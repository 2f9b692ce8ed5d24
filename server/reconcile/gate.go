package reconcile

import (
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/sony/gobreaker/v2"
	"golang.org/x/time/rate"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/verification"
)

const (
	// tripAfter is how many questions in a row without an answer shut the gate,
	// for openFor at least; then one is let through to see.
	tripAfter = 5
	openFor   = 30 * time.Second
	// probeWait is how long the others wait while that one is on its way.
	probeWait = 5 * time.Second
	// longestQueue is how far ahead turns are given; who would have to wait
	// longer asks for one later.
	longestQueue = time.Minute
	// manyTurns is when turns that nobody took are looked for: the job went on at
	// another node.
	manyTurns = 1024
)

// errNotAsked is how a question ends that was never put. It says nothing about
// the provider.
var errNotAsked = errors.New("the provider was not asked")

// gate lets a node's questions through to one connection: at its rate, and not
// while it does not answer. It is safe for concurrent use.
type gate struct {
	now    func() time.Time
	random func() float64

	mu      sync.Mutex
	limiter *rate.Limiter
	breaker *gobreaker.TwoStepCircuitBreaker[any]
	// shutUntil is until when nobody gets through: the circuit is open, or the
	// provider asked for a pause.
	shutUntil time.Time
	// turns are when those who were sent away may come back and get through.
	turns map[uuid.UUID]time.Time
	// failing tells that the last question got no answer.
	failing bool
	// toldUnfetchable and toldGone: it was logged.
	toldUnfetchable, toldGone bool
}

func newGate(connection string, d Deps) *gate {
	return &gate{
		now: d.Now, random: d.Random,
		limiter: rate.NewLimiter(d.Rate, d.Burst),
		breaker: gobreaker.NewTwoStepCircuitBreaker[any](gobreaker.Settings{
			Name: connection, MaxRequests: 1, Timeout: openFor,
			ReadyToTrip:  func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= tripAfter },
			IsSuccessful: isAnswer,
			IsExcluded:   isNotAsked,
		}),
		turns: map[uuid.UUID]time.Time{},
	}
}

func isNotAsked(err error) bool {
	return errors.Is(err, errNotAsked) || errors.Is(err, provider.ErrNotFetchable)
}

// isAnswer reports whether the provider is there: a refusal is an answer.
func isAnswer(err error) bool {
	return err == nil || verification.KindOf(err) == verification.KindRefused
}

// admit lets a question about a verification through, or says how long to wait
// before another try. Whoever was let through must call done once, with how it
// ended.
func (g *gate) admit(id uuid.UUID) (done func(error), wait time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	if wait = g.shutUntil.Sub(now); wait > 0 {
		return nil, g.stretch(wait)
	}
	if wait = g.turn(id, now); wait > 0 {
		return nil, wait
	}
	settle, err := g.breaker.Allow()
	if err != nil {
		return nil, g.stretch(probeWait)
	}
	return func(err error) { g.settle(settle, err) }, 0
}

// turn returns how long to wait for the next free place in the rate. The place
// is kept, so that a crowd does not come back again and again.
func (g *gate) turn(id uuid.UUID, now time.Time) time.Duration {
	if at, ok := g.turns[id]; ok {
		if wait := at.Sub(now); wait > 0 {
			return wait
		}
		delete(g.turns, id)
		return 0
	}
	place := g.limiter.ReserveN(now, 1)
	wait := place.DelayFrom(now)
	if wait > longestQueue {
		place.CancelAt(now)
		return g.stretch(longestQueue)
	}
	if wait > 0 {
		g.forgetTurns(now)
		g.turns[id] = now.Add(wait)
	}
	return wait
}

func (g *gate) forgetTurns(now time.Time) {
	if len(g.turns) >= manyTurns {
		maps.DeleteFunc(g.turns, func(_ uuid.UUID, at time.Time) bool { return now.Sub(at) > longestQueue })
	}
}

// charge counts one more question by whoever was let through; others wait for
// it.
func (g *gate) charge() { g.limiter.ReserveN(g.now(), 1) }

// settle takes in how a question ended.
func (g *gate) settle(settle func(error), err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	settle(err)
	now := g.now()
	shut := retryAfter(err)
	if !isAnswer(err) && !isNotAsked(err) && g.breaker.State() == gobreaker.StateOpen {
		shut = max(shut, openFor)
	}
	if until := now.Add(shut); shut > 0 && until.After(g.shutUntil) {
		g.shutUntil = until
	}
}

// turned reports whether the provider stopped or began to answer with this.
func (g *gate) turned(failing bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	changed := g.failing != failing
	g.failing = failing
	return changed
}

// first reports whether something is to be told for the first time.
func (g *gate) first(told *bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	first := !*told
	*told = true
	return first
}

// stretch adds up to a half, or openFor, so that those who wait for the same do
// not come back together.
func (g *gate) stretch(wait time.Duration) time.Duration {
	return wait + time.Duration(g.random()*float64(min(wait/2, openFor)))
}

// retryAfter is how long the provider asked to be left alone.
func retryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*verification.Error](err); ok {
		return e.RetryAfter
	}
	return 0
}

// gates are one for each connection that was ever asked for.
type gates struct {
	deps Deps
	mu   sync.Mutex
	of   map[string]*gate
}

func (g *gates) get(connection string) *gate {
	g.mu.Lock()
	defer g.mu.Unlock()
	found, ok := g.of[connection]
	if !ok {
		found = newGate(connection, g.deps)
		g.of[connection] = found
	}
	return found
}
