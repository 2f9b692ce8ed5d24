package server_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/verification"
)

// issuerAudience is this API's name at the test issuers.
const issuerAudience = "https://api.shop.example"

// issuer is an OIDC issuer over HTTP that does what a test tells it to.
type issuer struct {
	t   *testing.T
	url string

	mu      sync.Mutex
	keys    []issuerKey
	down    bool
	lying   bool
	fetches int
}

type issuerKey struct {
	id      string
	private ed25519.PrivateKey
}

// newIssuer starts an issuer with one key.
func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{t: t}
	i.rotate()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", i.serveDiscovery)
	mux.HandleFunc("GET /keys", i.serveKeys)
	host := httptest.NewServer(mux)
	t.Cleanup(host.Close)
	i.url = host.URL
	return i
}

// of configures the issuer for a tenant.
func (i *issuer) of(scope verification.Scope) config.EndUsers {
	return config.EndUsers{
		Scope: scope, Issuer: i.url, Audiences: []string{issuerAudience}, Algorithms: []string{"EdDSA"}, SubjectClaim: "sub",
	}
}

// rotate makes another key the signing one and withdraws the one before.
func (i *issuer) rotate() {
	i.t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		i.t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(i.keys, issuerKey{id: "key-" + strconv.Itoa(len(i.keys)+1), private: private})
}

// fail makes the issuer answer with errors, or stop doing so.
func (i *issuer) fail(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

// lie makes the discovery document name another issuer.
func (i *issuer) lie() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.lying = true
}

func (i *issuer) fetched() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fetches
}

func (i *issuer) serveDiscovery(w http.ResponseWriter, _ *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.down {
		http.Error(w, "marked-issuer-text", http.StatusInternalServerError)
		return
	}
	name := i.url
	if i.lying {
		name = "https://marked-other-issuer.test"
	}
	_ = json.NewEncoder(w).Encode(map[string]string{"issuer": name, "jwks_uri": i.url + "/keys"})
}

func (i *issuer) serveKeys(w http.ResponseWriter, _ *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.fetches++
	if i.down {
		http.Error(w, "marked-issuer-text", http.StatusInternalServerError)
		return
	}
	signing := i.keys[len(i.keys)-1]
	public, _ := signing.private.Public().(ed25519.PublicKey)
	_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{map[string]string{
		"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": signing.id,
		"x": base64.RawURLEncoding.EncodeToString(public),
	}}})
}

// claimsOf are the claims of a good access token.
func (i *issuer) claimsOf(subject string, lifetime time.Duration) jwt.MapClaims {
	now := time.Now()
	return jwt.MapClaims{
		"iss": i.url, "aud": issuerAudience, "sub": subject,
		"iat": now.Add(-time.Hour).Unix(), "exp": now.Add(lifetime).Unix(),
	}
}

// token is an access token of a user, good for an hour.
func (i *issuer) token(subject string) string {
	i.t.Helper()
	return i.sign(i.claimsOf(subject, time.Hour))
}

// sign signs claims with the present key.
func (i *issuer) sign(claims jwt.MapClaims) string {
	i.t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	signing := i.keys[len(i.keys)-1]
	return signAs(i.t, claims, signing.id, signing.private)
}

// signAs signs claims with any key under any key id.
func signAs(t *testing.T, claims jwt.MapClaims, id string, private ed25519.PrivateKey) string {
	t.Helper()
	draft := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims)
	draft.Header["kid"] = id
	text, err := draft.SignedString(private)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// forge signs claims with a key that the issuer never had, under the id of the
// one that it has.
func (i *issuer) forge(claims jwt.MapClaims) string {
	i.t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		i.t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	return signAs(i.t, claims, i.keys[len(i.keys)-1].id, private)
}

// unsigned is a token that asks not to be checked.
func (i *issuer) unsigned(claims jwt.MapClaims) string {
	i.t.Helper()
	text, err := jwt.NewWithClaims(jwt.SigningMethodNone, claims).SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		i.t.Fatal(err)
	}
	return text
}

// letEndUsersStart opens every flow for end users.
func letEndUsersStart(c *config.Config) {
	for i := range c.Flows {
		c.Flows[i].EndUsers = true
	}
}
