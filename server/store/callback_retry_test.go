package store_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/store"
	"github.com/verigate/verigate/server/verification"
)

func entry(t *testing.T, target string) *verification.AuditEntry {
	t.Helper()
	e, err := verification.NewAuditEntry(shop, verification.Operator{Actor: "key:1"}, verification.AuditRetry, target, nil, time.Now().UTC())
	if err != nil {
		t.Fatal(err)
	}
	return e
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
