package access_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/access/enduser"
	"github.com/verigate/verigate/server/verification"
)

// issuer knows the credentials that begin with user- and answers the same for
// all of them.
type issuer struct {
	user enduser.User
	err  error
}

func (issuer) Knows(credential string) bool { return strings.HasPrefix(credential, "user-") }

// removedIssuer is no issuer any more.
const removedIssuer = "https://removed.example.com"

func (issuer) Serves(_ verification.Scope, name string) bool { return name != removedIssuer }

func (i issuer) Verify(context.Context, string) (enduser.User, error) { return i.user, i.err }

// withIssuer lets end users in, or not.
func withIssuer(a *access.Authenticator, i issuer) {
	a.EndUsers = func() access.EndUsers { return i }
}

const (
	// marked is in every credential that must not be told.
	marked = "marked-part-of-a-credential"
	// nobodysKey is well-formed, and of no key.
	nobodysKey = "vg_test_0011223344556677_" + marked
)

// refusals are all the ways in which Authenticate refuses, and the word that
// the operator sees for each.
var refusals = map[string]struct {
	reason string
	header func(t *testing.T, a *access.Authenticator, k *access.Key, text string) string
}{
	"no header":       {"no_credential", says("")},
	"another scheme":  {"no_credential", says("Basic " + marked)},
	"a bare scheme":   {"no_credential", says("Bearer")},
	"half a key":      {"malformed_key", says("Bearer vg_test_" + marked)},
	"a key id of air": {"malformed_key", says("Bearer vg_test_zzzz_" + marked)},
	"a key of nobody": {"unknown_key", says("Bearer " + nobodysKey)},
	"a wrong secret": {"wrong_secret", func(_ *testing.T, _ *access.Authenticator, k *access.Key, _ string) string {
		return "Bearer vg_test_" + k.ID + "_" + marked
	}},
	"the other environment's prefix": {"wrong_environment", func(_ *testing.T, _ *access.Authenticator, _ *access.Key, text string) string {
		return "Bearer " + strings.Replace(text, "vg_test_", "vg_live_", 1)
	}},
	"a revoked key": {"revoked", func(_ *testing.T, _ *access.Authenticator, k *access.Key, text string) string {
		k.RevokeTime = now()
		return "Bearer " + text
	}},
	"an expired key": {"expired", func(_ *testing.T, _ *access.Authenticator, k *access.Key, text string) string {
		k.ExpireTime = now()
		return "Bearer " + text
	}},
	"an expired client token": {"expired", func(t *testing.T, _ *access.Authenticator, _ *access.Key, _ string) string {
		return "Bearer " + forge(t, jwt.SigningMethodHS256, []byte(signing), "k2", func(c jwt.MapClaims) { c["exp"] = now().Unix() })
	}},
	"a forged client token": {"token", func(t *testing.T, _ *access.Authenticator, _ *access.Key, _ string) string {
		return "Bearer " + forge(t, jwt.SigningMethodHS256, []byte(marked), "k2", nil)
	}},
	"what is no token at all": {"token", says("Bearer " + marked)},
	"an end user's token that its issuer's keys refuse": {"access_token", func(_ *testing.T, a *access.Authenticator, _ *access.Key, _ string) string {
		withIssuer(a, issuer{err: fmt.Errorf("%w: its signature is wrong", enduser.ErrRefused)})
		return "Bearer user-" + marked
	}},
}

func says(header string) func(*testing.T, *access.Authenticator, *access.Key, string) string {
	return func(*testing.T, *access.Authenticator, *access.Key, string) string { return header }
}

func TestEveryRefusalHasAWordForTheOperatorAndOneTextForTheCaller(t *testing.T) {
	t.Parallel()
	for name, c := range refusals {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, key, text := gate(t)
			a.Used = func(string) { t.Error("the key counts as used") }
			p, err := a.Authenticate(t.Context(), c.header(t, a, key, text))
			wantRefused(t, name, p, err)
			wantReason(t, err, c.reason)
		})
	}
}

// wantReason fails unless the operator is told the reason, and no secret.
func wantReason(t *testing.T, err error, reason string) {
	t.Helper()
	refusal := access.RefusalOf(err)
	if refusal == nil {
		t.Fatalf("%v has no reason for the operator", err)
	}
	if refusal.Reason != reason || refusal.Error() == "" || refusal.Error() == err.Error() {
		t.Errorf("the operator is told %q: %q, want %q", refusal.Reason, refusal.Error(), reason)
	}
	if strings.Contains(refusal.Error(), marked) {
		t.Errorf("the operator is told a part of the credential: %q", refusal.Error())
	}
}

func TestAGoodCredentialForAnotherCallIsRefusedLikeABadOne(t *testing.T) {
	t.Parallel()
	for reason, p := range map[string]access.Principal{
		"scope":                 {Scope: testScope(), KeyID: "0011223344556677"},
		"not_for_end_users":     {Scope: testScope(), Subject: marked},
		"not_for_client_tokens": {Scope: testScope(), VerificationID: uuid.Must(uuid.NewV7())},
	} {
		err := access.RefuseCall(p)
		wantRefused(t, reason, access.Principal{}, err)
		wantReason(t, err, reason)
	}
}

func TestAnotherErrorThatARefusalCausedIsNoRefusal(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"nil":                 nil,
		"anything":            errors.New("anything"),
		"a move that is over": verification.NewError(verification.KindRefused, "OVER", "over").WithCause(access.RefuseCall(access.Principal{})),
	} {
		if refusal := access.RefusalOf(err); refusal != nil {
			t.Errorf("%s: %v, want none", name, refusal)
		}
	}
}

func TestWhatCannotBeCheckedIsUnavailableAndNotRefused(t *testing.T) {
	t.Parallel()
	a, _, text := gate(t)
	a.Keys = &vault{err: absent()}
	withIssuer(a, issuer{err: fmt.Errorf("%w: no answer", enduser.ErrUnavailable)})
	for name, header := range map[string]string{"a key without its database": "Bearer " + text, "a token without its issuer": "Bearer user-" + marked} {
		p, err := a.Authenticate(t.Context(), header)
		if verification.KindOf(err) != verification.KindUnavailable || access.RefusalOf(err) != nil || p.IsKey() || p.IsEndUser() {
			t.Errorf("%s: %+v, %v; want it unavailable", name, p, err)
		}
		if err != nil && strings.Contains(err.Error(), marked) {
			t.Errorf("%s: the caller is told %q", name, err)
		}
	}
}

func TestAnEndUsersTokenSpeaksForItsSubject(t *testing.T) {
	t.Parallel()
	a, _, _ := gate(t)
	end := now().Add(time.Hour)
	withIssuer(a, issuer{user: enduser.User{Scope: testScope(), Subject: "user-7", ExpireTime: end}})
	p, err := a.Authenticate(t.Context(), "Bearer user-token")
	if err != nil || !p.IsEndUser() || p.IsKey() || p.Subject != "user-7" || p.Scope != testScope() || !p.ExpireTime.Equal(end) {
		t.Errorf("got %+v, %v", p, err)
	}
}

// A key's look-up is what takes time: a refusal costs the same whether there is
// such a key or not, so its duration tells nothing.
func TestEveryRefusedKeyCostsOneLookUp(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(k *access.Key, text string) string{
		"of nobody":                func(*access.Key, string) string { return nobodysKey },
		"with a wrong secret":      func(k *access.Key, _ string) string { return "vg_test_" + k.ID + "_" + marked },
		"with another environment": func(_ *access.Key, text string) string { return strings.Replace(text, "_test_", "_live_", 1) },
		"that is revoked":          func(k *access.Key, text string) string { k.RevokeTime = now(); return text },
		"that is expired":          func(k *access.Key, text string) string { k.ExpireTime = now(); return text },
		"that is good":             func(_ *access.Key, text string) string { return text },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, key, text := gate(t)
			store := &vault{keys: []*access.Key{key}}
			a.Keys = store
			credential := change(key, text)
			if _, err := a.Authenticate(t.Context(), "Bearer "+credential); (err == nil) != (name == "that is good") {
				t.Errorf("got %v", err)
			}
			if store.lookups != 1 {
				t.Errorf("it cost %d look-ups, want 1", store.lookups)
			}
		})
	}
}

func TestWhatIsNoKeyCostsNoLookUp(t *testing.T) {
	t.Parallel()
	a, _, _ := gate(t)
	store := &vault{}
	a.Keys = store
	for _, header := range []string{"", "Bearer vg_", "Bearer vg_test_short_" + marked, "Bearer " + marked} {
		if _, err := a.Authenticate(t.Context(), header); err == nil {
			t.Errorf("%q was let in", header)
		}
	}
	if store.lookups != 0 {
		t.Errorf("cost %d look-ups, want none", store.lookups)
	}
}

func TestAGoodKeyIsNotedAsUsed(t *testing.T) {
	t.Parallel()
	a, key, text := gate(t)
	var used []string
	a.Used = func(id string) { used = append(used, id) }
	if _, err := a.Authenticate(t.Context(), "Bearer "+text); err != nil {
		t.Fatal(err)
	}
	if len(used) != 1 || used[0] != key.ID {
		t.Errorf("noted %v, want %s", used, key.ID)
	}
}

func TestAKeyEndsExactlyAtItsTime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end  time.Time
		good bool
	}{
		"a moment later": {now().Add(time.Nanosecond), true},
		"now":            {now(), false},
		"a moment ago":   {now().Add(-time.Nanosecond), false},
		"never":          {time.Time{}, true},
	} {
		a, key, text := gateWith(t, rand.Reader)
		key.ExpireTime = c.end
		p, err := a.Authenticate(t.Context(), "Bearer "+text)
		if c.good && (err != nil || !p.ExpireTime.Equal(c.end)) {
			t.Errorf("ends %s: %+v, %v", name, p, err)
		}
		if !c.good {
			wantRefused(t, "ends "+name, p, err)
		}
	}
}
