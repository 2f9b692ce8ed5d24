package access_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/verification"
)

const (
	signing = "marked-signing-secret-of-32-bytes"
	retired = "marked-retired-secret-of-32-bytes"
)

func newTokens(t testing.TB, keys ...access.TokenKey) *access.Tokens {
	t.Helper()
	tokens, err := access.NewTokens(keys)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func signingKey() access.TokenKey { return access.TokenKey{ID: "k2", Secret: secret.New(signing)} }
func retiredKey() access.TokenKey { return access.TokenKey{ID: "k1", Secret: secret.New(retired)} }

func someVerification() *verification.Verification {
	return &verification.Verification{
		ID: uuid.Must(uuid.NewV7()), Scope: testScope(), CreateTime: now(), GraceUntil: now().Add(time.Hour),
	}
}

// forge signs any claims with any method, as an attacker would try.
func forge(t *testing.T, method jwt.SigningMethod, key any, kid string, change func(jwt.MapClaims)) string {
	t.Helper()
	claims := jwt.MapClaims{
		"sub": uuid.NewString(), "aud": "verigate-client", "exp": now().Add(time.Hour).Unix(), "prj": "shop", "env": "test",
	}
	if change != nil {
		change(claims)
	}
	token := jwt.NewWithClaims(method, claims)
	if kid != "" {
		token.Header["kid"] = kid
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestATokenIsGoodForItsOneVerification(t *testing.T) {
	t.Parallel()
	tokens := newTokens(t, signingKey())
	v := someVerification()
	text, err := tokens.Issue(v)
	if err != nil {
		t.Fatal(err)
	}
	p, err := tokens.Verify(text, now())
	if err != nil || p.VerificationID != v.ID || p.Scope != v.Scope || p.IsKey() || p.IsEndUser() {
		t.Fatalf("got %+v, %v", p, err)
	}
	if !p.MaySee(v) || p.MaySee(someVerification()) {
		t.Error("it may see another verification, or not its own")
	}
	if again, err := tokens.Issue(v); err != nil || again != text {
		t.Errorf("issued again it differs: %v", err)
	}
}

func TestATokenOutlivesTheGracePeriodALittleAndNoMore(t *testing.T) {
	t.Parallel()
	tokens := newTokens(t, signingKey())
	v := someVerification()
	text, err := tokens.Issue(v)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tokens.Verify(text, v.GraceUntil.Add(9*time.Minute)); err != nil {
		t.Errorf("shortly after the grace period: %v", err)
	}
	p, err := tokens.Verify(text, v.GraceUntil.Add(11*time.Minute))
	wantRefused(t, "long after the grace period", p, err)
}

func TestARotatedKeyStillVerifiesAndARemovedOneDoesNot(t *testing.T) {
	t.Parallel()
	old, err := newTokens(t, retiredKey()).Issue(someVerification())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newTokens(t, signingKey(), retiredKey()).Verify(old, now()); err != nil {
		t.Errorf("during the rotation: %v", err)
	}
	p, err := newTokens(t, signingKey()).Verify(old, now())
	wantRefused(t, "after it", p, err)
}

func TestForgedTokensAreRefused(t *testing.T) {
	t.Parallel()
	tokens := newTokens(t, signingKey(), retiredKey())
	pair, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&pair.PublicKey)})
	good := []byte(signing)
	hs := jwt.SigningMethodHS256
	for name, text := range map[string]string{
		"without a signature":      forge(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "k2", nil),
		"signed by RSA":            forge(t, jwt.SigningMethodRS256, pair, "k2", nil),
		"keyed by a public key":    forge(t, hs, public, "k2", nil),
		"another HMAC, right key":  forge(t, jwt.SigningMethodHS512, good, "k2", nil),
		"another secret":           forge(t, hs, []byte(strings.Repeat("x", 32)), "k2", nil),
		"an empty secret":          forge(t, hs, []byte{}, "k2", nil),
		"the secret of another id": forge(t, hs, good, "k1", nil),
		"an unknown key id":        forge(t, hs, good, "k3", nil),
		"no key id":                forge(t, hs, good, "", nil),
		"expired":                  forge(t, hs, good, "k2", func(c jwt.MapClaims) { c["exp"] = now().Add(-time.Second).Unix() }),
		"no expiry":                forge(t, hs, good, "k2", func(c jwt.MapClaims) { delete(c, "exp") }),
		"not good yet":             forge(t, hs, good, "k2", func(c jwt.MapClaims) { c["nbf"] = now().Add(time.Hour).Unix() }),
		"another audience":         forge(t, hs, good, "k2", func(c jwt.MapClaims) { c["aud"] = "elsewhere" }),
		"no audience":              forge(t, hs, good, "k2", func(c jwt.MapClaims) { delete(c, "aud") }),
		"no verification":          forge(t, hs, good, "k2", func(c jwt.MapClaims) { delete(c, "sub") }),
		"a zero verification":      forge(t, hs, good, "k2", func(c jwt.MapClaims) { c["sub"] = uuid.Nil.String() }),
		"a verification that is no id": forge(t, hs, good, "k2", func(c jwt.MapClaims) {
			c["sub"] = "everything"
		}),
		"no project":     forge(t, hs, good, "k2", func(c jwt.MapClaims) { delete(c, "prj") }),
		"no environment": forge(t, hs, good, "k2", func(c jwt.MapClaims) { delete(c, "env") }),
		"nothing":        "",
		"dots":           "..",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := tokens.Verify(text, now())
			wantRefused(t, name, p, err)
		})
	}
	if _, err := tokens.Verify(forge(t, hs, good, "k2", nil), now()); err != nil {
		t.Errorf("the forger's own claims with the right key are refused, so the cases prove nothing: %v", err)
	}
}

func TestATokenIsRefusedAtEveryLengthAndWithEveryBitFlipped(t *testing.T) {
	t.Parallel()
	tokens := newTokens(t, signingKey())
	text, err := tokens.Issue(someVerification())
	if err != nil {
		t.Fatal(err)
	}
	for i := range text {
		p, err := tokens.Verify(text[:i], now())
		wantRefused(t, "cut", p, err)
		for bit := range 8 {
			changed := []byte(text)
			changed[i] ^= 1 << bit
			p, err := tokens.Verify(string(changed), now())
			wantRefused(t, "a flipped bit", p, err)
		}
	}
	for _, longer := range []string{text + "A", text + "=", text + ".", text + "." + text, " " + text, text + "\n"} {
		p, err := tokens.Verify(longer, now())
		wantRefused(t, "longer", p, err)
	}
}

func TestBadSigningKeysRefuseTheStart(t *testing.T) {
	t.Parallel()
	if _, err := access.NewTokens(nil); err == nil {
		t.Error("no key at all was accepted")
	}
	short := access.TokenKey{ID: "k9", Secret: secret.New(strings.Repeat("s", access.MinTokenSecret-1))}
	_, err := access.NewTokens([]access.TokenKey{signingKey(), short})
	if err == nil || !strings.Contains(err.Error(), "k9") || strings.Contains(err.Error(), "sss") {
		t.Errorf("a short secret: %v, want an error that names the key and not the secret", err)
	}
}

// What verifies is what was issued: there is no second text for the same token.
func FuzzClientToken(f *testing.F) {
	tokens := newTokens(f, signingKey())
	// The same in every process of the fuzzer.
	v := someVerification()
	v.ID = uuid.UUID{6: 0x70, 15: 1}
	good, err := tokens.Issue(v)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(strings.ToLower(good))
	f.Add("e30.e30.e30")
	f.Add(base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + ".e30.")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := tokens.Verify(text, now())
		switch {
		case err == nil && text != good:
			t.Errorf("%q was accepted as %+v", text, p)
		case err != nil:
			wantRefused(t, "a fuzzed token", p, err)
		}
	})
}
