package reconcile_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/reconcile"
	"github.com/verigate/verigate/server/store"
	"github.com/verigate/verigate/server/verification"
)

func TestTwoNodesFindWhatWasLostAndNeverAskTwiceAtOnce(t *testing.T) {
	t.Parallel()
	const many = 12
	g := newGateway(t)
	account := g.company.account(human)
	ids := make([]uuid.UUID, 0, many)
	for range many {
		ids = append(ids, g.start(human))
	}
	for _, id := range ids {
		g.deliver(human, id, verification.PersonSubmitted, verification.Applied)
	}
	g.clock.forward(fetchAfter)
	// Half the answers are held back until all leases have run out and both
	// nodes have queued everything again.
	held, enough := make(chan struct{}), make(chan struct{})
	account.answers(func(_ context.Context, ref string) (verification.Event, error) {
		if len(account.questions()) == 4 {
			close(enough)
		}
		<-held
		return verification.Event{Kind: verification.Passed, Product: "kyc", Keys: []string{ref}}, nil
	})
	decided := make(chan uuid.UUID, 2*many)
	for range 2 {
		s := g.open()
		deps := g.deps(s)
		deps.Domain = telling{deps.Domain, decided}
		g.run(s, deps)
	}
	<-enough
	for range 3 {
		g.clock.forward(6 * time.Minute)
		if _, err := g.store.EnqueueFetches(t.Context(), g.clock.Now(), many); err != nil {
			t.Fatal(err)
		}
	}
	close(held)
	for range many {
		<-decided
	}
	for _, id := range ids {
		g.want(id, verification.Approved, 0, false)
		if last := g.last(id); last.Source != verification.SourcePoll || last.Version != 4 {
			t.Errorf("it is recorded as %+v", last)
		}
	}
	if twice := account.overlaps(); len(twice) != 0 {
		t.Errorf("asked twice at once by %q", twice)
	}
	if asked := account.questions(); len(asked) != many {
		t.Errorf("%d questions for %d verifications", len(asked), many)
	}
}

// telling says which verification an answer was applied to.
type telling struct {
	reconcile.Domain
	applied chan<- uuid.UUID
}

func (d telling) ApplyFetched(ctx context.Context, place verification.Place, version int64, answers ...verification.Answer) ([]verification.Effect, error) {
	effects, err := d.Domain.ApplyFetched(ctx, place, version, answers...)
	if err == nil {
		d.applied <- place.ID
	}
	return effects, err
}

func TestAJobThatIsSnoozedIsDoneInTheEnd(t *testing.T) {
	t.Parallel()
	const many = 3
	g := newGateway(t)
	for range many {
		g.overdue(human)
	}
	g.company.account(human).says(verification.Passed)
	deps := g.deps(g.store)
	decided := make(chan uuid.UUID, many)
	deps.Domain = telling{deps.Domain, decided}
	deps.Rate, deps.Burst = 4, 1
	// The rate needs a clock that goes on; the domain keeps the test's.
	began := time.Now()
	deps.Now = func() time.Time { return g.clock.Now().Add(time.Since(began)) }
	g.run(g.store, deps)
	for range many {
		g.want(<-decided, verification.Approved, 0, false)
	}
}

func TestConnectionsAreReported(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.overdue(human)
	deps, reported := g.deps(g.store), make(chan struct{})
	deps.Store = &watchedStore{Store: g.store, looked: reported, wait: 3}
	runUntil(t, deps, reported)
	g.meter.mu.Lock()
	defer g.meter.mu.Unlock()
	if !g.meter.pollable[human] || !g.meter.pollable[second] {
		t.Errorf("pollable are %v", g.meter.pollable)
	}
	if pollable, told := g.meter.pollable[silent]; pollable || !told {
		t.Errorf("the one that cannot be asked is told: %t, pollable: %t", told, pollable)
	}
	if g.meter.ages[human] != fetchAfter || g.meter.ages[second] != 0 || len(g.meter.ages) != 3 {
		t.Errorf("the ages are %v", g.meter.ages)
	}
	if g.logs.count("cannot be asked what became") != 1 || g.logs.count("connection=silent") != 1 {
		t.Errorf("the log is %q", g.logs.text.String())
	}
}

// runUntil runs a scheduler until something is told.
func runUntil(t *testing.T, deps reconcile.Deps, told <-chan struct{}) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { reconcile.NewScheduler(deps).Run(ctx) })
	<-told
	stop()
	running.Wait()
}

// watchedStore tells when it was asked for the ages of so many connections.
type watchedStore struct {
	*store.Store
	looked chan<- struct{}
	wait   int
}

func (s *watchedStore) OldestUnresolved(ctx context.Context, connection string) (time.Time, error) {
	oldest, err := s.Store.OldestUnresolved(ctx, connection)
	if s.wait--; s.wait == 0 {
		close(s.looked)
	}
	return oldest, err
}

// brokenStore fails until it was asked so often, then tells.
type brokenStore struct {
	*store.Store
	tries int
	told  chan<- struct{}
}

func (s *brokenStore) EnqueueFetches(context.Context, time.Time, int) (int, error) {
	s.tries++
	if s.tries == 3 {
		close(s.told)
	}
	return 0, errors.New("no database")
}

func TestAFailureToQueueIsToldOnce(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	deps, told := g.deps(g.store), make(chan struct{})
	deps.Store = &brokenStore{Store: g.store, told: told}
	runUntil(t, deps, told)
	if logged := g.logs.count("queueing what is to be asked of providers failed"); logged != 1 {
		t.Errorf("it was logged %d times", logged)
	}
}
