package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/verification"
)

func TestAPromotedCallbackGetsAJobWhateverAnEarlierOneWaitsFor(t *testing.T) {
	t.Parallel()
	w := tell(t)
	w.finish(w.callbacks()[0], dead)
	// The second one's job is put off for a day, and the second one is over by
	// hand, retried with the first, and waits for it.
	w.exec("UPDATE river.river_job SET state = 'scheduled', scheduled_at = now() + interval '1 day'")
	w.finish(w.callbacks()[1], dead)
	if n, err := w.store.RetryDeadCallbacks(t.Context(), shop, 10, entry(t, "")); err != nil || n != 2 {
		t.Fatalf("%d callbacks are retried (%v), want 2", n, err)
	}
	jobs := w.jobs()
	w.finish(w.callbacks()[2], delivered)
	w.wantStates(pending, waiting, delivered)
	w.finish(w.callbacks()[0], delivered)
	w.wantStates(delivered, pending, delivered)
	if now := w.jobs(); now == jobs {
		t.Errorf("%s jobs are queued, as before: nobody delivers the second", now)
	}
}

func TestACallbackThatLostItsJobGetsOne(t *testing.T) {
	t.Parallel()
	w := tell(t)
	first := w.callbacks()[0].FirstTime
	revive := func(before, after time.Time, want string) time.Time {
		t.Helper()
		last, err := w.store.ReviveCallbacks(t.Context(), before, after)
		if err != nil || w.jobs() != want {
			t.Fatalf("%s jobs are queued (%v), want %s", w.jobs(), err, want)
		}
		return last
	}
	w.exec("DELETE FROM river.river_job")
	if last := revive(first, time.Time{}, "0"); !last.IsZero() {
		t.Errorf("there is more after %s although nothing is overdue", last)
	}
	later := first.Add(time.Hour)
	if last := revive(later, time.Time{}, "1"); !last.Equal(first) {
		t.Errorf("it goes on from %s, want %s", last, first)
	}
	revive(later, time.Time{}, "1") // it has one
	if last := revive(later, first, "1"); !last.IsZero() {
		t.Errorf("there is more after %s", last)
	}
}

func TestManyRetriedAtOnceComeOneByOneAndAfterTheRest(t *testing.T) {
	t.Parallel()
	const many = 5
	w := tell(t)
	for range many {
		insert(t, w.store, nil)
	}
	w.dispatch()
	w.exec("DELETE FROM river.river_job")
	w.exec("UPDATE callback SET state = 'dead', next_time = NULL, finish_time = now() WHERE state = 'pending'")
	if _, err := w.store.RetryDeadCallbacks(t.Context(), shop, 100, entry(t, "")); err != nil {
		t.Fatal(err)
	}
	got := w.text("SELECT concat_ws(' ', count(*), min(priority), max(scheduled_at) - min(scheduled_at)) FROM river.river_job")
	if want := "5 4 00:00:00.04"; got != want {
		t.Errorf("jobs, their priority and their spread are %q, want %q", got, want)
	}
}

func TestAnErasureDoesNotWaitForTheOrderOfEvents(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	s, other := open(t, dsn), look(t, dsn)
	v := insert(t, s, nil)
	other.exec("BEGIN")
	other.exec("SELECT 1 FROM event_head FOR UPDATE")
	erase(t, s, v.ID)
	other.exec("ROLLBACK")
}

func TestAnAddressIsNotWrittenAfterItsErasure(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	s, d := open(t, dsn), look(t, dsn)
	v := insert(t, s, nil)
	sequence(t, s, 1)
	queued := make(chan error, 1)
	in(t, s, func(tx verification.Tx) error {
		locked, err := tx.Lock(t.Context(), shop, v.ID)
		if err != nil {
			return err
		}
		locked.CallbackURL, locked.EventsCallbackURL, locked.EraseTime = "", "", time.Now()
		if _, err := tx.Erase(t.Context(), locked); err != nil {
			return err
		}
		go func() {
			_, err := s.QueueCallbacks(t.Context(), time.Now(), 10)
			queued <- err
		}()
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		const blocked = `SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
		for d.text(blocked) == "0" && ctx.Err() == nil {
		}
		if ctx.Err() != nil {
			t.Error("nobody waits for the erasure")
		}
		return nil
	})
	if err := <-queued; err != nil {
		t.Fatal(err)
	}
	if n := d.text("SELECT count(*)::text FROM callback"); n != "0" {
		t.Errorf("%s callbacks were made from an erased address", n)
	}
}
