package access_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/verification"
)

// admitted is a gate that let its key in, and the store behind it.
func admitted(t *testing.T) (*access.Authenticator, *vault, access.Principal) {
	t.Helper()
	a, key, text := gate(t)
	store := &vault{keys: []*access.Key{key}}
	a.Keys = store
	p, err := a.Authenticate(t.Context(), "Bearer "+text)
	if err != nil {
		t.Fatal(err)
	}
	store.lookups = 0
	return a, store, p
}

func TestAKeyIsCheckedAgainWhileItsStreamLasts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(s *vault)
		reason string
	}{
		"still good":           {func(*vault) {}, ""},
		"about to end":         {func(s *vault) { s.keys[0].ExpireTime = now().Add(time.Nanosecond) }, ""},
		"revoked since":        {func(s *vault) { s.keys[0].RevokeTime = now() }, "revoked"},
		"rotated and over":     {func(s *vault) { s.keys[0].ExpireTime = now() }, "expired"},
		"gone from the tables": {func(s *vault) { s.keys = nil }, "unknown_key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, store, p := admitted(t)
			c.change(store)
			err := a.Recheck(t.Context(), p)
			if store.lookups != 1 {
				t.Errorf("it cost %d look-ups, want 1", store.lookups)
			}
			if c.reason == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			wantRefused(t, name, access.Principal{}, err)
			wantReason(t, err, c.reason)
		})
	}
}

func TestACredentialThatRanOutIsRefusedWithoutALookUp(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]access.Principal{
		"a key":          {Scope: testScope(), KeyID: "0011223344556677"},
		"a client token": {Scope: testScope(), VerificationID: uuid.Must(uuid.NewV7())},
		"an end user":    {Scope: testScope(), Subject: "alice"},
	} {
		a, store, _ := admitted(t)
		p.ExpireTime = now()
		err := a.Recheck(t.Context(), p)
		wantRefused(t, name, access.Principal{}, err)
		wantReason(t, err, "expired")
		if store.lookups != 0 {
			t.Errorf("%s: %d look-ups", name, store.lookups)
		}
	}
}

func TestATokenThatLastsIsGoodWithoutALookUp(t *testing.T) {
	t.Parallel()
	a, store, _ := admitted(t)
	withIssuer(a, issuer{})
	store.err = absent()
	for name, p := range map[string]access.Principal{
		"a client token": {Scope: testScope(), VerificationID: uuid.Must(uuid.NewV7()), ExpireTime: now().Add(time.Nanosecond), Voucher: signingKey().ID},
		"an end user":    {Scope: testScope(), Subject: "alice", ExpireTime: now().Add(time.Nanosecond), Voucher: "https://auth.example.com"},
	} {
		if err := a.Recheck(t.Context(), p); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if store.lookups != 0 {
		t.Errorf("%d look-ups", store.lookups)
	}
}

func TestAStreamEndsWithTheKeyOrIssuerThatVouchedForIt(t *testing.T) {
	t.Parallel()
	a, _, _ := admitted(t)
	withIssuer(a, issuer{})
	for name, p := range map[string]access.Principal{
		"a client token of a removed signing key": {Scope: testScope(), VerificationID: uuid.Must(uuid.NewV7()), Voucher: "k0"},
		"a client token of no key":                {Scope: testScope(), VerificationID: uuid.Must(uuid.NewV7())},
		"an end user of a removed issuer":         {Scope: testScope(), Subject: "alice", Voucher: removedIssuer},
	} {
		err := a.Recheck(t.Context(), p)
		wantRefused(t, name, access.Principal{}, err)
		wantReason(t, err, "voucher_removed")
	}
	a.EndUsers = func() access.EndUsers { return nil }
	err := a.Recheck(t.Context(), access.Principal{Scope: testScope(), Subject: "alice", Voucher: "https://auth.example.com"})
	wantReason(t, err, "voucher_removed")
}

func TestAnAbsentDatabaseRefusesNobodyForGood(t *testing.T) {
	t.Parallel()
	a, store, p := admitted(t)
	store.err = absent()
	err := a.Recheck(t.Context(), p)
	if verification.KindOf(err) != verification.KindUnavailable || access.RefusalOf(err) != nil {
		t.Errorf("got %v, want it unavailable", err)
	}
}
