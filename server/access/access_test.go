package access_test

import (
	"bytes"
	"crypto/rand"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/verification"
)

func now() time.Time { return time.Date(2026, time.May, 17, 10, 0, 0, 0, time.UTC) }

func testScope() verification.Scope {
	return verification.Scope{Project: "shop", Environment: verification.Test}
}

// gate is an authenticator with one key for backends, and that key's text.
func gate(t testing.TB) (*access.Authenticator, *access.Key, string) {
	t.Helper()
	return gateWith(t, rand.Reader)
}

func gateWith(t testing.TB, random io.Reader) (*access.Authenticator, *access.Key, string) {
	t.Helper()
	key, text, err := access.NewKey(testScope(), "ci", access.BackendScopes(), random, now())
	if err != nil {
		t.Fatal(err)
	}
	tokens := newTokens(t, signingKey())
	return &access.Authenticator{
		Keys:     &vault{keys: []*access.Key{key}},
		Tokens:   func() *access.Tokens { return tokens },
		EndUsers: func() access.EndUsers { return nil },
		Now:      now,
	}, key, text.Reveal()
}

// wantRefused fails unless err is the one refusal, with the one text.
func wantRefused(t *testing.T, what string, p access.Principal, err error) {
	t.Helper()
	if verification.KindOf(err) != verification.KindUnauthenticated || err.Error() != access.ErrUnauthenticated.Error() {
		t.Errorf("%s: %v, want it unauthenticated with the usual text", what, err)
	}
	if !reflect.DeepEqual(p, access.Principal{}) {
		t.Errorf("%s: refused, but with the principal %+v", what, p)
	}
}

func TestAKeyOpensItsOwnScope(t *testing.T) {
	t.Parallel()
	a, key, text := gate(t)
	for _, header := range []string{"Bearer " + text, "bearer " + text, "BEARER   " + text + " "} {
		p, err := a.Authenticate(t.Context(), header)
		if err != nil || p.Scope != testScope() || p.KeyID != key.ID || !p.IsKey() || p.IsEndUser() {
			t.Errorf("%s…: %+v, %v", header[:8], p, err)
		}
	}
}

func TestAKeyNamesItsEnvironmentAndIsStoredHashed(t *testing.T) {
	t.Parallel()
	for _, environment := range []verification.Environment{verification.Live, verification.Test} {
		key, text, err := access.NewKey(verification.Scope{Project: "shop", Environment: environment}, "ci", access.BackendScopes(), rand.Reader, now())
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(text.Reveal(), "vg_"+string(environment)+"_"+key.ID+"_") {
			t.Errorf("a key of %s does not say so", environment)
		}
		plain := strings.TrimPrefix(text.Reveal(), "vg_"+string(environment)+"_"+key.ID+"_")
		if len(plain) < 43 || bytes.Contains(key.SecretHash, []byte(plain)) || text.String() != secret.Redacted {
			t.Error("the secret is short, stored as it is, or prints")
		}
	}
}

func TestTwoKeysShareNothing(t *testing.T) {
	t.Parallel()
	_, one, first := gate(t)
	_, two, second := gate(t)
	if one.ID == two.ID || first == second || bytes.Equal(one.SecretHash, two.SecretHash) {
		t.Error("two keys share something")
	}
}

func TestAKeyNeedsItsRandomBytes(t *testing.T) {
	t.Parallel()
	if _, _, err := access.NewKey(testScope(), "ci", access.BackendScopes(), strings.NewReader("short"), now()); err == nil {
		t.Error("a key was made from too few random bytes")
	}
}

func TestAKeyWithAnyCharacterChangedIsRefused(t *testing.T) {
	t.Parallel()
	a, _, text := gate(t)
	for i := range text {
		for _, other := range []byte{'A', '0', '_', 0xff, text[i] ^ 1, text[i] ^ 0x20} {
			if other == text[i] {
				continue
			}
			changed := text[:i] + string([]byte{other}) + text[i+1:]
			p, err := a.Authenticate(t.Context(), "Bearer "+changed)
			if err == nil {
				t.Errorf("character %d changed to %q: accepted as %+v", i, other, p)
				continue
			}
			wantRefused(t, "a changed key", p, err)
		}
		p, err := a.Authenticate(t.Context(), "Bearer "+text[:i])
		wantRefused(t, "a cut key", p, err)
	}
	p, err := a.Authenticate(t.Context(), "Bearer "+text+"A")
	wantRefused(t, "a longer key", p, err)
}

func TestWhatIsNotABearerCredentialIsRefused(t *testing.T) {
	t.Parallel()
	a, _, text := gate(t)
	for _, header := range []string{
		"", "Bearer", "Bearer ", text, "Basic " + text, "Bearer: " + text, "Bearer vg_", "Bearer vg_test_", "Bearer vg__" + text,
		"Bearer vg_test_\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00_x",
	} {
		p, err := a.Authenticate(t.Context(), header)
		wantRefused(t, "header", p, err)
	}
}

func TestAKeyWithTheOtherEnvironmentsPrefixIsRefused(t *testing.T) {
	t.Parallel()
	a, _, text := gate(t)
	p, err := a.Authenticate(t.Context(), "Bearer "+strings.Replace(text, "vg_test_", "vg_live_", 1))
	wantRefused(t, "the prefix of live", p, err)
}

func FuzzAPIKey(f *testing.F) {
	// The same key in every process of the fuzzer.
	a, _, good := gateWith(f, strings.NewReader(strings.Repeat("7", 64)))
	f.Add(good)
	f.Add("vg_test_0011223344556677_x")
	f.Add("vg_live_")
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := a.Authenticate(t.Context(), "Bearer "+text)
		switch {
		case err == nil && strings.TrimSpace(text) != good:
			t.Errorf("%q was accepted as %+v", text, p)
		case err != nil:
			wantRefused(t, "a fuzzed key", p, err)
		}
	})
}
