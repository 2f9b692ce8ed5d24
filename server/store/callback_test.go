package store_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

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
		Number: after.Attempts, StartTime: now, Duration: time.Second, StatusCode: 200,
	})
	if err != nil || !over {
		w.t.Fatalf("it is over: %t (%v)", over, err)
	}
}

func entry(t *testing.T, target string) *verification.AuditEntry {
	t.Helper()
	e, err := verification.NewAuditEntry(shop, verification.Operator{Actor: "key:1"}, verification.AuditRetry, target, nil, time.Now().UTC())
	if err != nil {
		t.Fatal(err)
	}
	return e
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
	if err != nil || len(attempts) != 1 || attempts[0].Number != 1 || attempts[0].StatusCode != 200 || attempts[0].Duration != time.Second {
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

func TestRetryingByHand(t *testing.T) {
	t.Parallel()
	w := tell(t)
	retry := func(c *verification.Callback) (*verification.Callback, error) {
		return w.store.RetryCallback(t.Context(), shop, c.ID, entry(t, c.ID.String()))
	}
	all := w.callbacks()
	_, err := retry(all[1])
	wantKind(t, err, verification.KindRefused)
	if c, err := retry(all[0]); err != nil || c.State != pending || c.NextTime.After(time.Now()) {
		t.Errorf("a pending callback after a retry: %+v (%v)", c, err)
	}
	w.finish(w.callbacks()[0], dead)
	w.finish(w.callbacks()[1], delivered)
	jobs := w.jobs()
	c, err := retry(all[0])
	if err != nil || c.State != pending || c.FirstTime.Before(all[0].FirstTime) || !c.FinishTime.IsZero() {
		t.Fatalf("a dead callback after a retry: %+v (%v)", c, err)
	}
	if now := w.jobs(); now == jobs {
		t.Errorf("%s jobs are queued, as before", now)
	}
	_, err = retry(all[1])
	wantKind(t, err, verification.KindRefused)
	_, err = w.store.RetryCallback(t.Context(), verification.Scope{Project: "else", Environment: verification.Test}, all[0].ID, entry(t, ""))
	wantKind(t, err, verification.KindNotFound)
	if n := w.text("SELECT count(*)::text FROM audit_entry WHERE action = 'callback.retry'"); n != "2" {
		t.Errorf("%s retries are in the audit log, want 2", n)
	}
}

func TestRetryingAllDeadOnesKeepsTheirOrder(t *testing.T) {
	t.Parallel()
	w := tell(t)
	for i := range 3 {
		w.finish(w.callbacks()[i], dead)
	}
	if n, err := w.store.RetryDeadCallbacks(t.Context(), shop, 10, entry(t, "")); err != nil || n != 3 {
		t.Fatalf("%d callbacks are retried (%v), want 3", n, err)
	}
	w.wantStates(pending, waiting, waiting)
	if n := w.text("SELECT details->>'callbacks' FROM audit_entry WHERE action = 'callback.retry'"); n != "3" {
		t.Errorf("the audit log says %s, want 3", n)
	}
	w.finish(w.callbacks()[0], delivered)
	w.wantStates(delivered, pending, waiting)
	if n, err := w.store.RetryDeadCallbacks(t.Context(), shop, 10, entry(t, "")); err != nil || n != 0 {
		t.Errorf("%d callbacks are retried (%v), want none", n, err)
	}
}

func TestErasureTakesTheAddressesOfCallbacks(t *testing.T) {
	t.Parallel()
	w := tell(t)
	w.finish(w.callbacks()[0], delivered)
	err := w.store.InTx(t.Context(), func(tx verification.Tx) error {
		v, err := tx.Lock(t.Context(), shop, w.v.ID)
		if err != nil {
			return err
		}
		v.CallbackURL, v.EventsCallbackURL, v.EraseTime = "", "", time.Now()
		_, err = tx.Erase(t.Context(), v)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	w.wantStates(delivered, dead, dead)
	for _, c := range w.callbacks() {
		if c.URL != "" || c.State == dead && c.Reason != verification.CallbackErased {
			t.Errorf("an erased callback is %+v", c)
		}
	}
	_, err = w.store.RetryCallback(t.Context(), shop, w.callbacks()[1].ID, entry(t, ""))
	wantKind(t, err, verification.KindRefused)
	if n, err := w.store.RetryDeadCallbacks(t.Context(), shop, 10, entry(t, "")); err != nil || n != 0 {
		t.Errorf("%d erased callbacks are retried (%v)", n, err)
	}
}

func TestOldCallbacksArePurgedWithTheirAttempts(t *testing.T) {
	t.Parallel()
	w := tell(t)
	w.finish(w.callbacks()[0], delivered)
	if _, err := w.store.PurgeEvents(t.Context(), time.Now().Add(time.Hour), 100); err != nil {
		t.Fatal(err)
	}
	w.wantStates(pending, waiting)
	if n := w.text("SELECT count(*)::text FROM callback_attempt"); n != "0" {
		t.Errorf("%s attempts are left, want none", n)
	}
}

func TestFinishingQueueingAndRetryingAtOnceNeverStops(t *testing.T) {
	t.Parallel()
	const steps = 12
	w := tell(t)
	var work sync.WaitGroup
	work.Go(func() {
		for i := range steps {
			if err := again(t.Context(), w.store, w.v.ID, i); err != nil {
				t.Error(err)
				return
			}
			if _, err := w.store.SequenceEvents(t.Context()); err != nil {
				t.Error(err)
				return
			}
			if _, err := w.store.QueueCallbacks(t.Context(), time.Now(), 100); err != nil {
				t.Error(err)
				return
			}
		}
	})
	queued := make(chan struct{})
	go func() { work.Wait(); close(queued) }()
	var finishers sync.WaitGroup
	for range 2 {
		finishers.Go(func() {
			for {
				done := false
				select {
				case <-queued:
					done = true
				default:
				}
				ended, err := endPending(t.Context(), w.store, w.v.ID)
				if err != nil {
					t.Error(err)
					return
				}
				if done && ended == 0 {
					return
				}
			}
		})
	}
	finishers.Wait()
	for _, c := range w.callbacks() {
		if c.State != delivered {
			t.Errorf("version %d is left %s", c.Version, c.State)
		}
	}
	if n := len(w.callbacks()); n != 3+steps {
		t.Errorf("there are %d callbacks, want %d", n, 3+steps)
	}
}

// again moves a verification between two states.
func again(ctx context.Context, s *store.Store, id uuid.UUID, i int) error {
	return s.InTx(ctx, func(tx verification.Tx) error {
		v, err := tx.Lock(ctx, shop, id)
		if err != nil {
			return err
		}
		from := v.State
		v.State = []verification.State{verification.Pending, verification.Processing}[i%2]
		v.Version++
		return tx.Save(ctx, v, &verification.Transition{
			VerificationID: id, Version: v.Version, Scope: shop, From: from, To: v.State,
			Event: verification.ResubmissionRequested, Source: verification.SourceProvider, CreateTime: time.Now(),
		})
	})
}

// endPending delivers what is pending of a verification, and returns how much
// that was.
func endPending(ctx context.Context, s *store.Store, id uuid.UUID) (int, error) {
	all, err := s.Callbacks(ctx, verification.CallbackQuery{
		Scope: shop, VerificationID: id, States: []verification.CallbackState{pending}, Limit: 10,
	})
	if err != nil {
		return 0, err
	}
	for _, c := range all {
		c.State, c.NextTime, c.FinishTime = delivered, time.Time{}, time.Now()
		if over, err := s.FinishAttempt(ctx, c, nil); err != nil || !over {
			return 0, fmt.Errorf("it is over: %t: %w", over, err)
		}
	}
	return len(all), nil
}
