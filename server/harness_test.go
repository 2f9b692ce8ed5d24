package server_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"log/slog"
	"net"
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
const patience = time.Minute

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

const (
	tokenSecret      = "marked-client-token-secret-of-32-bytes-and-more"
	encryptionSecret = "marked-encryption-secret-of-32-bytes-and-more"
	callbackSecret   = "whsec_markedCallbackSecret0123456789ABCDEFGHIJ"
)

// gateway is one node under test, serving on loopback ports.
type gateway struct {
	t *testing.T
	// url is where callers go; the other two are the same unless the
	// configuration says otherwise.
	url, webhooks, operator string

	server   *server.Server
	provider *fakeProvider
	logs     *logs
	// key is an API key of shopTest.
	key string
	// options are what the node was made of.
	options server.Options

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
		ClientTokenKeys: []config.Key{{ID: "k1", Secret: secret.New(tokenSecret)}},
		EncryptionKeys:  []config.Key{{ID: "e1", Secret: secret.New(encryptionSecret)}},
		Retention:       config.Retention{Deliveries: 24 * time.Hour, Events: 24 * time.Hour},
		Callbacks:       []config.Callbacks{{Scope: shopTest(), Secrets: []secret.Value{secret.New(callbackSecret)}}},
		Origins:         []string{"https://app.example.com"},
		Watch: config.Watch{
			Heartbeat: time.Hour, MaxAge: time.Hour, PollInterval: 100 * time.Millisecond,
			MaxWatchers: 1000, MaxPerToken: 100,
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
	return openWith(t, dsn, change, nil)
}

// openDeveloping starts a node that may call fakes on loopback.
func openDeveloping(t *testing.T, dsn string, change func(*config.Config)) *gateway {
	t.Helper()
	return openWith(t, dsn, change, func(o *server.Options) { o.Development = true })
}

// openWith starts a node with options of its own.
func openWith(t *testing.T, dsn string, change func(*config.Config), adjust func(*server.Options)) *gateway {
	t.Helper()
	g := &gateway{t: t, provider: newFakeProvider(), logs: &logs{}}
	listeners := []net.Listener{listen(t)}
	g.url = "http://" + listeners[0].Addr().String()
	cfg := newConfig(dsn, g.provider)
	cfg.PublicURL = g.url
	if change != nil {
		change(cfg)
	}
	options := server.Options{
		Config: cfg, Log: telemetry.NewLogger(g.logs, slog.LevelDebug, true), Tracer: noop.NewTracerProvider(),
	}
	if adjust != nil {
		adjust(&options)
	}
	g.options = options
	var err error
	if g.server, err = server.New(t.Context(), options); err != nil {
		t.Fatalf("server.New: %v", err)
	}
	for range g.server.Addresses()[1:] {
		listeners = append(listeners, listen(t))
	}
	g.locate(cfg.Listeners, listeners)
	g.serve(listeners)
	g.key = g.newKey(shopTest())
	return g
}

// again makes another node like this one, over another way to the database.
// Whoever asked serves or closes it.
func (g *gateway) again(dsn string) *server.Server {
	g.t.Helper()
	cfg := *g.options.Config
	cfg.DatabaseURL = secret.New(dsn)
	options := g.options
	options.Config = &cfg
	node, err := server.New(g.t.Context(), options)
	if err != nil {
		g.t.Fatalf("server.New: %v", err)
	}
	return node
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// locate says where each group of routes is served.
func (g *gateway) locate(l config.Listeners, listeners []net.Listener) {
	where := make(map[string]string, len(listeners))
	for i, address := range g.server.Addresses() {
		where[address] = "http://" + listeners[i].Addr().String()
	}
	g.webhooks, g.operator = where[l.Webhooks.Address], where[l.Operator.Address]
}

func (g *gateway) serve(listeners []net.Listener) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(g.t.Context()))
	served := make(chan error, 1)
	go func() { served <- g.server.Serve(ctx, listeners...) }()
	g.stop = sync.OnceValue(func() error {
		cancel()
		return <-served
	})
	g.t.Cleanup(func() {
		if err := g.stop(); err != nil {
			g.t.Errorf("Serve: %v", err)
		}
	})
}

// admin makes and ends API keys in the database, as the command does.
func (g *gateway) admin() *access.Admin {
	return &access.Admin{Store: g.server.Store(), Random: rand.Reader, Now: time.Now}
}

// command is who the tests are in the audit log.
func command() verification.Operator { return verification.Operator{Actor: "command:test@host"} }

// newKey makes an API key for a tenant's backend.
func (g *gateway) newKey(scope verification.Scope) string {
	g.t.Helper()
	return g.newKeyFor(scope, access.BackendScopes()...)
}

// newOperatorKey makes an API key for a tenant's operator, who may do nothing
// else.
func (g *gateway) newOperatorKey(scope verification.Scope) string {
	g.t.Helper()
	return g.newKeyFor(scope, access.OperatorScope)
}

// newKeyFor makes an API key with the given scopes.
func (g *gateway) newKeyFor(scope verification.Scope, scopes ...access.KeyScope) string {
	g.t.Helper()
	_, text, err := g.admin().Create(g.t.Context(), scope, "test", scopes, 0, command())
	if err != nil {
		g.t.Fatal(err)
	}
	return text.Reveal()
}

// keyID is the public part of a key's text.
func keyID(key string) string { return strings.Split(key, "_")[2] }

// api returns a client with a credential that speaks Connect over HTTP 1.1.
func (g *gateway) api(credential string) verigatev1connect.VerificationServiceClient {
	return g.apiOver(wire{name: "Connect"}, credential)
}

func (g *gateway) apiOver(w wire, credential string) verigatev1connect.VerificationServiceClient {
	client := newHTTPClient(g.t, w.http2, credential)
	return verigatev1connect.NewVerificationServiceClient(
		connect.NewClient(connecthttp.NewTransport(client, g.url, w.options...)))
}

// operatorAPI returns a client of OperatorService with a credential.
func (g *gateway) operatorAPI(credential string) verigatev1connect.OperatorServiceClient {
	return verigatev1connect.NewOperatorServiceClient(
		connect.NewClient(connecthttp.NewTransport(newHTTPClient(g.t, false, credential), g.operator)))
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
	within(t, patience, what, holds)
}

// within waits so long until a condition holds.
func within(t *testing.T, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(limit)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited %v in vain: %s", limit, what)
		}
	}
}

// eventAPI returns a client of EventService with a credential.
func (g *gateway) eventAPI(credential string) verigatev1connect.EventServiceClient {
	return verigatev1connect.NewEventServiceClient(
		connect.NewClient(connecthttp.NewTransport(newHTTPClient(g.t, true, credential), g.url)))
}
