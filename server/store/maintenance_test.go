package store_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/db"
	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/store"
	"github.com/verigate/verigate/server/verification"
)

func keysInUse(t testing.TB, s *store.Store) map[string]int64 {
	t.Helper()
	uses, err := s.KeysInUse(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return uses
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
	// 00007 to 00002: the one that seals.
	for range 6 {
		if err := db.Down(t.Context(), dsn); err != nil {
			t.Fatal(err)
		}
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

func TestTheKeysInUseAreKnownWithoutCounting(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	s := open(t, dsn)
	in := func() []string {
		t.Helper()
		ids, err := s.SealingKeys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return ids
	}
	if got := in(); len(got) != 0 {
		t.Errorf("without a delivery in use are %q", got)
	}
	for _, key := range []string{"k3", "k1", "k1", "k2", "k3"} {
		keep(t, openWith(t, dsn, keyring(t, key)), nil)
	}
	exec(t, dsn, `UPDATE delivery SET key_id = '' WHERE key_id = 'k2'`)
	if got := in(); !slices.Equal(got, []string{"", "k1", "k3"}) {
		t.Errorf("in use are %q", got)
	}
	purge(t, s, time.Now().Add(time.Hour), 10)
	if got := in(); len(got) != 0 {
		t.Errorf("after the purge in use are %q", got)
	}
}
