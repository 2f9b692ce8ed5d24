package enduser_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/verigate/verigate/server/access/enduser"
)

// An issuer's documents are believed only as far as they must be.

func TestALyingDiscoveryDocumentIsNotFollowed(t *testing.T) {
	t.Parallel()
	s := newScene(t, "ES256")
	elsewhere := newIssuer(t, s.signer.published(t))
	document := func(issuer, keys string) http.HandlerFunc {
		return says(fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, issuer, keys))
	}
	good := s.issuer.url + "/keys"
	for name, c := range map[string]struct {
		lie    http.HandlerFunc
		reason string
	}{
		"about another issuer":   {document("https://other.example", good), "issuer"},
		"with a slash more":      {document(s.issuer.url+"/", good), "issuer"},
		"about nobody":           {says(`{"jwks_uri":"` + good + `"}`), "issuer"},
		"keys over plain http":   {document(s.issuer.url, "http://192.0.2.1/keys"), "jwks_uri"},
		"keys at a look-alike":   {document(s.issuer.url, "http://127.0.0.1.example/keys"), "jwks_uri"},
		"keys with a password":   {document(s.issuer.url, "https://user:pass@issuer.example/keys"), "jwks_uri"},
		"keys in a file":         {document(s.issuer.url, "file:///etc/passwd"), "jwks_uri"},
		"keys at a path":         {document(s.issuer.url, "/keys"), "jwks_uri"},
		"keys nowhere":           {document(s.issuer.url, ""), "jwks_uri"},
		"a redirect":             {http.RedirectHandler(elsewhere.url+discoveryPath, http.StatusFound).ServeHTTP, "status 302"},
		"HTML":                   {says("<!doctype html><title>Sign in</title>"), "JSON"},
		"nothing":                {says(""), "JSON"},
		"a list":                 {says("[]"), "JSON"},
		"two documents":          {says(`{"issuer":"` + s.issuer.url + `","jwks_uri":"` + good + `"}{}`), "JSON"},
		"something else than ok": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, "status 204"},
	} {
		t.Run(name, func(t *testing.T) {
			s.clock.forward(5 * time.Second)
			s.issuer.lie(discoveryPath, c.lie)
			s.fails(t, s.token(), enduser.ErrUnavailable, "discovery document: ")
			s.clock.forward(5 * time.Second)
			s.fails(t, s.token(), enduser.ErrUnavailable, c.reason)
		})
	}
	s.fetched(t, 0)
	if elsewhere.discoveries()+elsewhere.fetches() != 0 {
		t.Error("a redirect was followed")
	}
	s.clock.forward(5 * time.Second)
	s.issuer.lie(discoveryPath, nil)
	s.accepts(t, s.token())
}

func TestALyingKeySetIsNotBelieved(t *testing.T) {
	t.Parallel()
	s := newScene(t, "ES256")
	elsewhere := newIssuer(t, s.signer.published(t))
	valid := `{"keys":[{"kty":"EC"}]}`
	for name, c := range map[string]struct {
		lie    http.HandlerFunc
		reason string
	}{
		"a redirect":       {http.RedirectHandler(elsewhere.url+"/keys", http.StatusMovedPermanently).ServeHTTP, "status 301"},
		"500, valid JSON":  {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, valid, http.StatusInternalServerError) }, "status 500"},
		"HTML":             {says("<!doctype html>"), "array of keys"},
		"nothing":          {says(""), "array of keys"},
		"null":             {says("null"), "array of keys"},
		"no keys":          {says("{}"), "array of keys"},
		"keys that are no": {says(`{"keys":null}`), "array of keys"},
		"one key bare":     {says(`{"keys":{"kty":"EC"}}`), "array of keys"},
		"a cut document":   {says(valid[:len(valid)-1]), "array of keys"},
		"thousands":        {says(`{"keys":[{}` + strings.Repeat(",{}", 4999) + `]}`), "5000 keys"},
		"one too many":     {says(`{"keys":[{}` + strings.Repeat(",{}", 100) + `]}`), "101 keys"},
		"a huge body":      {says(`{"keys":[]}` + strings.Repeat(" ", 256<<10)), "larger than"},
		"a huge length":    {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "1000000000") }, "read to its end"},
	} {
		t.Run(name, func(t *testing.T) {
			s.clock.forward(5 * time.Second)
			s.issuer.lie("/keys", c.lie)
			s.fails(t, s.token(), enduser.ErrUnavailable, "key set: ")
			s.fails(t, s.token(), enduser.ErrUnavailable, c.reason)
		})
	}
	if elsewhere.fetches() != 0 {
		t.Error("a redirect was followed")
	}
	s.clock.forward(5 * time.Second)
	s.issuer.lie("/keys", nil)
	s.accepts(t, s.token())
}

func TestAKeyThatIsNotForThisIsLeftOut(t *testing.T) {
	t.Parallel()
	s := newScene(t, "RS256")
	good := s.signer.published(t)
	long := base64.RawURLEncoding.EncodeToString(make([]byte, 1<<10))
	for name, k := range map[string]jwk{
		"for encryption":                             good.with("use", "enc"),
		"for something else":                         good.with("use", "marked"),
		"for signing only":                           good.with("key_ops", []string{"sign"}),
		"for wrapping keys":                          good.with("key_ops", []string{"wrapKey", "encrypt"}),
		"another algorithm":                          good.with("alg", "RS512"),
		"another family":                             good.with("alg", "PS256"),
		"an unknown algorithm":                       good.with("alg", "RSA-OAEP"),
		"its private half too":                       good.with("d", "AQAB"),
		"an exponent of one":                         good.with("e", "AQ"),
		"an even exponent":                           good.with("e", "BA"),
		"an exponent that overflows into a good one": good.with("e", "AQAAAAAAAQAB"),
		"an exponent too much":                       good.with("e", "AQAAAAE"),
		"no exponent":                                good.without("e"),
		"no modulus":                                 good.without("n"),
		"a modulus too long":                         good.with("n", "gA"+long),
		"a modulus of no text":                       good.with("n", 5),
		"no type":                                    good.without("kty"),
		"a secret":                                   {"kty": "oct", "kid": s.signer.kid, "k": good["n"]},
		"not an object":                              nil,
	} {
		t.Run(name, func(t *testing.T) {
			s.clock.forward(10 * time.Minute)
			s.issuer.publish(k)
			s.refuses(t, s.token(), "no key")
			s.clock.forward(10 * time.Minute)
			s.issuer.publish(k, good)
			s.accepts(t, s.token())
		})
	}
	for name, k := range map[string]jwk{
		"for nothing in particular":   good.without("use", "alg"),
		"for verifying":               good.with("key_ops", []string{"sign", "verify"}),
		"with certificates of no use": good.with("x5c", []string{"marked"}).with("x5t", "marked").with("x5u", "http://192.0.2.1/"),
	} {
		t.Run(name, func(t *testing.T) {
			s.clock.forward(10 * time.Minute)
			s.issuer.publish(k)
			s.accepts(t, s.token())
		})
	}
}

func TestAnUnsoundCurvePointIsLeftOut(t *testing.T) {
	t.Parallel()
	s := newScene(t, "ES256")
	good := s.signer.published(t)
	long := base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("\xff", 100)))
	for name, k := range map[string]jwk{
		"not on the curve":         good.with("y", good["x"]),
		"coordinates too long":     good.with("x", long).with("y", long),
		"zero":                     good.with("x", "AA").with("y", "AA"),
		"another curve's name":     good.with("crv", "P-384"),
		"an unknown curve":         good.with("crv", "secp256k1"),
		"no curve":                 good.without("crv"),
		"a short Ed25519 key":      {"kty": "OKP", "crv": "Ed25519", "kid": s.signer.kid, "x": "AQAB"},
		"a key for key agreement":  {"kty": "OKP", "crv": "X25519", "kid": s.signer.kid, "x": good["x"]},
		"text that is no base64":   good.with("x", "!"),
		"a symmetric key, no text": {"kty": "oct", "kid": s.signer.kid},
	} {
		t.Run(name, func(t *testing.T) {
			s.clock.forward(10 * time.Minute)
			s.issuer.publish(k)
			s.refuses(t, s.token(), "no key")
		})
	}
	s.clock.forward(10 * time.Minute)
	s.issuer.publish(good)
	s.accepts(t, s.token())
}

func TestAWeakRSAKeyIsLeftOut(t *testing.T) {
	t.Parallel()
	private, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	weak := signer{kid: "weak", method: jwt.SigningMethodRS256, private: private}
	s := newScene(t, "RS256")
	s.issuer.publish(weak.published(t))
	s.refuses(t, s.draft().sign(t, weak), "no key")
}

func TestASecretInTheKeySetIsNoKey(t *testing.T) {
	t.Parallel()
	s := newScene(t, "RS256")
	secret := []byte(s.signer.published(t)["n"].(string))
	s.issuer.publish(jwk{"kty": "oct", "kid": "marked-kid", "use": "sig", "alg": "HS256", "k": base64.RawURLEncoding.EncodeToString(secret)})
	s.refuses(t, s.draft().signWith(t, jwt.SigningMethodHS256, secret, "marked-kid"), "algorithm is not allowed")
	s.refuses(t, s.token(), "no key")
}

func TestKeysMayShareAKeyID(t *testing.T) {
	t.Parallel()
	s := newScene(t, "ES256")
	same, curve, edwards := newSigner(t, "ES256", "marked-kid"), newSigner(t, "ES384", "marked-kid"), newSigner(t, "EdDSA", "marked-kid")
	s.issuer.publish(curve.published(t), same.published(t), s.signer.published(t), edwards.published(t))
	for _, by := range []signer{s.signer, same, curve, edwards} {
		s.accepts(t, s.draft().sign(t, by))
	}
	s.refuses(t, s.draft().sign(t, newSigner(t, "ES256", "marked-kid")), "signature")
	s.fetched(t, 1)
}

func TestWithoutAKeyIDTheKeyMustBeTheOnlyOneThatFits(t *testing.T) {
	t.Parallel()
	s := newScene(t, "ES256")
	second, edwards := newSigner(t, "ES256", "second"), newSigner(t, "EdDSA", "third")
	s.issuer.publish(s.signer.published(t), edwards.published(t))
	anonymous := s.draft().head("kid", nil)
	s.accepts(t, anonymous.sign(t, s.signer))
	s.accepts(t, anonymous.sign(t, edwards))
	s.clock.forward(10 * time.Minute)
	s.issuer.publish(s.signer.published(t), edwards.published(t), second.published(t))
	s.refuses(t, anonymous.sign(t, s.signer), "no key")
	s.accepts(t, anonymous.sign(t, edwards))
	s.accepts(t, s.token())
	s.clock.forward(10 * time.Minute)
	s.issuer.publish(s.signer.published(t).without("kid"))
	s.refuses(t, s.token(), "no key")
	s.accepts(t, anonymous.sign(t, s.signer))
}

func TestAnIssuerWithoutDiscoveryNeedsOnlyItsKeySet(t *testing.T) {
	t.Parallel()
	signer := newSigner(t, "ES256", "k")
	i := newIssuer(t, signer.published(t))
	i.lie(discoveryPath, down)
	config := configOf(i.url)
	config.JWKSURL = i.url + "/keys"
	g := newGate(t, config)
	g.accepts(t, goodDraft(i.url, g.clock.read()).sign(t, signer))
	if i.discoveries() != 0 {
		t.Error("it was asked for its discovery document")
	}
}

func TestAnIssuerOverTLSMayNotPointToPlainHTTP(t *testing.T) {
	t.Parallel()
	signer := newSigner(t, "ES256", "k")
	i := newIssuer(t, signer.published(t))
	plain := i.url + "/keys"
	server := httptest.NewTLSServer(i)
	t.Cleanup(server.Close)
	i.url = server.URL
	clock := newClock()
	v, err := enduser.New([]enduser.Config{configOf(i.url)}, enduser.Deps{
		HTTP: server.Client(), Log: slog.New(slog.DiscardHandler), Now: clock.read,
	})
	if err != nil {
		t.Fatal(err)
	}
	token := goodDraft(i.url, clock.read()).sign(t, signer)
	if user, err := v.Verify(t.Context(), token); err != nil || user.Subject != markedSubject {
		t.Errorf("the truth gives %+v, %v", user, err)
	}
	i.lie(discoveryPath, says(fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, i.url, plain)))
	clock.forward(time.Hour - time.Second)
	later := goodDraft(i.url, clock.read()).sign(t, signer)
	if _, err := v.Verify(t.Context(), later); err != nil {
		t.Errorf("the known keys do not serve: %v", err)
	}
	clock.forward(5 * time.Second)
	if _, err := v.Verify(t.Context(), later); !errors.Is(err, enduser.ErrUnavailable) || !strings.Contains(err.Error(), "jwks_uri: must be an https URL") {
		t.Errorf("the lie gives %v", err)
	}
	if i.fetches() != 1 {
		t.Error("the plain address was asked")
	}
}

func TestASlashAtTheIssuersEndIsNotDoubled(t *testing.T) {
	t.Parallel()
	signer := newSigner(t, "ES256", "k")
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	name := server.URL + "/tenant/"
	keys := newIssuer(t, signer.published(t))
	mux.HandleFunc("GET /tenant"+discoveryPath, says(fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, name, keys.url+"/keys")))
	g := newGate(t, configOf(name))
	g.accepts(t, goodDraft(name, g.clock.read()).sign(t, signer))
	g.refuses(t, goodDraft(strings.TrimSuffix(name, "/"), g.clock.read()).sign(t, signer), "not configured")
}
