package store_test

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/store"
	"github.com/verigate/verigate/server/verification"
)

func purge(t testing.TB, s *store.Store, before time.Time, limit int) int64 {
	t.Helper()
	n, err := s.PurgeDeliveries(t.Context(), before, limit)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestPurge(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	s := open(t, dsn)
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	// Newest first: an id says nothing about when it arrived.
	ages := make([]*verification.Delivery, 0, 5)
	for i := range 5 {
		ages = append(ages, keep(t, s, func(d *verification.Delivery) { d.ReceiveTime = noon.Add(-time.Duration(i) * time.Hour) }))
	}
	if n := purge(t, s, noon, 2); n != 2 {
		t.Fatalf("%d were purged, want 2", n)
	}
	for i, d := range ages {
		got := kept(t, s, d.ID)
		if purged := got.Body == nil && got.Headers == nil && got.Emptied; purged != (i >= 3) {
			t.Errorf("the delivery of %d hours ago is purged: %t, want the oldest two", i, purged)
		}
		if named := slices.Equal(got.Event.Keys, d.Event.Keys) && got.Event.VerificationID == d.Event.VerificationID &&
			slices.Equal(got.Event.Refs, d.Event.Refs); named == (i >= 3) {
			t.Errorf("the delivery of %d hours ago says whom it named: %t", i, named)
		}
		if got.Effect != verification.Unmatched || got.ProviderEvent != d.ProviderEvent || got.Event.Kind != d.Event.Kind {
			t.Errorf("it lost more than its content and whom it named: %+v", got)
		}
	}
	if a, b := purge(t, s, noon, 10), purge(t, s, noon, 10); a != 2 || b != 0 {
		t.Errorf("then %d and %d were purged, want 2 and none: what arrived at noon is not before it", a, b)
	}
	if n := readable(t, dsn, marker); n != 0 || keysInUse(t, s)["k1"] != 1 {
		t.Errorf("%d are readable, in use are %v", n, keysInUse(t, s))
	}
}

func TestAPurgeLeavesNoIDOfAProvider(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	s := open(t, dsn)
	v := insert(t, s, nil)
	for _, effect := range []verification.Effect{verification.Applied, verification.Unmatched, verification.Stale, verification.Unknown} {
		d := keep(t, s, func(d *verification.Delivery) {
			d.Effect, d.Event.Keys, d.Event.Refs = effect, []string{"token:" + marker}, []string{"verification:" + marker, "link:" + marker}
			d.Event.VerificationID = strings.ToUpper(marker)
			if effect != verification.Unmatched {
				d.VerificationID = v.ID
			}
		})
		purge(t, s, d.ReceiveTime.Add(time.Second), 10)
		if whole := ask[bool](t, dsn, bare, d.ID); whole != (effect != verification.Unmatched) {
			t.Errorf("of one that was %s all is gone: %t; only one that waits keeps hashes of its refs", effect, whole)
		}
	}
	if n := readable(t, dsn, marker) + readable(t, dsn, strings.ToUpper(marker)); n != 0 {
		t.Errorf("%d deliveries still say what the provider called it", n)
	}
}

// TestWhatWaitedTooLongIsNeverAppliedAndStillTellsOfItsRun holds the purge
// against the correlation: neither must it lead to a guess.
func TestWhatWaitedTooLongIsNeverAppliedAndStillTellsOfItsRun(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.New(t))
	v := insert(t, s, func(v *verification.Verification) { v.CreateTime = v.CreateTime.Add(-3 * time.Hour) })
	old := keep(t, s, func(d *verification.Delivery) {
		d.ReceiveTime = d.ReceiveTime.Add(-2 * time.Hour)
		d.Event.Refs = []string{"verification:é", "verification:2"}
		d.Event.Keys, d.Event.VerificationID = nil, ""
	})
	if err := bind(t, s, "verification:2", v.ID); err != nil {
		t.Fatal(err)
	}
	v.ReturnTime = old.ReceiveTime
	waiting := func() (ids []uuid.UUID) {
		t.Helper()
		in(t, s, func(tx verification.Tx) (err error) {
			ids, err = tx.ParkedFor(t.Context(), v, time.Hour)
			return err
		})
		recent, err := s.ParkedRecently(t.Context(), v.CreateTime, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range recent {
			ids = append(ids, at.ID)
		}
		return ids
	}
	if got := waiting(); !slices.Equal(got, []uuid.UUID{old.ID, old.ID}) {
		t.Fatalf("before the purge wait %v, want it, once for each question", got)
	}
	purge(t, s, old.ReceiveTime.Add(time.Second), 10)
	if got := waiting(); len(got) != 0 {
		t.Errorf("after the purge still wait %v", got)
	}
	in(t, s, func(tx verification.Tx) error {
		if _, err := tx.LockParked(t.Context(), shop, old.ID); verification.KindOf(err) != verification.KindNotFound {
			t.Errorf("locking it: %v, want that it is not found", err)
		}
		for ref, want := range map[string]time.Time{"verification:é": old.ReceiveTime, "verification:9": {}} {
			d := arrived()
			d.Event.Refs = []string{ref}
			if want.IsZero() {
				want = d.ReceiveTime
			}
			if first, err := tx.FirstOfRun(t.Context(), d); err != nil || !first.Equal(want) {
				t.Errorf("the run of %s began at %s (%v), want %s", ref, first, err, want)
			}
			twin, err := tx.HasParkedTwin(t.Context(), d, old.ReceiveTime, old.ReceiveTime)
			if err != nil || twin != (ref == "verification:9") {
				t.Errorf("for %s it is a twin: %t (%v)", ref, twin, err)
			}
		}
		return nil
	})
}

func TestNodesThatPurgeAtOnceTakeDifferentOnes(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	s := open(t, dsn)
	const all, batch = 40, 3
	for range all {
		keep(t, s, nil)
	}
	var purged atomic.Int64
	var nodes sync.WaitGroup
	for range 4 {
		nodes.Go(func() {
			for {
				n, err := s.PurgeDeliveries(t.Context(), time.Now().Add(time.Hour), batch)
				if err != nil {
					t.Error(err)
					return
				}
				purged.Add(n)
				if n == 0 {
					return
				}
			}
		})
	}
	nodes.Wait()
	if purged.Load() != all || len(keysInUse(t, s)) != 0 {
		t.Errorf("%d were purged, want %d once each; in use are %v", purged.Load(), all, keysInUse(t, s))
	}
}
