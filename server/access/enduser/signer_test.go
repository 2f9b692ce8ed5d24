package enduser_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"

	"github.com/verigate/verigate/server/access/enduser"
	"github.com/verigate/verigate/server/verification"
)

const (
	audience      = "https://api.shop.example"
	markedSubject = "marked-subject"
)

func scope() verification.Scope { return verification.Scope{Project: "shop", Environment: "test"} }

// signer is a private key of an issuer and how its public half is published.
type signer struct {
	kid     string
	method  jwt.SigningMethod
	private crypto.Signer
}

// rsaKey is made once: it takes long.
var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func newSigner(t testing.TB, algorithm, kid string) signer {
	t.Helper()
	var private crypto.Signer
	var err error
	switch algorithm {
	case "ES256":
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		private, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "EdDSA":
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		private, err = rsaKey()
	}
	if err != nil {
		t.Fatal(err)
	}
	return signer{kid: kid, method: jwt.GetSigningMethod(algorithm), private: private}
}

// jwk is a JSON object that a test may spoil.
type jwk map[string]any

// published is the JWK of the signer's public half.
func (s signer) published(t testing.TB) jwk {
	t.Helper()
	k, err := jwkset.NewJWKFromKey(s.private.Public(), jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{
		ALG: jwkset.ALG(s.method.Alg()), KID: s.kid, USE: jwkset.UseSig,
	}})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(k.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	var object jwk
	if err := json.Unmarshal(text, &object); err != nil {
		t.Fatal(err)
	}
	return object
}

func (k jwk) with(name string, value any) jwk {
	changed := maps.Clone(k)
	changed[name] = value
	return changed
}

func (k jwk) without(names ...string) jwk {
	changed := maps.Clone(k)
	for _, name := range names {
		delete(changed, name)
	}
	return changed
}

// draft is a token that is not signed yet.
type draft struct {
	header map[string]any
	claims jwt.MapClaims
}

// goodDraft is a token of the issuer that must be accepted.
func goodDraft(issuer string, now time.Time) draft {
	return draft{
		header: map[string]any{"typ": "at+jwt"},
		claims: jwt.MapClaims{
			"iss": issuer, "aud": audience, "sub": markedSubject, "jti": "marked-jti",
			"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		},
	}
}

func (d draft) claim(name string, value any) draft {
	d.claims = maps.Clone(d.claims)
	d.claims[name] = value
	return d
}

func (d draft) noClaim(name string) draft {
	d.claims = maps.Clone(d.claims)
	delete(d.claims, name)
	return d
}

// head sets a header parameter; nil takes it away.
func (d draft) head(name string, value any) draft {
	d.header = maps.Clone(d.header)
	d.header[name] = value
	return d
}

// sign signs the draft as the signer would.
func (d draft) sign(t testing.TB, s signer) string {
	t.Helper()
	return d.signWith(t, s.method, s.private, s.kid)
}

// signWith signs with any method and key, as a forger would.
func (d draft) signWith(t testing.TB, method jwt.SigningMethod, private any, kid string) string {
	t.Helper()
	token := jwt.NewWithClaims(method, d.claims)
	if kid != "" {
		token.Header["kid"] = kid
	}
	for name, value := range d.header {
		if value == nil {
			delete(token.Header, name)
			continue
		}
		token.Header[name] = value
	}
	text, err := token.SignedString(private)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// clock is a clock that stands until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, time.May, 17, 10, 30, 0, 0, time.UTC)} }

func (c *clock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func configOf(issuer string) enduser.Config {
	return enduser.Config{
		Scope: scope(), Issuer: issuer, Audiences: []string{audience},
		Algorithms: []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"},
	}
}
