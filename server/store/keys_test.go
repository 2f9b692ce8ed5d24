package store_test

import (
	"crypto/rand"
	"errors"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/store"
	"github.com/verigate/verigate/server/verification"
)

var operator = verification.Operator{Actor: "key:0", Address: "192.0.2.1", RequestID: "r1"}

func admin(s *store.Store) *access.Admin {
	return &access.Admin{Store: s, Random: rand.Reader, Now: func() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }}
}

func makeKey(t testing.TB, s *store.Store, scope verification.Scope, expiresIn time.Duration) *access.Key {
	t.Helper()
	key, _, err := admin(s).Create(t.Context(), scope, "n", access.BackendScopes(), expiresIn, operator)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func audit(t testing.TB, s *store.Store, q verification.AuditQuery) []*verification.AuditEntry {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 100
	}
	entries, err := s.AuditEntries(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func sameKey(a, b *access.Key) bool {
	for _, k := range []*access.Key{a, b} {
		for _, at := range []*time.Time{&k.CreateTime, &k.ExpireTime, &k.RevokeTime, &k.LastUseTime} {
			*at = at.UTC()
		}
	}
	return reflect.DeepEqual(a, b)
}

func TestAKeyComesBackAsItWasStored(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.New(t))
	want := makeKey(t, s, shop, time.Hour)
	if got, err := s.Key(t.Context(), want.ID); err != nil || !sameKey(got, want) {
		t.Errorf("stored %+v, read %+v (%v)", want, got, err)
	}
	if _, err := s.Key(t.Context(), "nope"); verification.KindOf(err) != verification.KindNotFound {
		t.Errorf("an unknown key gives %v", err)
	}
	for _, e := range audit(t, s, verification.AuditQuery{Scope: shop}) {
		if e.Action != verification.AuditKeyCreate || e.Target != want.ID || e.Operator != operator || e.Details["name"] != "n" {
			t.Errorf("the audit log says %+v", e)
		}
	}
}

func TestAKeyWithoutItsAuditEntryIsNotStored(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.New(t))
	first := makeKey(t, s, shop, 0)
	entry := audit(t, s, verification.AuditQuery{Scope: shop})[0]
	key, _, err := access.NewKey(shop, "second", access.BackendScopes(), rand.Reader, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	// An entry's id is taken: it cannot be written again.
	if err := s.AddKey(t.Context(), key, entry); err == nil {
		t.Error("the entry was written twice")
	}
	err = s.ChangeKey(t.Context(), shop, first.ID, func(k *access.Key) (*access.Key, *verification.AuditEntry, error) {
		k.RevokeTime = time.Now()
		return key, entry, nil
	})
	wantKind(t, err, verification.KindInternal)
	if _, err := s.Key(t.Context(), key.ID); verification.KindOf(err) != verification.KindNotFound {
		t.Errorf("the key is there: %v", err)
	}
	if k, err := s.Key(t.Context(), first.ID); err != nil || !k.RevokeTime.IsZero() {
		t.Errorf("the first key was changed: %+v (%v)", k, err)
	}
}

func TestKeysAreListedByScopeOldestFirst(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.New(t))
	want := []string{makeKey(t, s, shop, 0).ID, makeKey(t, s, shop, 0).ID}
	makeKey(t, s, verification.Scope{Project: "shop", Environment: verification.Live}, 0)
	makeKey(t, s, verification.Scope{Project: "rival", Environment: verification.Test}, 0)
	keys, err := s.KeysOf(t.Context(), shop)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]string, 0, len(keys))
	for _, k := range keys {
		got = append(got, k.ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the keys are %v, want %v", got, want)
	}
}

func TestChangingAKey(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.New(t))
	t.Run("a rotation stores both keys and says so", func(t *testing.T) {
		t.Parallel()
		old := makeKey(t, s, shop, 0)
		r, err := admin(s).Rotate(t.Context(), shop, old.ID, time.Minute, operator)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []*access.Key{r.Predecessor, r.Successor} {
			if got, err := s.Key(t.Context(), want.ID); err != nil || !sameKey(got, want) {
				t.Errorf("stored %+v, read %+v (%v)", want, got, err)
			}
		}
		if r.Predecessor.SuccessorID != r.Successor.ID || r.Predecessor.ExpireTime.IsZero() {
			t.Errorf("the predecessor is %+v", r.Predecessor)
		}
		if e := audit(t, s, verification.AuditQuery{Scope: shop, Target: old.ID, Action: string(verification.AuditKeyRotate)}); len(e) != 1 || e[0].Details["successor"] != r.Successor.ID {
			t.Errorf("the audit log says %+v", e)
		}
	})
	t.Run("of many rotations at once one wins", func(t *testing.T) {
		t.Parallel()
		old := makeKey(t, s, shop, 0)
		var won atomic.Int64
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				_, err := admin(s).Rotate(t.Context(), shop, old.ID, time.Minute, operator)
				switch {
				case err == nil:
					won.Add(1)
				case verification.KindOf(err) != verification.KindRefused:
					t.Error(err)
				}
			})
		}
		all.Wait()
		entries := audit(t, s, verification.AuditQuery{Scope: shop, Target: old.ID, Action: string(verification.AuditKeyRotate)})
		if won.Load() != 1 || len(entries) != 1 {
			t.Errorf("%d rotations won, %d are in the audit log", won.Load(), len(entries))
		}
	})
	t.Run("revoking twice is told once", func(t *testing.T) {
		t.Parallel()
		key := makeKey(t, s, shop, 0)
		for range 2 {
			if k, err := admin(s).Revoke(t.Context(), shop, key.ID, operator); err != nil || k.RevokeTime.IsZero() {
				t.Errorf("it is %+v (%v)", k, err)
			}
		}
		if e := audit(t, s, verification.AuditQuery{Scope: shop, Target: key.ID, Action: string(verification.AuditKeyRevoke)}); len(e) != 1 {
			t.Errorf("%d entries", len(e))
		}
	})
	t.Run("another scope's key is not there", func(t *testing.T) {
		t.Parallel()
		key := makeKey(t, s, shop, 0)
		for _, scope := range []verification.Scope{{Project: "shop", Environment: verification.Live}, {Project: "rival", Environment: verification.Test}} {
			if _, err := admin(s).Revoke(t.Context(), scope, key.ID, operator); !errors.Is(err, access.ErrKeyNotFound) {
				t.Errorf("the error is %v, want ErrKeyNotFound", err)
			}
		}
		if k, err := s.Key(t.Context(), key.ID); err != nil || !k.RevokeTime.IsZero() {
			t.Errorf("it is %+v (%v)", k, err)
		}
	})
}

func TestTheNewestUseOfAKeyIsRemembered(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.New(t))
	a, b := makeKey(t, s, shop, 0), makeKey(t, s, shop, 0)
	at := a.CreateTime.Add(time.Hour)
	for _, uses := range []map[string]time.Time{
		{a.ID: at, b.ID: at, "gone": at}, {a.ID: at.Add(-time.Minute), b.ID: at.Add(time.Minute)}, {},
	} {
		if err := s.UseKeys(t.Context(), uses); err != nil {
			t.Fatal(err)
		}
	}
	for id, want := range map[string]time.Time{a.ID: at, b.ID: at.Add(time.Minute)} {
		if k, err := s.Key(t.Context(), id); err != nil || !k.LastUseTime.Equal(want) {
			t.Errorf("it was last used at %s (%v), want %s", k.LastUseTime, err, want)
		}
	}
}

func TestTheDatabaseKnowsExactlyOurScopes(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	key := makeKey(t, open(t, dsn), shop, 0)
	try := func(scopes []string) error {
		return tryExec(t, dsn, `UPDATE api_key SET scopes = $2 WHERE id = $1`, key.ID, scopes)
	}
	all := make([]string, 0, len(access.KeyScopes()))
	for _, scope := range access.KeyScopes() {
		all = append(all, string(scope))
		if err := try([]string{string(scope)}); err != nil {
			t.Errorf("%s alone: %v", scope, err)
		}
	}
	if err := try(all); err != nil {
		t.Errorf("all: %v", err)
	}
	for _, scopes := range [][]string{{}, {"everything"}, {all[0], ""}, nil} {
		if err := try(scopes); err == nil {
			t.Errorf("the database took %q", scopes)
		}
	}
}
