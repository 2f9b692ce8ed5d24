package enduser_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/verigate/verigate/server/access/enduser"
)

const discoveryPath = "/.well-known/openid-configuration"

// issuer is an OpenID provider over real HTTP that can be made to lie.
type issuer struct {
	url string

	mu   sync.Mutex
	keys []jwk
	// lies answer in place of the truth, by path.
	lies map[string]http.HandlerFunc
	hits map[string]int
}

func newIssuer(t *testing.T, keys ...jwk) *issuer {
	t.Helper()
	i := &issuer{lies: map[string]http.HandlerFunc{}, hits: map[string]int{}, keys: keys}
	server := httptest.NewServer(i)
	t.Cleanup(server.Close)
	i.url = server.URL
	return i
}

// ServeHTTP serves discovery document and key set.
func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.hits[r.URL.Path]++
	lie, keys := i.lies[r.URL.Path], i.keys
	i.mu.Unlock()
	switch {
	case lie != nil:
		lie(w, r)
	case r.URL.Path == discoveryPath:
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": i.url, "jwks_uri": i.url + "/keys"})
	case r.URL.Path == "/keys":
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": keys})
	default:
		http.NotFound(w, r)
	}
}

func (i *issuer) publish(keys ...jwk) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = keys
}

// lie answers a path in another way from now on; nil tells the truth again.
func (i *issuer) lie(path string, h http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.lies[path] = h
}

func (i *issuer) fetches() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.hits["/keys"]
}

func (i *issuer) discoveries() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.hits[discoveryPath]
}

func down(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }

func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }
}

// gate is a verifier in front of issuers, with the log that it writes.
type gate struct {
	*enduser.Verifier

	t     *testing.T
	clock *clock
	log   *lockedBuffer
}

func newGate(t *testing.T, configs ...enduser.Config) *gate {
	t.Helper()
	g := &gate{t: t, clock: newClock(), log: &lockedBuffer{}}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	v, err := enduser.New(configs, enduser.Deps{
		HTTP: &http.Client{Transport: transport}, Log: slog.New(slog.NewTextHandler(g.log, nil)), Now: g.clock.read,
	})
	if err != nil {
		t.Fatal(err)
	}
	g.Verifier = v
	t.Cleanup(func() {
		if text := g.log.String(); strings.Contains(text, "marked") || strings.Contains(text, "eyJ") {
			t.Errorf("the log holds a part of a token: %s", text)
		}
	})
	return g
}

func (g *gate) accepts(t *testing.T, text string) {
	t.Helper()
	user, err := g.Verify(t.Context(), text)
	if err != nil || user.Subject != markedSubject || user.Scope != scope() {
		t.Errorf("the token is refused: %v (%+v)", err, user)
	}
}

// refuses wants a refusal for the given reason; an empty one is any.
func (g *gate) refuses(t *testing.T, text, reason string) {
	t.Helper()
	g.fails(t, text, enduser.ErrRefused, reason)
}

// fails wants an error that tells nothing of the token.
func (g *gate) fails(t *testing.T, text string, want error, reason string) {
	t.Helper()
	user, err := g.Verify(t.Context(), text)
	if !errors.Is(err, want) || user != (enduser.User{}) {
		t.Errorf("got %v (%+v), want %v", err, user, want)
		return
	}
	if !strings.Contains(err.Error(), reason) {
		t.Errorf("the reason is %q, want %q", err, reason)
	}
	if strings.Contains(err.Error(), "marked") || len(text) > 20 && strings.Contains(err.Error(), text[:20]) {
		t.Errorf("the error repeats a part of the token: %v", err)
	}
}

// logged wants exactly so many lines of the log to have the text.
func (g *gate) logged(t *testing.T, text string, times int) {
	t.Helper()
	if got := strings.Count(g.log.String(), text); got != times {
		t.Errorf("%q is logged %d times, want %d: %s", text, got, times, g.log)
	}
}

type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

// scene is the usual start: one issuer with one key, and a verifier for it.
type scene struct {
	*gate

	issuer *issuer
	signer signer
}

func newScene(t *testing.T, algorithm string, change ...func(*enduser.Config)) *scene {
	t.Helper()
	s := newSigner(t, algorithm, "marked-kid")
	i := newIssuer(t, s.published(t))
	config := configOf(i.url)
	for _, c := range change {
		c(&config)
	}
	return &scene{gate: newGate(t, config), issuer: i, signer: s}
}

// draft is a good token of the scene's issuer, not signed yet.
func (s *scene) draft() draft { return goodDraft(s.issuer.url, s.clock.read()) }

// token is a good token of the scene's issuer.
func (s *scene) token() string { return s.draft().sign(s.t, s.signer) }

// fetched wants the key set to have been asked for so many times.
func (s *scene) fetched(t *testing.T, times int) {
	t.Helper()
	if got := s.issuer.fetches(); got != times {
		t.Errorf("the keys were fetched %d times, want %d", got, times)
	}
}

const aMoment = time.Millisecond
