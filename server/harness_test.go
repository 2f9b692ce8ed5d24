package server_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/telemetry"
	"github.com/verigate/verigate/server/verification"
)

// patience bounds every wait; nothing waits that long unless it is broken.
const patience = 20 * time.Second

// The tenants of the tests.
func shopTest() verification.Scope {
	return verification.Scope{Project: "shop", Environment: verification.Test}
}
func shopLive() verification.Scope {
	return verification.Scope{Project: "shop", Environment: verification.Live}
}
func acmeTest() verification.Scope {
	return verification.Scope{Project: "acme", Environment: verification.Test}
}

const tokenSecret = "marked-client-token-secret-of-32-bytes-and-more"

// gateway is one node under test, serving on a loopback port.
type gateway struct {
	t        *testing.T
	url      string
	server   *server.Server
	provider *fakeProvider
	logs     *logs
	// key is an API key of shopTest.
	key string

	// stop ends the node as SIGTERM does and waits for it. It may be called
	// more than once.
	stop func() error
}

// in returns the same node for a subtest.
func (g *gateway) in(t *testing.T) *gateway {
	t.Helper()
	other := *g
	other.t = t
	return &other
}

// newConfig is a configuration with three tenants at one fake provider.
func newConfig(dsn string, fake *fakeProvider) *config.Config {
	cfg := &config.Config{
		PublicURL:       "http://gateway.test",
		DatabaseURL:     secret.New(dsn),
		ClientTokenKeys: []config.ClientTokenKey{{ID: "k1", Secret: secret.New(tokenSecret)}},
		Origins:         []string{"https://app.example.com"},
		Watch: config.Watch{
			Heartbeat: time.Hour, MaxAge: time.Hour, PollInterval: 100 * time.Millisecond, MaxWatchers: 1000,
		},
		Drain: 100 * time.Millisecond,
	}
	for name, scope := range map[string]verification.Scope{"fake": shopTest(), "fake-live": shopLive(), "fake-acme": acmeTest()} {
		cfg.Connections = append(cfg.Connections, config.Connection{
			Name: name, Scope: scope, Provider: "fake", Settings: fakeSettings{fake},
		})
		cfg.Flows = append(cfg.Flows, verification.Flow{
			Name: "identity", Scope: scope, Connection: name, Product: "id",
			Lifetime: time.Hour, Grace: time.Hour, ReturnWindow: time.Minute,
			AllowedRedirects: []string{"myapp://", "https://app.example.com"},
		})
	}
	return cfg
}

// open starts a node on a database of its own; change adjusts its configuration.
func open(t *testing.T, change func(*config.Config)) *gateway {
	t.Helper()
	return openOn(t, pgtest.New(t), change)
}

// openOn starts a node on a database that others may use too.
func openOn(t *testing.T, dsn string, change func(*config.Config)) *gateway {
	t.Helper()
	g := &gateway{t: t, provider: newFakeProvider(), logs: &logs{}}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g.url = "http://" + listener.Addr().String()
	cfg := newConfig(dsn, g.provider)
	cfg.PublicURL = g.url
	if change != nil {
		change(cfg)
	}
	log := telemetry.NewLogger(g.logs, slog.LevelDebug, true)
	g.server, err = server.New(t.Context(), server.Options{Config: cfg, Log: log, Tracer: noop.NewTracerProvider()})
	if err != nil {
		t.Fatalf("server.New: %v", err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	served := make(chan error, 1)
	go func() { served <- g.server.Serve(ctx, listener) }()
	g.stop = sync.OnceValue(func() error {
		cancel()
		return <-served
	})
	t.Cleanup(func() {
		if err := g.stop(); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	g.key = g.newKey(shopTest())
	return g
}

// newKey makes an API key of a tenant.
func (g *gateway) newKey(scope verification.Scope) string {
	g.t.Helper()
	key, text, err := access.NewKey(scope, "test", rand.Reader, time.Now())
	if err != nil {
		g.t.Fatal(err)
	}
	if err := g.server.Store().AddKey(g.t.Context(), key); err != nil {
		g.t.Fatal(err)
	}
	return text.Reveal()
}

// api returns a client with a credential that speaks Connect over HTTP 1.1.
func (g *gateway) api(credential string) verigatev1connect.VerificationServiceClient {
	return g.apiOver(wire{name: "Connect"}, credential)
}

func (g *gateway) apiOver(w wire, credential string) verigatev1connect.VerificationServiceClient {
	client := newHTTPClient(g.t, w.http2, credential)
	return verigatev1connect.NewVerificationServiceClient(
		connect.NewClient(connecthttp.NewTransport(client, g.url, w.options...)))
}

// newHTTPClient returns a client that follows no redirect, adds a credential,
// and is gone with the test.
func newHTTPClient(t *testing.T, http2 bool, credential string) *http.Client {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetUnencryptedHTTP2(http2)
	transport := &http.Transport{Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     withCredential{transport, credential},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

type withCredential struct {
	http.RoundTripper

	credential string
}

func (c withCredential) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.credential != "" {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+c.credential)
	}
	return c.RoundTripper.RoundTrip(r)
}

// answer is an HTTP response, read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

// call sends a plain HTTP request with header lines such as "Origin: x".
func (g *gateway) call(method, path, body string, lines ...string) answer {
	g.t.Helper()
	request, err := http.NewRequestWithContext(g.t.Context(), method, g.url+path, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		request.Header.Set(name, value)
	}
	response, err := newHTTPClient(g.t, false, "").Do(request)
	if err != nil {
		g.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		g.t.Fatalf("%s %s: %v", method, path, err)
	}
	return answer{status: response.StatusCode, header: response.Header, body: string(text)}
}

// logs collects what a node logs.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited %v in vain: %s", patience, what)
		}
	}
}
