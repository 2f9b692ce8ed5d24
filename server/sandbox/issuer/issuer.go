// Package issuer plays an OpenID provider for `verigate dev`: whoever asks gets
// an access token for any subject, so that calling the gateway with an end
// user's own token can be tried with curl.
//
// It owns the discovery document, the key set and the token endpoint of one
// make-believe issuer. A sandbox is outside of the gateway: it imports nothing
// of this project, above all not access, which checks its tokens with code of
// its own.
//
//	person  ── POST token: subject, audience, expires_in ──► access token
//	gateway ── GET .well-known/openid-configuration ──► issuer, jwks_uri
//	        ── GET jwks ──► the public key
//
// It asks nobody who they are. That is only tolerable on the loopback address
// of a developer's machine, so it refuses a base URL anywhere else, and no
// gateway with real users may trust it. The token endpoint is no OAuth grant:
// there is no client, no login and no consent, only a form.
//
// Its key lives in memory: after a restart old tokens are no longer good.
package issuer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Options is the issuer to play; all are required.
type Options struct {
	// BaseURL is the issuer's own URL, any mount prefix included, such as
	// http://127.0.0.1:8080/sandbox/issuer: an http or https URL of loopback. It
	// is the `iss` of every token, without a slash at its end.
	BaseURL string
	// Audience is the `aud` of a token whose request names none.
	Audience string
	// Now is the clock.
	Now func() time.Time
	// Random is where the key and the token ids come from: crypto/rand.Reader,
	// or something repeatable in a test.
	Random io.Reader
}

// Issuer plays one OpenID provider. It is an http.Handler whose paths are
// relative: whoever mounts it below a prefix strips that prefix. Safe for
// concurrent use as far as Options.Random is.
type Issuer struct {
	options Options
	key     *ecdsa.PrivateKey
	keyID   string
	keySet  keySet
	mux     *http.ServeMux
}

// keyBytes is the length of a P-256 private key and of each coordinate of a
// public one (RFC 7518, section 6.2).
const keyBytes = 32

// New makes an issuer with a new ES256 key. The error names every option that
// is wrong, or says that Random gave no key.
func New(o Options) (*Issuer, error) {
	o.BaseURL = strings.TrimSuffix(o.BaseURL, "/")
	if err := o.validate(); err != nil {
		return nil, err
	}
	key, err := newKey(o.Random)
	if err != nil {
		return nil, err
	}
	public, err := key.PublicKey.Bytes()
	if err != nil {
		return nil, fmt.Errorf("encode the public key: %w", err)
	}
	// The uncompressed form: one byte that says so, then both coordinates.
	x, y := public[1:1+keyBytes], public[1+keyBytes:]
	sum := sha256.Sum256(public)
	i := &Issuer{options: o, key: key, keyID: base64.RawURLEncoding.EncodeToString(sum[:])}
	i.keySet = keySet{Keys: []publicKey{{
		Type: "EC", Curve: "P-256", Use: "sig", Algorithm: "ES256", ID: i.keyID,
		X: base64.RawURLEncoding.EncodeToString(x), Y: base64.RawURLEncoding.EncodeToString(y),
	}}}
	i.mux = http.NewServeMux()
	i.mux.HandleFunc("GET /.well-known/openid-configuration", i.discovery)
	i.mux.HandleFunc("GET /jwks", i.keys)
	i.mux.HandleFunc("POST /token", i.token)
	return i, nil
}

// newKey draws a private key. A draw that is no key (zero, or not below the
// order of the curve) comes about once in four billion.
func newKey(random io.Reader) (*ecdsa.PrivateKey, error) {
	draw := make([]byte, keyBytes)
	if _, err := io.ReadFull(random, draw); err != nil {
		return nil, fmt.Errorf("random: gave no %d bytes for a key: %w", keyBytes, err)
	}
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), draw)
	if err != nil {
		return nil, errors.New("random: the bytes that it gave are no key; start again")
	}
	return key, nil
}

func (o Options) validate() error {
	var problems []error
	u, err := url.Parse(o.BaseURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		problems = append(problems, errors.New("base URL: must be an absolute http or https URL without user, query and fragment"))
	} else if !isLoopback(u.Hostname()) {
		problems = append(problems, errors.New("base URL: must be of a loopback address such as 127.0.0.1, because everybody who reaches it gets tokens"))
	}
	if problem := check(o.Audience); problem != "" {
		problems = append(problems, fmt.Errorf("audience: %s", problem))
	}
	if o.Now == nil {
		problems = append(problems, errors.New("now: a clock is needed"))
	}
	if o.Random == nil {
		problems = append(problems, errors.New("random: a source is needed, such as crypto/rand.Reader"))
	}
	return errors.Join(problems...)
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}

// ServeHTTP serves the three endpoints.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) { i.mux.ServeHTTP(w, r) }

// metadata is the part of a discovery document that a checker of tokens needs,
// and what OpenID Connect Discovery 1.0, section 3, requires and is true here.
type metadata struct {
	Issuer        string   `json:"issuer"`
	KeysURL       string   `json:"jwks_uri"`
	TokenURL      string   `json:"token_endpoint"`
	ResponseTypes []string `json:"response_types_supported"`
	SubjectTypes  []string `json:"subject_types_supported"`
	Algorithms    []string `json:"id_token_signing_alg_values_supported"`
}

func (i *Issuer) discovery(w http.ResponseWriter, _ *http.Request) {
	write(w, http.StatusOK, metadata{
		Issuer: i.options.BaseURL, KeysURL: i.options.BaseURL + "/jwks", TokenURL: i.options.BaseURL + "/token",
		ResponseTypes: []string{"token"}, SubjectTypes: []string{"public"}, Algorithms: []string{"ES256"},
	})
}

// keySet is a JWK set (RFC 7517, section 5).
type keySet struct {
	Keys []publicKey `json:"keys"`
}

type publicKey struct {
	Type      string `json:"kty"`
	Curve     string `json:"crv"`
	Use       string `json:"use"`
	Algorithm string `json:"alg"`
	ID        string `json:"kid"`
	X         string `json:"x"`
	Y         string `json:"y"`
}

func (i *Issuer) keys(w http.ResponseWriter, _ *http.Request) { write(w, http.StatusOK, i.keySet) }

// write answers with JSON. A caller that left before its answer is no fault.
func write(w http.ResponseWriter, status int, answer any) {
	body, err := json.Marshal(answer)
	if err != nil {
		http.Error(w, "the answer could not be written as JSON", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
