package verification_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/verification"
)

// said is an answer of the polled connection about a verification, asked by its
// token.
func said(id uuid.UUID, kind verification.EventKind, refs ...string) verification.Answer {
	return verification.Answer{
		Ref: verification.BoundRef{
			Connection: pollableConnection, Ref: tokenOf(id), VerificationID: id, Match: verification.Exact,
		},
		Event: verification.Event{Kind: kind, Product: "kyc", Keys: []string{tokenOf(id)}, Refs: refs},
	}
}

// fetched applies an answer to a question that was put just now.
func (g *gateway) fetched(id uuid.UUID, a verification.Answer, want verification.Effect) {
	g.t.Helper()
	g.fetchedAt(id, g.get(id).Version, a, want)
}

func (g *gateway) fetchedAt(id uuid.UUID, version int64, a verification.Answer, want verification.Effect) {
	g.t.Helper()
	effects, err := g.ApplyFetched(g.t.Context(), verification.Place{Scope: shop, ID: id}, version, a)
	if err != nil {
		g.t.Fatal(err)
	}
	if !slices.Equal(effects, []verification.Effect{want}) {
		g.t.Fatalf("the answer was %s, want %s", effects, want)
	}
}

// fetchIn checks how long from now the provider is asked, and how often it was;
// a negative time means never.
func (g *gateway) fetchIn(id uuid.UUID, want time.Duration, fetches int) {
	g.t.Helper()
	v := g.get(id)
	if v.Fetches != fetches {
		g.t.Fatalf("it counts %d fetches, want %d", v.Fetches, fetches)
	}
	if want < 0 {
		if !v.FetchTime.IsZero() {
			g.t.Fatalf("the provider is asked at %s, want never", v.FetchTime)
		}
		return
	}
	// What repeats is spread by a fifth; a first wait is exact.
	slack := time.Duration(0)
	if fetches > 0 {
		slack = want / 5
	}
	if in := v.FetchTime.Sub(g.clock.Now()); in < want-slack || in > want+slack {
		g.t.Fatalf("the provider is asked in %s, want %s ± %s", in, want, slack)
	}
}

// ofPolled makes a webhook one of the polled connection that names a
// verification by its token.
func (g *gateway) ofPolled(id uuid.UUID, kind verification.EventKind) *verification.Delivery {
	d := g.webhook(kind)
	d.Connection, d.Event.Product, d.Event.Keys = pollableConnection, "kyc", []string{tokenOf(id)}
	return d
}

const never = -1

func TestAProviderIsAskedWhenItShouldHaveTold(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	id := g.start("polled")
	g.fetchIn(id, lifetime-fetchAfter-time.Second, 0)
	g.returns(id)
	g.fetchIn(id, fetchAfter, 0)
	g.clock.forward(fetchAfter)
	g.fetched(id, said(id, verification.PersonSubmitted), duplicate)
	g.fetchIn(id, 2*fetchAfter, 1)
	g.clock.forward(2 * fetchAfter)
	g.fetched(id, said(id, verification.PersonSubmitted), duplicate)
	g.fetchIn(id, 4*fetchAfter, 2)
	g.deliver(g.ofPolled(id, verification.ReviewStarted), applied)
	g.clock.forward(-time.Second)
	g.fetchIn(id, 15*time.Minute, 0)
	g.deliver(g.ofPolled(id, passed), applied)
	g.fetchIn(id, never, 0)
}

func TestAPersonWhoSubmittedIsWaitedForAsOneWhoReturned(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	id := g.start("polled")
	g.deliver(g.ofPolled(id, verification.PersonSubmitted), applied)
	g.fetchIn(id, fetchAfter-time.Second, 0)
	g.returns(id)
	g.fetchIn(id, fetchAfter, 0)
}

func TestAWebhookThatIsFasterThanTheStartIsFollowedUp(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.company.answer = func(_ context.Context, r verification.StartSession) (verification.Session, error) {
		d := withID(g.webhook(verification.ReviewStarted), r.VerificationID.String())
		d.Connection, d.Event.Product = pollableConnection, "kyc"
		g.deliver(d, applied)
		g.clock.forward(time.Minute)
		return ordinary(r), nil
	}
	id := g.start("polled")
	g.want(id, inReview, verification.Exact)
	g.fetchIn(id, 15*time.Minute-time.Second, 0)
}

func TestAProviderThatCannotBeAskedIsNot(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	id := g.start("identity")
	g.fetchIn(id, never, 0)
	g.returns(id)
	g.fetchIn(id, never, 0)
}

func TestAFoundDecisionIsOneDecision(t *testing.T) {
	t.Parallel()
	g := newGateway(t)

	id := g.start("polled")
	g.fetched(id, said(id, passed), applied)
	g.want(id, approved, verification.Exact)
	timeline := g.timeline(id)
	if last := timeline[len(timeline)-1]; last.Source != verification.SourcePoll || last.Rung != verification.RungBoundRef ||
		last.Match != verification.Exact || last.Event != passed {
		t.Fatalf("it is recorded as %+v", last)
	}
	g.fetched(id, said(id, passed), duplicate)
	g.deliver(g.ofPolled(id, passed), duplicate)
	g.fetchIn(id, never, 1)
	if g.meter.foundByPoll != 1 || g.meter.woken[id] != 3 {
		t.Errorf("%d were counted as found, the watchers know version %d", g.meter.foundByPoll, g.meter.woken[id])
	}

	told := g.start("polled")
	g.deliver(g.ofPolled(told, rejected), applied)
	g.fetched(told, said(told, rejected), duplicate)
	if versions := len(g.timeline(told)); versions != 3 || g.meter.foundByPoll != 1 {
		t.Errorf("it has %d versions, and %d were counted as found", versions, g.meter.foundByPoll)
	}
	// A contradiction is refused; it is about the right one, so nobody is alarmed.
	g.fetched(told, said(told, passed), refused)
	if g.meter.mismatched != 0 {
		t.Errorf("%d alarms", g.meter.mismatched)
	}
}

func TestAnInferredRefMakesAnInferredAnswer(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	id := g.start("polled")
	answer := said(id, passed)
	answer.Ref.Match = verification.Inferred
	g.fetched(id, answer, applied)
	g.want(id, approved, verification.Inferred)
}

func TestADecisionFoundInTheGracePeriodWins(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	found, late := g.start("polled"), g.start("polled")
	g.clock.forward(lifetime)
	g.sweep()
	g.want(found, expired, verification.NoMatch)
	g.fetchIn(found, fetchAfter, 0)
	g.fetched(found, said(found, passed), applied)
	g.want(found, approved, verification.Exact)

	g.clock.forward(grace)
	g.fetched(late, said(late, passed), stale)
	g.want(late, expired, verification.NoMatch)
	g.fetchIn(late, never, 1)
}

func TestWhatTheRowOvertookIsStale(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	id := g.start("polled")
	g.returns(id)
	asked := g.get(id).Version
	// Between question and answer the provider asks for another try.
	g.deliver(g.ofPolled(id, verification.ResubmissionRequested), applied)
	g.fetchedAt(id, asked, said(id, verification.PersonSubmitted), stale)
	g.want(id, pending, verification.Exact)
	g.fetchedAt(id, asked, said(id, passed), applied)
	g.want(id, approved, verification.Exact)
}

func TestAnAnswerBindsWhatItNames(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	id := g.start("polled")
	parked := g.webhook(passed, "verification:new")
	parked.Connection, parked.Event.Product = pollableConnection, "kyc"
	g.deliver(parked, verification.Unmatched)
	g.fetched(id, said(id, verification.PersonSubmitted, "verification:new"), applied)
	g.stored(parked, applied)
	g.want(id, approved, verification.Exact)

	named := g.start("polled")
	g.fetched(named, said(named, verification.SessionOpened), duplicate)
	if v := g.get(named); !v.BindTime.IsZero() {
		t.Error("it is marked as bound by what Start knew")
	}
	g.fetched(named, said(named, verification.SessionOpened, "verification:newer"), duplicate)
	if v := g.get(named); !v.BindTime.Equal(g.clock.Now()) {
		t.Error("it is not marked as bound")
	}
}

func TestSeveralAnswersAreOneFetch(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	id := g.start("polled")
	place := verification.Place{Scope: shop, ID: id}
	opened := said(id, verification.SessionOpened)
	effects, err := g.ApplyFetched(t.Context(), place, g.get(id).Version, opened, opened)
	if err != nil || !slices.Equal(effects, []verification.Effect{duplicate, duplicate}) || g.get(id).Fetches != 1 {
		t.Fatalf("the effects are %s (%v), fetches %d", effects, err, g.get(id).Fetches)
	}
	effects, err = g.ApplyFetched(t.Context(), place, g.get(id).Version, said(id, verification.PersonSubmitted), said(id, passed))
	if err != nil || !slices.Equal(effects, []verification.Effect{applied, applied}) {
		t.Fatalf("the effects are %s (%v)", effects, err)
	}
	g.want(id, approved, verification.Exact)
	g.fetchIn(id, never, 0)
}

func TestAFetchWithoutAnAnswerIsRepeatedLater(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	id := g.start("polled")
	g.returns(id)
	place := verification.Place{Scope: shop, ID: id}
	fail := func(retryAfter time.Duration) {
		t.Helper()
		if err := g.FetchFailed(t.Context(), place, retryAfter); err != nil {
			t.Fatal(err)
		}
	}
	before := g.get(id)
	fail(0)
	g.fetchIn(id, 2*fetchAfter, 1)
	fail(0)
	g.fetchIn(id, 4*fetchAfter, 2)
	fail(30 * time.Minute)
	if in := g.get(id).FetchTime.Sub(g.clock.Now()); in != 30*time.Minute {
		t.Errorf("the provider asked for half an hour and gets %s", in)
	}
	fail(24 * time.Hour)
	g.fetchIn(id, never, 4)
	if after := g.get(id); after.Version != before.Version || !after.UpdateTime.Equal(before.UpdateTime) {
		t.Errorf("the fetches changed the verification to %+v", after)
	}
	g.deliver(g.ofPolled(id, verification.ReviewStarted), applied)
	g.fetchIn(id, 15*time.Minute-time.Second, 0)
}

func TestFetchingStopsUntilSomethingChanges(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	id := g.start("polled")
	if err := g.StopFetching(t.Context(), verification.Place{Scope: shop, ID: id}); err != nil {
		t.Fatal(err)
	}
	g.fetchIn(id, never, 0)
	g.returns(id)
	g.fetchIn(id, fetchAfter, 0)
}

func TestNobodyFetchesForAnotherTenant(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	id := g.start("polled")
	foreign := verification.Place{Scope: verification.Scope{Project: "rival", Environment: verification.Test}, ID: id}
	_, err := g.ApplyFetched(t.Context(), foreign, 2, said(id, passed))
	wantKind(t, err, verification.KindNotFound)
	wantKind(t, g.FetchFailed(t.Context(), foreign, 0), verification.KindNotFound)
	wantKind(t, g.StopFetching(t.Context(), foreign), verification.KindNotFound)
	g.want(id, pending, verification.NoMatch)
}
