package reconcile_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"github.com/verigate/verigate/server/reconcile"
	"github.com/verigate/verigate/server/verification"
)

var (
	errDown = verification.NewError(verification.KindUnavailable, "PROVIDER_DOWN", "the provider does not answer").
		WithCause(errors.New("the provider wrote of Jane Doe"))
	errRefused = verification.NewError(verification.KindRefused, "PROVIDER_REFUSED", "the provider refuses the question")
)

func TestAFoundDecisionIsAppliedOnce(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	w, id := g.worker(), g.overdue(human)
	g.company.account(human).says(verification.Passed)
	g.done(w, id)
	g.want(id, verification.Approved, 0, false)
	if last := g.last(id); last.Source != verification.SourcePoll || last.Match != verification.Exact || last.Version != 4 {
		t.Errorf("it is recorded as %+v", last)
	}
	// The webhook that was lost comes after all, and so does the same job.
	g.deliver(human, id, verification.Passed, verification.Duplicate)
	g.done(w, id)
	asked := g.company.account(human).questions()
	if len(asked) != 1 || asked[0] != tokenOf(id) || g.meter.of("found/human") != 1 || g.meter.of("answered/human") != 1 {
		t.Errorf("it was asked by %q, %d were found", asked, g.meter.of("found/human"))
	}
	if last := g.last(id); last.Version != 4 {
		t.Errorf("the decision was taken again: %+v", last)
	}
}

func TestWhatThePersonDidIsFoundToo(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	id := g.start(human)
	g.clock.forward(lifetime - fetchAfter)
	g.done(g.worker(), id)
	g.want(id, verification.Processing, 0, true)
	if g.meter.of("found/human") != 1 {
		t.Errorf("%d were found", g.meter.of("found/human"))
	}
}

func TestNobodyAsksAfterTheWebhookCame(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	id := g.overdue(human)
	g.deliver(human, id, verification.Rejected, verification.Applied)
	g.done(g.worker(), id)
	if asked := g.company.account(human).questions(); len(asked) != 0 {
		t.Errorf("it was asked by %q", asked)
	}
}

func TestAWebhookThatIsFasterThanTheAnswerWins(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	id := g.overdue(human)
	g.company.account(human).answers(func(_ context.Context, ref string) (verification.Event, error) {
		g.deliver(human, id, verification.Passed, verification.Applied)
		return verification.Event{Kind: verification.Passed, Keys: []string{ref}}, nil
	})
	g.done(g.worker(), id)
	if last := g.last(id); last.Source != verification.SourceProvider || g.meter.of("found/human") != 0 {
		t.Errorf("it is recorded as %+v, %d were found", last, g.meter.of("found/human"))
	}
}

func TestWhoHasNothingNewIsAskedLater(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	w, id := g.worker(), g.overdue(human)
	for fetches := 1; fetches <= 3; fetches++ {
		g.done(w, id)
		g.want(id, verification.Processing, fetches, true)
		wait := g.get(id).FetchTime.Sub(g.clock.Now())
		if want := fetchAfter << fetches; wait < want*4/5 || wait > want*6/5 {
			t.Fatalf("after fetch %d it waits %s, want %s ± 20 %%", fetches, wait, want)
		}
	}
}

func TestWhatExpiredIsStillAskedAbout(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	w, found, over := g.worker(), g.start(human), g.start(human)
	g.clock.forward(lifetime)
	if err := g.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.company.account(human).says(verification.Passed)
	g.done(w, found)
	g.want(found, verification.Approved, 0, false)
	// The other job comes late: nothing counts any more.
	g.clock.forward(grace)
	g.done(w, over)
	g.want(over, verification.Expired, 0, false)
	if asked := g.company.account(human).questions(); len(asked) != 1 {
		t.Errorf("it was asked by %q", asked)
	}
}

func TestAProviderThatIsDownIsAskedAgainLater(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	w := g.worker()
	g.company.account(human).fails(errDown)
	first, next := g.overdue(human), g.overdue(human)
	g.done(w, first)
	g.done(w, next)
	g.want(first, verification.Processing, 1, true)
	if g.meter.of("unavailable/human") != 2 || g.logs.count("does not answer questions") != 1 {
		t.Errorf("%d counted, logged %d times", g.meter.of("unavailable/human"), g.logs.count("does not answer questions"))
	}
	g.company.account(human).says(verification.Passed)
	g.done(w, first)
	if g.logs.count("answers questions about verifications again") != 1 {
		t.Error("its return was not logged")
	}
}

func TestAPauseIsKeptForTheWholeConnection(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	w := g.worker()
	g.company.account(human).fails(errDown.After(10 * time.Minute))
	first, next, elsewhere := g.overdue(human), g.overdue(human), g.overdue(second)
	g.done(w, first)
	if wait := g.get(first).FetchTime.Sub(g.clock.Now()); wait != 10*time.Minute {
		t.Errorf("it is asked again in %s", wait)
	}
	snoozed(t, g.work(w, next), 10*time.Minute)
	g.want(next, verification.Processing, 0, true)
	g.done(w, elsewhere)
	g.clock.forward(10 * time.Minute)
	g.done(w, next)
	if len(g.company.account(human).questions()) != 2 || len(g.company.account(second).questions()) != 1 {
		t.Errorf("asked were %q and %q", g.company.account(human).questions(), g.company.account(second).questions())
	}
}

func snoozed(t *testing.T, err error, want time.Duration) {
	t.Helper()
	snooze, ok := errors.AsType[*river.JobSnoozeError](err)
	if !ok || snooze.Duration != want {
		t.Fatalf("the job ends with %v, want another try in %s", err, want)
	}
}

func TestFiveFailuresOpenTheCircuit(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	w := g.worker()
	g.company.account(human).fails(errDown)
	var ids []uuid.UUID
	for range 6 {
		ids = append(ids, g.overdue(human))
	}
	for _, id := range ids[:5] {
		g.done(w, id)
	}
	snoozed(t, g.work(w, ids[5]), 30*time.Second)
	if asked := g.company.account(human).questions(); len(asked) != 5 {
		t.Errorf("it was asked %d times", len(asked))
	}
}

func TestTheRateOfAConnectionIsKept(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	deps := g.deps(g.store)
	deps.Rate, deps.Burst = 2, 1
	w := reconcile.NewWorker(deps)
	first, next := g.overdue(human), g.overdue(human)
	g.done(w, first)
	snoozed(t, g.work(w, next), 500*time.Millisecond)
	g.clock.forward(500 * time.Millisecond)
	g.done(w, next)
}
