package enduser_test

import (
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/verigate/verigate/server/access/enduser"
)

func TestNoTokenChoosesHowItIsChecked(t *testing.T) {
	t.Parallel()
	s := newScene(t, "RS256")
	public, _ := s.signer.private.Public().(*rsa.PublicKey)
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	for name, secret := range map[string][]byte{
		"the public key's PEM":        pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
		"its DER":                     der,
		"its PKCS 1 PEM":              pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(public)}),
		"its PKCS 1 DER":              x509.MarshalPKCS1PublicKey(public),
		"its modulus":                 public.N.Bytes(),
		"its modulus as it is served": []byte(s.signer.published(t)["n"].(string)),
		"nothing":                     {},
	} {
		for _, method := range []jwt.SigningMethod{jwt.SigningMethodHS256, jwt.SigningMethodHS384, jwt.SigningMethodHS512} {
			t.Run(method.Alg()+" keyed by "+name, func(t *testing.T) {
				s.refuses(t, s.draft().signWith(t, method, secret, "marked-kid"), "algorithm is not allowed")
			})
		}
	}
	unsigned := s.draft().signWith(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "marked-kid")
	s.refuses(t, unsigned, "algorithm is not allowed")
	parts := strings.Split(s.token(), ".")
	for _, alg := range []string{"None", "NONE", "nOnE", "", "HS999", "RS256 "} {
		header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"` + alg + `","kid":"marked-kid"}`))
		s.refuses(t, header+"."+parts[1]+".", "algorithm is not allowed")
		s.refuses(t, header+"."+parts[1]+"."+parts[2], "algorithm is not allowed")
	}
	s.fetched(t, 0)
	s.accepts(t, s.token())
}

func TestOnlyTheAllowedAlgorithmsAreTried(t *testing.T) {
	t.Parallel()
	s := newScene(t, "RS256", func(c *enduser.Config) { c.Algorithms = []string{"ES256", "PS256"} })
	s.issuer.publish(s.signer.published(t).without("alg"))
	s.refuses(t, s.token(), "algorithm is not allowed")
	other := signer{kid: s.signer.kid, method: jwt.SigningMethodPS256, private: s.signer.private}
	s.accepts(t, s.draft().sign(t, other))
}

func TestForgedTokensAreRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t, "EdDSA")
	now := s.clock.read()
	stranger := newSigner(t, "EdDSA", s.signer.kid)
	strangersKey := stranger.published(t)
	far := now.Add(61 * time.Second).Unix()
	for name, c := range map[string]struct {
		draft  draft
		reason string
	}{
		"expired":               {s.draft().claim("exp", now.Unix()), "expired"},
		"expired long ago":      {s.draft().claim("exp", now.Add(-time.Hour).Unix()), "expired"},
		"no expiry":             {s.draft().noClaim("exp"), "lacks exp"},
		"expiry as a text":      {s.draft().claim("exp", "9999999999"), "wrong type"},
		"expiry of no date":     {s.draft().claim("exp", 1e300), ""},
		"a negative expiry":     {s.draft().claim("exp", -1), ""},
		"expiry zero":           {s.draft().claim("exp", 0), ""},
		"not valid yet":         {s.draft().claim("nbf", far), "not valid yet"},
		"never valid":           {s.draft().claim("nbf", math.MaxFloat64), "nbf is no date"},
		"valid since null":      {s.draft().claim("nbf", nil), "wrong type"},
		"issued in the future":  {s.draft().claim("iat", far), "issued in the future"},
		"issued at a text":      {s.draft().claim("iat", "marked"), "wrong type"},
		"another issuer":        {s.draft().claim("iss", "https://marked.example"), "not configured"},
		"no issuer":             {s.draft().noClaim("iss"), "not configured"},
		"another audience":      {s.draft().claim("aud", "https://marked.example"), "another audience"},
		"an audience's prefix":  {s.draft().claim("aud", audience[:len(audience)-1]), "another audience"},
		"no audience":           {s.draft().noClaim("aud"), "lacks exp or aud"},
		"an empty audience":     {s.draft().claim("aud", []string{}), "lacks exp or aud"},
		"audience as an object": {s.draft().claim("aud", map[string]any{audience: true}), "lacks exp or aud"},
		"an audience not text":  {s.draft().claim("aud", []any{audience, 1}), "wrong type"},
		"a critical extension":  {s.draft().head("crit", []string{"exp"}), "crit"},
		"nothing critical":      {s.draft().head("crit", []string{}), "crit"},
		"an unencoded payload":  {s.draft().head("b64", false), "b64"},
		"a nested token":        {s.draft().head("cty", "JWT"), "cty"},
		"an ID token's type":    {s.draft().head("typ", "id_token"), "type"},
		"a logout token's type": {s.draft().head("typ", "logout+jwt"), "type"},
		"a type of no text":     {s.draft().head("typ", 1), "type"},
		"an empty type":         {s.draft().head("typ", ""), "type"},
		"a key id of no text":   {s.draft().head("kid", 1), "key id"},
		"an unknown key id":     {s.draft().head("kid", "marked-other"), "no key of its issuer"},
		"huge":                  {s.draft().claim("pad", strings.Repeat("x", 8<<10)), "longer than"},
	} {
		t.Run(name, func(t *testing.T) { s.refuses(t, c.draft.sign(t, s.signer), c.reason) })
	}
	s.refuses(t, s.draft().sign(t, stranger), "signature")
	s.refuses(t, s.draft().head("jwk", strangersKey).sign(t, stranger), "signature")
	s.refuses(t, s.draft().head("jwk", strangersKey).head("kid", nil).sign(t, stranger), "signature")
	s.accepts(t, s.token())
}

func TestATokenIsRefusedAtEveryLengthAndWithEveryBitFlipped(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"RS256", "ES256", "EdDSA"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, algorithm)
			text := s.token()
			s.accepts(t, text)
			s.clock.forward(aMoment)
			for i := range text {
				s.refuses(t, text[:i], "")
				for bit := range 8 {
					changed := []byte(text)
					changed[i] ^= 1 << bit
					s.refuses(t, string(changed), "")
				}
			}
			for _, longer := range []string{text + "A", text + "=", text + ".", text + "." + text, " " + text, text + "\n", "\r" + text} {
				s.refuses(t, longer, "")
			}
			s.accepts(t, text)
			// The clock stands: one fetch at first, and one for all damaged key ids.
			s.fetched(t, 2)
		})
	}
}

func TestAKeyIsOnlyUsedWithItsOwnAlgorithm(t *testing.T) {
	t.Parallel()
	s := newScene(t, "RS256")
	s.refuses(t, s.draft().signWith(t, jwt.SigningMethodPS256, s.signer.private, s.signer.kid), "no key of its issuer")
	s.refuses(t, s.draft().signWith(t, jwt.SigningMethodRS512, s.signer.private, s.signer.kid), "no key of its issuer")
	curve := newSigner(t, "ES384", s.signer.kid)
	s.issuer.publish(curve.published(t).without("alg"))
	s.clock.forward(10 * time.Minute)
	s.refuses(t, s.draft().sign(t, newSigner(t, "ES256", s.signer.kid)), "no key of its issuer")
	s.accepts(t, s.draft().sign(t, curve))
}

func TestAnEd25519KeyIsNoSecret(t *testing.T) {
	t.Parallel()
	s := newScene(t, "EdDSA")
	public, _ := s.signer.private.Public().(ed25519.PublicKey)
	s.refuses(t, s.draft().signWith(t, jwt.SigningMethodHS256, []byte(public), s.signer.kid), "algorithm is not allowed")
	s.accepts(t, s.token())
}
