package access_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/verification"
)

// office is an Admin on a vault, with a clock that a test sets.
type office struct {
	*access.Admin

	store *vault
	time  time.Time
}

func newOffice() *office {
	o := &office{store: &vault{}, time: now()}
	o.Admin = &access.Admin{Store: o.store, Random: rand.Reader, Now: func() time.Time { return o.time }}
	return o
}

func byOperator() verification.Operator {
	return verification.Operator{Actor: "key:0011223344556677", Address: "192.0.2.1", RequestID: "r1"}
}

// create makes a key that works for life, or for ever.
func (o *office) create(t *testing.T, life time.Duration) *access.Key {
	t.Helper()
	key, _, err := o.Create(t.Context(), testScope(), "checkout", access.BackendScopes(), life, byOperator())
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// opens reports whether a text is let in at the office's time.
func (o *office) opens(t *testing.T, text secret.Value) bool {
	t.Helper()
	a, _, _ := gate(t)
	a.Keys, a.Now = o.store, o.Now
	_, err := a.Authenticate(t.Context(), "Bearer "+text.Reveal())
	return err == nil
}

// wantEntry fails unless the newest of n entries tells of an action.
func (o *office) wantEntry(t *testing.T, n int, action verification.AuditAction, target string, details map[string]string) {
	t.Helper()
	if len(o.store.entries) != n {
		t.Fatalf("%d entries in the audit log, want %d", len(o.store.entries), n)
	}
	e := o.store.entries[n-1]
	if e.Action != action || e.Target != target || e.Operator != byOperator() || e.Scope != testScope() || !e.CreateTime.Equal(o.time) {
		t.Errorf("the audit log says %+v", e)
	}
	if fmt.Sprint(e.Details) != fmt.Sprint(details) {
		t.Errorf("with the details %v, want %v", e.Details, details)
	}
}

// wantNoSecret fails if the audit log tells a part of a key's text.
func (o *office) wantNoSecret(t *testing.T, texts ...secret.Value) {
	t.Helper()
	for _, text := range texts {
		part := strings.SplitN(text.Reveal(), "_", 4)[3]
		for _, e := range o.store.entries {
			if strings.Contains(fmt.Sprintf("%+v", *e), part) {
				t.Errorf("the entry %s tells the secret", e.Action)
			}
		}
	}
}

func TestACreatedKeyWorksAndIsInTheAuditLog(t *testing.T) {
	t.Parallel()
	o := newOffice()
	key, text, err := o.Create(t.Context(), testScope(), "on call", []access.KeyScope{access.OperatorScope, access.EventsRead}, time.Hour, byOperator())
	if err != nil {
		t.Fatal(err)
	}
	if !key.CreateTime.Equal(now()) || !key.ExpireTime.Equal(now().Add(time.Hour)) || key.Scope != testScope() || key.Name != "on call" {
		t.Errorf("made %+v", key)
	}
	if !o.opens(t, text) {
		t.Error("it does not work")
	}
	o.wantEntry(t, 1, verification.AuditKeyCreate, key.ID, map[string]string{
		"name": "on call", "scopes": "operator events:read", "expire_time": "2026-05-17T11:00:00Z",
	})
	o.wantNoSecret(t, text)
}

func TestAKeyWithoutALifetimeNeverEnds(t *testing.T) {
	t.Parallel()
	o := newOffice()
	key := o.create(t, 0)
	if !key.ExpireTime.IsZero() {
		t.Errorf("it ends at %v", key.ExpireTime)
	}
	o.wantEntry(t, 1, verification.AuditKeyCreate, key.ID, map[string]string{
		"name": "checkout", "scopes": "verifications:write verifications:read events:read",
	})
}

func wantError(t *testing.T, err error, kind verification.Kind, reason string) {
	t.Helper()
	e, ok := errors.AsType[*verification.Error](err)
	if !ok || e.Kind != kind || e.Reason != reason {
		t.Errorf("got %v, want %s %s", err, kind, reason)
	}
}

func TestARevokedKeyIsOverAtOnceAndStaysSo(t *testing.T) {
	t.Parallel()
	o := newOffice()
	key, text, err := o.Create(t.Context(), testScope(), "checkout", access.BackendScopes(), 0, byOperator())
	if err != nil {
		t.Fatal(err)
	}
	o.time = now().Add(time.Minute)
	revoked, err := o.Revoke(t.Context(), testScope(), key.ID, byOperator())
	if err != nil || !revoked.RevokeTime.Equal(o.time) || o.opens(t, text) {
		t.Fatalf("revoked %+v, %v", revoked, err)
	}
	o.wantEntry(t, 2, verification.AuditKeyRevoke, key.ID, nil)
	first := o.time
	o.time = now().Add(time.Hour)
	again, err := o.Revoke(t.Context(), testScope(), key.ID, byOperator())
	if err != nil || !again.RevokeTime.Equal(first) || len(o.store.entries) != 2 {
		t.Errorf("revoked again: %+v, %v, %d entries", again, err, len(o.store.entries))
	}
}

func TestAKeyOfAnotherScopeIsNotThere(t *testing.T) {
	t.Parallel()
	o := newOffice()
	key := o.create(t, 0)
	for _, other := range []verification.Scope{
		{Project: "rival", Environment: verification.Test}, {Project: "shop", Environment: verification.Live}, {},
	} {
		_, err := o.Rotate(t.Context(), other, key.ID, 0, byOperator())
		wantError(t, err, verification.KindNotFound, "API_KEY_NOT_FOUND")
		_, err = o.Revoke(t.Context(), other, key.ID, byOperator())
		wantError(t, err, verification.KindNotFound, "API_KEY_NOT_FOUND")
		if keys, err := o.List(t.Context(), other); err != nil || len(keys) != 0 {
			t.Errorf("%+v lists %v, %v", other, keys, err)
		}
	}
	if kept := o.store.stored(key.ID); !kept.RevokeTime.IsZero() || kept.SuccessorID != "" || len(o.store.entries) != 1 {
		t.Errorf("another scope changed it: %+v", kept)
	}
	if keys, err := o.List(t.Context(), testScope()); err != nil || len(keys) != 1 || keys[0].ID != key.ID {
		t.Errorf("its own scope lists %v, %v", keys, err)
	}
}

func TestWhatIsNotStoredIsNotMade(t *testing.T) {
	t.Parallel()
	o := newOffice()
	key := o.create(t, 0)
	o.store.err = absent()
	_, _, err := o.Create(t.Context(), testScope(), "checkout", access.BackendScopes(), 0, byOperator())
	wantError(t, err, verification.KindUnavailable, "DATABASE_UNAVAILABLE")
	_, err = o.Rotate(t.Context(), testScope(), key.ID, 0, byOperator())
	wantError(t, err, verification.KindUnavailable, "DATABASE_UNAVAILABLE")
	o.store.err = nil
	o.Random = strings.NewReader("short")
	if _, _, err = o.Create(t.Context(), testScope(), "checkout", access.BackendScopes(), 0, byOperator()); err == nil {
		t.Error("a key was made from too few random bytes")
	}
	if _, err = o.Rotate(t.Context(), testScope(), key.ID, 0, byOperator()); err == nil {
		t.Error("a successor was made from too few random bytes")
	}
	if len(o.store.keys) != 1 || len(o.store.entries) != 1 || o.store.keys[0].SuccessorID != "" {
		t.Errorf("%d keys and %d entries are left", len(o.store.keys), len(o.store.entries))
	}
}
