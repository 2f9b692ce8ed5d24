package issuer_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"github.com/verigate/verigate/server/sandbox/issuer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	prefix   = "/sandbox/issuer"
	audience = "https://api.shop.example"
	form     = "application/x-www-form-urlencoded"
)

func now() time.Time { return time.Date(2026, time.May, 17, 10, 30, 0, 0, time.UTC) }

// lab is an issuer behind a mount prefix.
type lab struct {
	url    string
	client *http.Client
}

func open(t *testing.T, random io.Reader) *lab {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	l := &lab{url: "http://" + server.Listener.Addr().String() + prefix, client: &http.Client{Transport: &http.Transport{}}}
	i, err := issuer.New(issuer.Options{BaseURL: l.url + "/", Audience: audience, Now: now, Random: random})
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = http.StripPrefix(prefix, i)
	server.Start()
	t.Cleanup(server.Close)
	t.Cleanup(l.client.CloseIdleConnections)
	return l
}

// call sends a request and decodes the answer, which must have the status.
func (l *lab) call(t *testing.T, method, path, contentType, body string, status int, answer any) http.Header {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, l.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", contentType)
	response, err := l.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != status {
		t.Fatalf("%s %s: status %d (%v), want %d: %s", method, path, response.StatusCode, err, status, text)
	}
	if answer == nil {
		return response.Header
	}
	if err := json.Unmarshal(text, answer); err != nil || response.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%s %s: not JSON (%v): %s", method, path, err, text)
	}
	return response.Header
}

type granted struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int    `json:"expires_in"`
}

// discover follows the discovery document to the key that a token names.
func (l *lab) discover(t *testing.T) jwt.Keyfunc {
	t.Helper()
	var document struct {
		Issuer   string `json:"issuer"`
		KeysURL  string `json:"jwks_uri"`
		TokenURL string `json:"token_endpoint"`
	}
	l.call(t, http.MethodGet, "/.well-known/openid-configuration", "", "", http.StatusOK, &document)
	if document.Issuer != l.url || document.KeysURL != l.url+"/jwks" || document.TokenURL != l.url+"/token" {
		t.Fatalf("the discovery document says %+v", document)
	}
	var set jwkset.JWKSMarshal
	l.call(t, http.MethodGet, "/jwks", "", "", http.StatusOK, &set)
	if len(set.Keys) != 1 {
		t.Fatalf("%d keys, want one", len(set.Keys))
	}
	k := set.Keys[0]
	key, err := jwkset.NewJWKFromMarshal(k, jwkset.JWKMarshalOptions{Private: true}, jwkset.JWKValidateOptions{StrictPadding: true})
	if err != nil || k.USE != jwkset.UseSig || k.ALG != jwkset.AlgES256 || k.D != "" {
		t.Fatalf("the key is %+v (%v)", k, err)
	}
	return func(token *jwt.Token) (any, error) {
		if token.Header["kid"] != k.KID || k.KID == "" {
			return nil, errors.New("the token names another key")
		}
		return key.Key(), nil
	}
}

func (l *lab) parse(t *testing.T, text string, key jwt.Keyfunc) (jwt.MapClaims, *jwt.Token) {
	t.Helper()
	claims := jwt.MapClaims{}
	token, err := jwt.ParseWithClaims(text, claims, key, jwt.WithValidMethods([]string{"ES256"}), jwt.WithTimeFunc(now),
		jwt.WithIssuer(l.url), jwt.WithStrictDecoding(), jwt.WithExpirationRequired(), jwt.WithIssuedAt())
	if err != nil {
		t.Fatal(err)
	}
	return claims, token
}

func TestATokenVerifiesAgainstTheKeySet(t *testing.T) {
	t.Parallel()
	l := open(t, rand.Reader)
	key := l.discover(t)
	var answer granted
	header := l.call(t, http.MethodPost, "/token", form, "subject=user-42", http.StatusOK, &answer)
	if answer.TokenType != "Bearer" || answer.ExpiresIn != 3600 || header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %+v, %v", answer, header)
	}
	claims, token := l.parse(t, answer.AccessToken, key)
	if token.Header["typ"] != "at+jwt" || token.Header["alg"] != "ES256" {
		t.Errorf("the header is %v", token.Header)
	}
	if claims["sub"] != "user-42" || claims["aud"] != audience || claims["iat"] != float64(now().Unix()) ||
		claims["exp"] != float64(now().Add(time.Hour).Unix()) || claims["jti"] == "" || len(claims) != 6 {
		t.Errorf("the claims are %v", claims)
	}
	var second granted
	l.call(t, http.MethodPost, "/token", form, "subject=user-42", http.StatusOK, &second)
	if again, _ := l.parse(t, second.AccessToken, key); again["jti"] == claims["jti"] {
		t.Error("two tokens have one id")
	}
}

func TestTheFormSaysWhatTheTokenIs(t *testing.T) {
	t.Parallel()
	l := open(t, rand.Reader)
	key := l.discover(t)
	longest := strings.Repeat("ü", 256)
	for name, c := range map[string]struct {
		values   url.Values
		audience string
		seconds  int
	}{
		"a second":          {url.Values{"subject": {longest}, "expires_in": {"1"}}, audience, 1},
		"a day":             {url.Values{"subject": {longest}, "expires_in": {"86400"}}, audience, 86400},
		"an audience":       {url.Values{"subject": {longest}, "audience": {"other"}}, "other", 3600},
		"a character set":   {url.Values{"subject": {longest}}, audience, 3600},
		"all fields at one": {url.Values{"subject": {longest}, "audience": {longest}, "expires_in": {"60"}}, longest, 60},
	} {
		t.Run(name, func(t *testing.T) {
			var answer granted
			l.call(t, http.MethodPost, "/token", form+"; charset=UTF-8", c.values.Encode(), http.StatusOK, &answer)
			claims, _ := l.parse(t, answer.AccessToken, key)
			expires := float64(now().Add(time.Duration(c.seconds) * time.Second).Unix())
			if claims["sub"] != longest || claims["aud"] != c.audience || claims["exp"] != expires || answer.ExpiresIn != c.seconds {
				t.Errorf("got %v, expires_in %d", claims, answer.ExpiresIn)
			}
		})
	}
}

func TestABadFormIsRefusedByItsField(t *testing.T) {
	t.Parallel()
	l := open(t, rand.Reader)
	for name, c := range map[string]struct{ contentType, body, want string }{
		"nothing":                 {form, "", "subject: is required"},
		"an empty subject":        {form, "subject=", "subject: is required"},
		"a subject too long":      {form, "subject=" + strings.Repeat("x", 257), "subject: must be at most 256 characters"},
		"a control character":     {form, "subject=a%00b", "subject: must be UTF-8 without control"},
		"bytes that are no text":  {form, "subject=%ff", "subject: must be UTF-8"},
		"two subjects":            {form, "subject=a&subject=b", "subject: must be given once"},
		"an empty audience":       {form, "subject=a&audience=", "audience: is required"},
		"no seconds":              {form, "subject=a&expires_in=", "expires_in: must be a number of seconds from 1 to 86400"},
		"zero seconds":            {form, "subject=a&expires_in=0", "expires_in: must be"},
		"a day and a second":      {form, "subject=a&expires_in=86401", "expires_in: must be"},
		"a duration":              {form, "subject=a&expires_in=1h", "expires_in: must be"},
		"an unknown field":        {form, "subject=a&expires=5", `"expires": is no field; known are subject`},
		"several mistakes":        {form, "expires_in=x&audience=", "audience: is required; expires_in: must be a number of seconds from 1 to 86400; subject: is required"},
		"JSON":                    {"application/json", `{"subject":"a"}`, "Content-Type: must be " + form},
		"no content type":         {"", "subject=a", "Content-Type: must be"},
		"a form that is broken":   {form, "subject=%zz", "body: is not a form"},
		"a form that is too much": {form, "subject=a&x=" + strings.Repeat("y", 16<<10), "body: must be at most 16384 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			var answer struct {
				Error       string `json:"error"`
				Description string `json:"error_description"`
			}
			l.call(t, http.MethodPost, "/token", c.contentType, c.body, http.StatusBadRequest, &answer)
			if answer.Error != "invalid_request" || !strings.Contains(answer.Description, c.want) {
				t.Errorf("got %+v, want %q", answer, c.want)
			}
		})
	}
}

func TestOnlyTheThreeEndpointsAnswer(t *testing.T) {
	t.Parallel()
	l := open(t, rand.Reader)
	if header := l.call(t, http.MethodGet, "/token?subject=a", "", "", http.StatusMethodNotAllowed, nil); header.Get("Allow") != "POST" {
		t.Errorf("allowed is %q", header.Get("Allow"))
	}
	l.call(t, http.MethodPost, "/jwks", form, "", http.StatusMethodNotAllowed, nil)
	l.call(t, http.MethodGet, "/", "", "", http.StatusNotFound, nil)
	l.call(t, http.MethodGet, "/authorize", "", "", http.StatusNotFound, nil)
	// The query is no form.
	l.call(t, http.MethodPost, "/token?subject=a", form, "", http.StatusBadRequest, nil)
}

func TestTwoIssuersHaveTwoKeys(t *testing.T) {
	t.Parallel()
	a, b := open(t, rand.Reader), open(t, rand.Reader)
	var answer granted
	a.call(t, http.MethodPost, "/token", form, "subject=a", http.StatusOK, &answer)
	if _, err := jwt.Parse(answer.AccessToken, b.discover(t), jwt.WithTimeFunc(now)); err == nil {
		t.Error("the key of one verifies the token of the other")
	}
}

func TestAFaultOfRandomIsSaid(t *testing.T) {
	t.Parallel()
	options := issuer.Options{BaseURL: "http://127.0.0.1", Audience: audience, Now: now}
	for name, random := range map[string]io.Reader{
		"nothing": strings.NewReader(""), "zeros": bytes.NewReader(make([]byte, 64)), "too little": strings.NewReader("x"),
	} {
		options.Random = random
		if _, err := issuer.New(options); err == nil || !strings.Contains(err.Error(), "random: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	l := open(t, strings.NewReader(strings.Repeat("k", 32)))
	l.call(t, http.MethodPost, "/token", form, "subject=a", http.StatusInternalServerError, nil)
}

func TestBadOptionsAreRefused(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]string{
		"": "base URL: must be an absolute", "127.0.0.1:8080": "base URL: must be an absolute", "ftp://127.0.0.1": "base URL: must be an absolute",
		"http://127.0.0.1?a=b": "base URL: must be an absolute", "http://u@127.0.0.1": "base URL: must be an absolute",
		"http://": "base URL: must be of a loopback address", "http://issuer.example": "base URL: must be of a loopback address",
		"http://0.0.0.0:8080": "base URL: must be of a loopback address", "https://localhost.example": "base URL: must be of a loopback address",
	} {
		_, err := issuer.New(issuer.Options{BaseURL: base, Audience: audience, Now: now, Random: rand.Reader})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", base, err, want)
		}
	}
	for _, base := range []string{"http://localhost:8080/a", "https://[::1]", "http://127.9.9.9/a/"} {
		if _, err := issuer.New(issuer.Options{BaseURL: base, Audience: audience, Now: now, Random: rand.Reader}); err != nil {
			t.Errorf("%q: %v", base, err)
		}
	}
	_, err := issuer.New(issuer.Options{})
	if err == nil {
		t.Fatal("no options are accepted")
	}
	for _, name := range []string{"base URL: ", "audience: ", "now: ", "random: "} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%q is missing: %v", name, err)
		}
	}
}
