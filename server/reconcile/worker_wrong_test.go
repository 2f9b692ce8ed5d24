package reconcile_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/reconcile"
	"github.com/verigate/verigate/server/verification"
)

func TestWhatHasNoStatusEndpointIsLeftToItsWebhooks(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	w := g.worker()
	g.company.account(human).fails(fmt.Errorf("%w: a hosted token", provider.ErrNotFetchable))
	for range 2 {
		id := g.overdue(human)
		g.done(w, id)
		g.want(id, verification.Processing, 0, false)
	}
	if g.meter.of("not_fetchable/human") != 2 || g.logs.count("no provider ref that its provider can be asked by") != 1 {
		t.Errorf("%d counted, the log is %q", g.meter.of("not_fetchable/human"), g.logs.text.String())
	}
}

func TestEachRefIsTriedThatCanBeAskedBy(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	w, id := g.worker(), g.overdue(human)
	g.bind(id, "hosted:1", "run:1", "run:2")
	g.company.account(human).answers(func(_ context.Context, ref string) (verification.Event, error) {
		switch ref {
		case "hosted:1":
			return verification.Event{}, provider.ErrNotFetchable
		case "run:1":
			return verification.Event{}, errRefused
		case "run:2":
			return verification.Event{Kind: verification.Passed, Refs: []string{ref}}, nil
		}
		return verification.Event{Kind: verification.PersonSubmitted, Keys: []string{ref}}, nil
	})
	g.done(w, id)
	g.want(id, verification.Approved, 0, false)
	if asked := g.company.account(human).questions(); len(asked) != 4 {
		t.Errorf("it was asked by %q", asked)
	}
	if g.meter.of("refused/human") != 1 {
		t.Error("the refusal was not counted")
	}
}

func (g *gateway) bind(id uuid.UUID, refs ...string) {
	g.t.Helper()
	err := g.store.InTx(g.t.Context(), func(tx verification.Tx) error {
		for _, ref := range refs {
			bound := verification.BoundRef{Connection: human, Ref: ref, VerificationID: id, Match: verification.Exact, CreateTime: g.clock.Now()}
			if err := tx.BindRef(g.t.Context(), bound); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		g.t.Fatal(err)
	}
}

func TestWhoDoesNotAnswerIsNotAskedByTheNextRef(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	id := g.overdue(human)
	g.bind(id, "run:1")
	g.company.account(human).fails(errDown)
	g.done(g.worker(), id)
	if asked := g.company.account(human).questions(); len(asked) != 1 {
		t.Errorf("it was asked by %q", asked)
	}
	g.want(id, verification.Processing, 1, true)
}

func TestAConnectionThatIsGoneIsNotAsked(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	w := g.worker()
	for range 2 {
		id := g.overdue("former")
		g.done(w, id)
		g.want(id, verification.Processing, 0, false)
	}
	if g.meter.of("not_pollable/former") != 2 || g.logs.count("are left to their webhooks") != 1 {
		t.Errorf("%d counted, logged %d times", g.meter.of("not_pollable/former"), g.logs.count("are left to their webhooks"))
	}
}

func TestNobodyAsksAboutAnErasedPerson(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	id := g.start(human)
	g.clock.forward(lifetime)
	if err := g.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := g.EraseSubject(t.Context(), shop, "u1", "TICKET-1", verification.Operator{Actor: "key:1"}); err != nil {
		t.Fatal(err)
	}
	g.done(g.worker(), id)
	g.want(id, verification.Expired, 0, false)
	if asked := g.company.account(human).questions(); len(asked) != 0 {
		t.Errorf("it was asked by %q", asked)
	}
}

func TestAProviderThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	deps := g.deps(g.store)
	deps.Patience = 50 * time.Millisecond
	w, id := reconcile.NewWorker(deps), g.overdue(human)
	if timeout := w.Timeout(nil); timeout <= deps.Patience {
		t.Fatalf("the job has %s, the provider alone %s", timeout, deps.Patience)
	}
	g.company.account(human).answers(func(ctx context.Context, _ string) (verification.Event, error) {
		<-ctx.Done()
		return verification.Event{}, ctx.Err()
	})
	g.done(w, id)
	g.want(id, verification.Processing, 1, true)
	if g.meter.of("unavailable/human") != 1 {
		t.Error("it was not counted")
	}
}

func TestANodeThatStopsLeavesTheJobToAnother(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	w, id := g.worker(), g.overdue(human)
	ctx, stop := context.WithCancel(t.Context())
	g.company.account(human).answers(func(context.Context, string) (verification.Event, error) {
		stop()
		return verification.Event{}, ctx.Err()
	})
	snoozed(t, w.Work(ctx, job(id)), 0)
	g.want(id, verification.Processing, 0, true)
	g.company.account(human).says(verification.Passed)
	g.done(w, id)
	g.want(id, verification.Approved, 0, false)
}

func TestOnlyOurOwnDatabasesErrorsStayInTheQueue(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	id := g.overdue(human)
	g.company.account(human).fails(errDown)
	if err := g.work(g.worker(), id); err != nil {
		t.Errorf("the provider's error is left to the queue: %v", err)
	}
	if err := g.work(g.worker(), uuid.New()); err != nil {
		t.Errorf("a verification that is not there is left to the queue: %v", err)
	}
	s := g.open()
	w := reconcile.NewWorker(g.deps(s))
	s.Close()
	if err := g.work(w, id); verification.KindOf(err) != verification.KindUnavailable {
		t.Errorf("without a database the job ends with %v", err)
	}
}
