package sandbox_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// hook is one webhook request as it arrived.
type hook struct {
	header http.Header
	body   string
}

func (h hook) field(t *testing.T, path ...string) string {
	t.Helper()
	var node any
	if err := json.Unmarshal([]byte(h.body), &node); err != nil {
		t.Fatalf("webhook body: %v", err)
	}
	for _, key := range path {
		object, _ := node.(map[string]any)
		node = object[key]
	}
	text, _ := node.(string)
	return text
}

// receiver is the account's webhook endpoint.
type receiver struct {
	url   string
	hooks chan hook

	mu       sync.Mutex
	statuses []int
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{hooks: make(chan hook, 4096)}
	server := httptest.NewServer(r)
	r.url = server.URL + "/hook"
	t.Cleanup(server.Close)
	return r
}

// answerWith sets the next answers; 200 after that.
func (r *receiver) answerWith(statuses ...int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.statuses = statuses
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	var body bytes.Buffer
	if _, err := body.ReadFrom(request.Body); err != nil {
		return
	}
	r.mu.Lock()
	status := http.StatusOK
	if len(r.statuses) > 0 {
		status, r.statuses = r.statuses[0], r.statuses[1:]
	}
	r.mu.Unlock()
	r.hooks <- hook{header: request.Header, body: body.String()}
	w.Header().Set("Location", "/elsewhere")
	w.WriteHeader(status)
}

// take waits for the next value; the time limit is for failing only.
func take[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// none fails if something is there already; use it after a signal that all is
// done.
func none[T any](t *testing.T, from <-chan T) {
	t.Helper()
	select {
	case v := <-from:
		t.Fatalf("unexpected: %+v", v)
	default:
	}
}

// clock is set by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// gate is a Wait that a test lets through by hand.
type gate struct{ calls chan *pause }

type pause struct {
	length time.Duration
	ended  chan struct{}
}

func newGate() gate { return gate{calls: make(chan *pause)} }

func (g gate) wait(ctx context.Context, d time.Duration) error {
	p := &pause{length: d, ended: make(chan struct{})}
	select {
	case g.calls <- p:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-p.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// signed computes a signature header from scratch.
func signed(timestamp, body string) string {
	text := body
	if timestamp != "" {
		text = timestamp + "." + body
	}
	mac := hmac.New(sha256.New, []byte(webhookSecret))
	_, _ = io.WriteString(mac, text)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// resolve is where a link on a page leads.
func resolve(t *testing.T, page, link string) string {
	t.Helper()
	base, err := url.Parse(page)
	if err != nil {
		t.Fatalf("parse %q: %v", page, err)
	}
	at, err := base.Parse(link)
	if err != nil {
		t.Fatalf("parse %q: %v", link, err)
	}
	return at.String()
}

func pathOf(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatalf("parse %q: %v", address, err)
	}
	return strings.TrimPrefix(u.Path, prefix)
}
