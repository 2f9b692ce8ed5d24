package access_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/verification"
)

func TestARotatedKeyHasOneSuccessorThatIsLikeIt(t *testing.T) {
	t.Parallel()
	o := newOffice()
	old, oldText, err := o.Create(t.Context(), testScope(), "checkout", access.BackendScopes(), 0, byOperator())
	if err != nil {
		t.Fatal(err)
	}
	o.time = now().Add(time.Hour)
	made, err := o.Rotate(t.Context(), testScope(), old.ID, 30*time.Minute, byOperator())
	if err != nil {
		t.Fatal(err)
	}
	next := made.Successor
	if next.ID == old.ID || next.Name != old.Name || !slices.Equal(next.Scopes, old.Scopes) || next.Scope != old.Scope ||
		!next.ExpireTime.IsZero() || !next.CreateTime.Equal(o.time) || next.SuccessorID != "" {
		t.Errorf("made %+v of %+v", next, old)
	}
	kept := o.store.stored(old.ID)
	if kept.SuccessorID != next.ID || made.Predecessor.SuccessorID != next.ID || !kept.ExpireTime.Equal(o.time.Add(30*time.Minute)) {
		t.Errorf("the old key is %+v", kept)
	}
	o.wantEntry(t, 2, verification.AuditKeyRotate, old.ID, map[string]string{
		"successor": next.ID, "expire_time": "2026-05-17T11:30:00Z",
	})
	o.wantNoSecret(t, oldText, made.Text)
	for _, c := range []struct {
		at   time.Duration
		both bool
	}{{90*time.Minute - 1, true}, {90 * time.Minute, false}} {
		o.time = now().Add(c.at)
		if !o.opens(t, made.Text) || o.opens(t, oldText) != c.both {
			t.Errorf("after %v: the successor opens %t, the old key %t", c.at, o.opens(t, made.Text), o.opens(t, oldText))
		}
	}
}

func TestRotationKeepsTheLifetime(t *testing.T) {
	t.Parallel()
	o := newOffice()
	old := o.create(t, 10*time.Hour)
	o.time = now().Add(4 * time.Hour)
	made, err := o.Rotate(t.Context(), testScope(), old.ID, 0, byOperator())
	if err != nil {
		t.Fatal(err)
	}
	if want := o.time.Add(10 * time.Hour); !made.Successor.ExpireTime.Equal(want) {
		t.Errorf("the successor ends at %v, want %v", made.Successor.ExpireTime, want)
	}
}

func TestAnOverlapShortensAKeysLifeAndNeverLengthensIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ life, overlap, want time.Duration }{
		"a key that never ends":           {0, time.Hour, time.Hour},
		"a key that ends later":           {2 * time.Hour, time.Hour, time.Hour},
		"a key that ends at that moment":  {time.Hour, time.Hour, time.Hour},
		"a key that ends before":          {time.Minute, time.Hour, time.Minute},
		"no overlap ends the key at once": {2 * time.Hour, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice()
			old := o.create(t, c.life)
			made, err := o.Rotate(t.Context(), testScope(), old.ID, c.overlap, byOperator())
			if err != nil {
				t.Fatal(err)
			}
			if want := now().Add(c.want); !o.store.stored(old.ID).ExpireTime.Equal(want) || !made.Predecessor.ExpireTime.Equal(want) {
				t.Errorf("it ends at %v, want %v", o.store.stored(old.ID).ExpireTime, want)
			}
		})
	}
}

func TestAKeyThatIsOverOrRotatedCannotBeRotated(t *testing.T) {
	t.Parallel()
	rotate := func(t *testing.T, o *office, k *access.Key) {
		t.Helper()
		if _, err := o.Rotate(t.Context(), testScope(), k.ID, time.Hour, byOperator()); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		first  func(t *testing.T, o *office, k *access.Key)
		reason string
	}{
		"rotated already": {rotate, "API_KEY_ROTATED"},
		"rotated already, and over": {func(t *testing.T, o *office, k *access.Key) {
			rotate(t, o, k)
			o.time = o.time.Add(2 * time.Hour)
		}, "API_KEY_ROTATED"},
		"revoked": {func(t *testing.T, o *office, k *access.Key) {
			if _, err := o.Revoke(t.Context(), testScope(), k.ID, byOperator()); err != nil {
				t.Fatal(err)
			}
		}, "API_KEY_OVER"},
		"expired": {func(_ *testing.T, o *office, _ *access.Key) { o.time = o.time.Add(10 * time.Hour) }, "API_KEY_OVER"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice()
			key := o.create(t, 10*time.Hour)
			c.first(t, o, key)
			keys, entries := len(o.store.keys), len(o.store.entries)
			made, err := o.Rotate(t.Context(), testScope(), key.ID, time.Hour, byOperator())
			wantError(t, err, verification.KindRefused, c.reason)
			if access.RefusalOf(err) != nil {
				t.Error("it counts as a refused credential of the operator")
			}
			if made.Successor != nil || !made.Text.Empty() || len(o.store.keys) != keys || len(o.store.entries) != entries {
				t.Errorf("something was made: %+v", made)
			}
			if next := o.store.stored(key.ID).SuccessorID; next != "" && !strings.Contains(err.Error(), next) {
				t.Errorf("%q does not name the successor %s", err, next)
			}
		})
	}
}
