package store_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/db"
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

func keysInUse(t testing.TB, s *store.Store) map[string]int64 {
	t.Helper()
	uses, err := s.KeysInUse(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return uses
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

func TestReencrypt(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	old, current := open(t, dsn), openWith(t, dsn, keyring(t, "k2", "k1"))
	var want []*verification.Delivery
	for range 5 {
		want = append(want, keep(t, old, nil))
	}
	done := keep(t, current, nil)
	purged := keep(t, old, func(d *verification.Delivery) { d.ReceiveTime = d.ReceiveTime.Add(-time.Hour) })
	purge(t, old, purged.ReceiveTime.Add(time.Minute), 10)
	if uses := keysInUse(t, current); !maps.Equal(uses, map[string]int64{"k1": 5, "k2": 1}) {
		t.Errorf("in use are %v", uses)
	}
	calls, after, total := 1, uuid.Nil, int64(0)
	for ; ; calls++ {
		changed, last, err := current.Reencrypt(t.Context(), after, 2)
		if err != nil {
			t.Fatal(err)
		}
		total += changed
		if last == uuid.Nil {
			break
		}
		after = last
	}
	if total != 5 || calls != 3 {
		t.Errorf("%d were sealed anew in %d calls, want 5 in 3", total, calls)
	}
	if uses := keysInUse(t, current); !maps.Equal(uses, map[string]int64{"k2": 6}) {
		t.Errorf("in use are %v", uses)
	}
	without := openWith(t, dsn, keyring(t, "k2"))
	for _, d := range append(want, done) {
		if got := kept(t, without, d.ID); string(got.Body) != string(d.Body) || !maps.Equal(got.Headers, d.Headers) {
			t.Errorf("it comes back as %q, %v", got.Body, got.Headers)
		}
	}
	if changed, last, err := current.Reencrypt(t.Context(), uuid.Nil, 100); changed != 0 || last != uuid.Nil || err != nil {
		t.Errorf("a second round changed %d, ended at %s (%v)", changed, last, err)
	}
}

func TestReencryptDoesTheOthersBeforeItFails(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	old, lost := open(t, dsn), openWith(t, dsn, keyring(t, "lost"))
	keep(t, lost, nil)
	damaged := keep(t, old, nil)
	exec(t, dsn, `UPDATE delivery SET body = body || '\x00' WHERE id = $1`, damaged.ID)
	keep(t, lost, nil)
	keep(t, old, nil)
	current := openWith(t, dsn, keyring(t, "k2", "k1"))
	changed, last, err := current.Reencrypt(t.Context(), uuid.Nil, 100)
	wantKind(t, err, verification.KindInternal)
	tells(t, err)
	cause := errors.Unwrap(err)
	if changed != 1 || last != uuid.Nil || cause == nil || strings.Count(cause.Error(), `"lost"`) == 0 || !strings.Contains(cause.Error(), `"k1"`) {
		t.Errorf("%d changed, ended at %s, because %v", changed, last, cause)
	}
	if uses := keysInUse(t, current); !maps.Equal(uses, map[string]int64{"lost": 2, "k1": 1, "k2": 1}) {
		t.Errorf("in use are %v", uses)
	}
}

func TestReencryptWalksPastManyThatAreDone(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	s := open(t, dsn)
	exec(t, dsn, `INSERT INTO delivery (id, project, environment, connection, receive_time, headers, body, key_id, dedupe_key, effect)
		SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, 'shop', 'test', 'human', now(), '', '', 'k1', i::text, 'ping'
		FROM generate_series(1, 1200) i`)
	last := keep(t, openWith(t, dsn, keyring(t, "k0")), nil)
	changed, _, err := openWith(t, dsn, keyring(t, "k1", "k0")).Reencrypt(t.Context(), uuid.Nil, 1)
	if err != nil || changed != 1 {
		t.Errorf("%d changed (%v), want the last of 1,201", changed, err)
	}
	if got := kept(t, s, last.ID); string(got.Body) != string(last.Body) {
		t.Errorf("it comes back as %q", got.Body)
	}
}

func TestAPurgeBeatsReencryption(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	old, current := open(t, dsn), openWith(t, dsn, keyring(t, "k2", "k1"))
	const rounds = 20
	for range rounds {
		d := keep(t, old, nil)
		var both sync.WaitGroup
		both.Go(func() {
			if _, _, err := current.Reencrypt(t.Context(), uuid.Nil, 10); err != nil {
				t.Error(err)
			}
		})
		both.Go(func() {
			if _, err := current.PurgeDeliveries(t.Context(), d.ReceiveTime.Add(time.Second), 10); err != nil {
				t.Error(err)
			}
		})
		both.Wait()
		if got := kept(t, current, d.ID); got.Body != nil {
			// The purge skips what is locked: the next one takes it.
			purge(t, current, d.ReceiveTime.Add(time.Second), 10)
		}
		if got := kept(t, current, d.ID); got.Body != nil || !got.Emptied {
			t.Fatalf("a purged delivery came back: %+v", got)
		}
	}
}

// TestRowsFromBeforeTheSealAreReadAndSealed goes the way of an operator who
// updates: plain rows, the migration, then the re-encryption.
func TestRowsFromBeforeTheSealAreReadAndSealed(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	if err := db.Down(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	id, repeat, ref := uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
	for delivery, effect := range map[uuid.UUID]string{id: "applied", repeat: "duplicate"} {
		exec(t, dsn, `INSERT INTO delivery (id, project, environment, connection, receive_time, headers, body, dedupe_key, refs, effect, verification_id, apply_time)
			VALUES ($1, 'shop', 'test', 'human', now(), '{"X-Note": "`+marker+`"}', $2, 'key:1', '{verification:1}', $3, $4, now())`,
			delivery, []byte(marker), effect, uuid.NullUUID{UUID: ref, Valid: effect == "applied"})
	}
	exec(t, dsn, `INSERT INTO seen VALUES ('human', 'key:1', $1, now())`, id)
	exec(t, dsn, `INSERT INTO api_key (id, project, environment, name, secret_hash, create_time) VALUES ('k', 'shop', 'test', 'n', sha256('s'), now())`)
	if _, err := db.Migrate(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	s := open(t, dsn)
	same := func() {
		t.Helper()
		if got := kept(t, s, id); string(got.Body) != marker || got.Headers["X-Note"] != marker || got.Effect != verification.Applied || got.VerificationID != ref {
			t.Errorf("it reads %+v", got)
		}
	}
	same()
	if got := kept(t, s, repeat); !got.Emptied || got.Body != nil || got.Effect != verification.Duplicate {
		t.Errorf("the repeat is %+v, want it without content", got)
	}
	if !ask[bool](t, dsn, bare, repeat) {
		t.Error("the repeat still holds something")
	}
	if changed, last, err := s.Reencrypt(t.Context(), uuid.Nil, 10); changed != 1 || last != uuid.Nil || err != nil {
		t.Errorf("%d were sealed (%v), want one", changed, err)
	}
	same()
	if n := readable(t, dsn, marker); n != 0 || !maps.Equal(keysInUse(t, s), map[string]int64{"k1": 1}) {
		t.Errorf("%d are readable, in use are %v", n, keysInUse(t, s))
	}
	late := arrived()
	late.DedupeKey = "key:1"
	err := s.InTx(t.Context(), func(tx verification.Tx) error {
		fresh, err := tx.MarkSeen(context.WithoutCancel(t.Context()), late)
		if fresh {
			t.Error("a key that was seen before the migration is new")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if key, err := s.Key(t.Context(), "k"); err != nil || len(key.Scopes) != 3 {
		t.Errorf("the key from before is %+v (%v), want the scopes of a backend", key, err)
	}
}
