package store_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/store"
	"github.com/verigate/verigate/server/verification"
)

// told is a database in which three events of one verification go to one
// address.
type told struct {
	database

	store *store.Store
	v     *verification.Verification
}

func tell(t *testing.T) told {
	t.Helper()
	dsn := pgtest.New(t)
	w := told{look(t, dsn), open(t, dsn), nil}
	w.v = insert(t, w.store, nil)
	for range 2 {
		if err := step(t.Context(), w.store, w.v.ID); err != nil {
			t.Fatal(err)
		}
	}
	w.dispatch()
	return w
}

func (w told) dispatch() {
	w.t.Helper()
	if _, err := w.store.SequenceEvents(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.store.QueueCallbacks(w.t.Context(), time.Now(), 100); err != nil {
		w.t.Fatal(err)
	}
}

// callbacks returns those of the verification, by version.
func (w told) callbacks() []*verification.Callback {
	w.t.Helper()
	all, err := w.store.Callbacks(w.t.Context(), verification.CallbackQuery{Scope: shop, VerificationID: w.v.ID, Limit: 100})
	if err != nil {
		w.t.Fatal(err)
	}
	slices.SortFunc(all, func(a, b *verification.Callback) int { return int(a.Version - b.Version) })
	return all
}

func (w told) wantStates(want ...verification.CallbackState) {
	w.t.Helper()
	got := make([]verification.CallbackState, 0, len(want))
	for _, c := range w.callbacks() {
		got = append(got, c.State)
	}
	if !slices.Equal(got, want) {
		w.t.Fatalf("the callbacks are %v, want %v", got, want)
	}
}

// jobs counts what waits in the queue.
func (w told) jobs() string {
	w.t.Helper()
	return w.text("SELECT count(*)::text FROM river.river_job WHERE kind = 'callback'")
}

// finish makes an attempt at a callback that ends it.
func (w told) finish(c *verification.Callback, state verification.CallbackState) {
	w.t.Helper()
	now := time.Now()
	try, err := w.store.BeginAttempt(w.t.Context(), c, now, now.Add(time.Minute))
	if err != nil || try == 0 {
		w.t.Fatalf("the attempt is number %d (%v)", try, err)
	}
	after := *c
	after.Attempts++
	after.State, after.NextTime, after.FinishTime = state, time.Time{}, now
	over, err := w.store.FinishAttempt(w.t.Context(), &after, &verification.CallbackAttempt{
		Number: after.Attempts, StartTime: now, Duration: time.Second, StatusCode: http.StatusOK,
	})
	if err != nil || !over {
		w.t.Fatalf("it is over: %t (%v)", over, err)
	}
}

const (
	waiting   = verification.CallbackWaiting
	pending   = verification.CallbackPending
	delivered = verification.CallbackDelivered
	dead      = verification.CallbackDead
)

func TestCallbacksOfOneVerificationToOneAddressGoOneByOne(t *testing.T) {
	t.Parallel()
	w := tell(t)
	w.wantStates(pending, waiting, waiting)
	if n := w.jobs(); n != "1" {
		t.Fatalf("%s jobs are queued, want 1", n)
	}
	c, record, err := w.store.Callback(t.Context(), shop, w.callbacks()[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	if c.URL != w.v.EventsCallbackURL || c.Channel != verification.ChannelEvents || record.Flow != w.v.Flow || record.EventID() != verification.EventID(w.v.ID, 1) {
		t.Errorf("the callback is %+v about %+v", c, record)
	}
	w.finish(w.callbacks()[0], delivered)
	w.wantStates(delivered, pending, waiting)
	w.finish(w.callbacks()[1], dead)
	w.wantStates(delivered, dead, pending)
	if n := w.jobs(); n != "3" {
		t.Errorf("%s jobs were queued, want 3", n)
	}
	attempts, err := w.store.CallbackAttempts(t.Context(), shop, c.ID)
	if err != nil || len(attempts) != 1 || attempts[0].Number != 1 || attempts[0].StatusCode != http.StatusOK || attempts[0].Duration != time.Second {
		t.Errorf("the attempts are %+v (%v)", attempts, err)
	}
	elsewhere := verification.Scope{Project: "shop", Environment: verification.Live}
	_, _, err = w.store.Callback(t.Context(), elsewhere, c.ID)
	wantKind(t, err, verification.KindNotFound)
	if attempts, err := w.store.CallbackAttempts(t.Context(), elsewhere, c.ID); err != nil || len(attempts) != 0 {
		t.Errorf("another scope sees %d attempts (%v)", len(attempts), err)
	}
}

func TestADecisionDoesNotWaitForTheAddressOfEvents(t *testing.T) {
	t.Parallel()
	w := tell(t)
	now := time.Now()
	err := w.store.InTx(t.Context(), func(tx verification.Tx) error {
		v, err := tx.Lock(t.Context(), shop, w.v.ID)
		if err != nil {
			return err
		}
		v.State, v.Version, v.FinalTime = verification.Approved, 4, now
		return tx.Save(t.Context(), v, &verification.Transition{
			VerificationID: v.ID, Version: 4, Scope: shop, From: verification.Processing, To: verification.Approved,
			Event: verification.Passed, Source: verification.SourceProvider, CreateTime: now,
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	w.dispatch()
	w.wantStates(pending, waiting, waiting, pending)
	if c := w.callbacks()[3]; c.URL != w.v.CallbackURL || c.Channel != verification.ChannelDecisions {
		t.Errorf("the decision goes to %s on %s", c.URL, c.Channel)
	}
}

func TestOneAttemptAtATime(t *testing.T) {
	t.Parallel()
	w := tell(t)
	c, now := w.callbacks()[0], time.Now()
	begin := func(c *verification.Callback, now time.Time) int {
		t.Helper()
		try, err := w.store.BeginAttempt(t.Context(), c, now, now.Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		return try
	}
	if first, second := begin(c, now), begin(c, now); first != 1 || second != 0 {
		t.Fatalf("the attempts are %d and %d, want 1 and 0", first, second)
	}
	c = w.callbacks()[0]
	if try := begin(c, now); try != 0 {
		t.Error("an attempt is made before its time")
	}
	if try := begin(c, now.Add(2*time.Minute)); try != 1 {
		t.Errorf("after a death the attempt is number %d, want 1: none was recorded", try)
	}
	t.Run("the first one comes back late and changes nothing", func(t *testing.T) {
		late := *c
		late.State, late.Reason, late.NextTime = pending, verification.CallbackTimeout, now.Add(time.Hour)
		over, err := w.store.FinishAttempt(t.Context(), &late, &verification.CallbackAttempt{Number: 1, StartTime: now, Reason: late.Reason})
		if err != nil || over {
			t.Fatalf("it is over: %t (%v)", over, err)
		}
		if got := w.callbacks()[0]; got.Reason != "" || got.NextTime.After(now.Add(30*time.Minute)) {
			t.Errorf("it changed the callback: %+v", got)
		}
	})
	t.Run("what it delivered is delivered", func(t *testing.T) {
		late := *c
		late.State, late.NextTime, late.FinishTime = delivered, time.Time{}, now
		if over, err := w.store.FinishAttempt(t.Context(), &late, nil); err != nil || !over {
			t.Fatalf("it is over: %t (%v)", over, err)
		}
		w.wantStates(delivered, pending, waiting)
		if try := begin(w.callbacks()[0], now.Add(time.Hour)); try != 0 {
			t.Error("a delivered callback is tried again")
		}
	})
}
