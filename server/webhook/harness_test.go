package webhook_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/transport"
	"github.com/verigate/verigate/server/verification"
	"github.com/verigate/verigate/server/webhook"
)

const patience = 20 * time.Second

func receiveTime() time.Time { return time.Date(2026, time.May, 17, 10, 0, 0, 0, time.UTC) }

// ingress is a handler behind a real HTTP server, as the process mounts it.
type ingress struct {
	url string

	mu        sync.Mutex
	stored    []*verification.Delivery
	storeErr  error
	notice    provider.Notice
	decodeErr error
	// decoded, if set, is called with what the adapter is given.
	decoded func(provider.Webhook)
	refused []string
	unknown []string
	lookups int
	// limit is what a full address gets, and buckets are the addresses that were
	// asked about.
	limit   error
	full    bool
	buckets []string
	log     bytes.Buffer
	heard   chan struct{}
}

func serve(t *testing.T, readTimeout time.Duration) *ingress {
	t.Helper()
	in := &ingress{
		notice: provider.Notice{Kind: provider.NoticeEvent, DedupeKey: "d1", ProviderEvent: "done"},
		heard:  make(chan struct{}, 100),
	}
	handler := &webhook.Handler{
		Connections: in, Applier: in, Meter: in, Limits: in, Log: slog.New(slog.NewJSONHandler(in, nil)),
		Now: receiveTime, ReadTimeout: readTimeout,
	}
	mux := http.NewServeMux()
	mux.Handle("/webhooks/{connection}", otelhttp.NewHandler(handler, "webhook", otelhttp.WithTracerProvider(noop.NewTracerProvider())))
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	noProxies := func() transport.Addresses { return transport.Addresses{} }
	server := httptest.NewUnstartedServer(transport.WithAddress(mux, noProxies))
	server.Config.Protocols = protocols
	server.Start()
	t.Cleanup(server.Close)
	in.url = server.URL
	return in
}

// Full implements webhook.Applier.
func (in *ingress) Full() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.full
}

// Webhook implements webhook.Limits.
func (in *ingress) Webhook(bucket string) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.buckets = append(in.buckets, bucket)
	return in.limit
}

// Connection implements webhook.Connections.
func (in *ingress) Connection(name string) (webhook.Connection, bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.lookups++
	scope := verification.Scope{Project: "shop", Environment: verification.Test}
	return webhook.Connection{Name: name, Scope: scope, Provider: providerOf{in}}, name == "fake"
}

// Deliver implements webhook.Applier.
func (in *ingress) Deliver(ctx context.Context, d *verification.Delivery) (verification.Effect, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if in.storeErr != nil {
		return "", in.storeErr
	}
	in.stored = append(in.stored, d)
	return verification.Applied, nil
}

// Refused implements webhook.Meter.
func (in *ingress) Refused(connection, reason string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.refused = append(in.refused, connection+"/"+reason)
	in.heard <- struct{}{}
}

// UnknownStatus implements webhook.Meter.
func (in *ingress) UnknownStatus(connection string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.unknown = append(in.unknown, connection)
}

// Write collects the log. The handler logs outside of the ingress's own lock.
func (in *ingress) Write(p []byte) (int, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.log.Write(p)
}

func (in *ingress) logged() string {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.log.String()
}

// providerOf says what the test wants to hear.
type providerOf struct{ in *ingress }

func (providerOf) Name() string { return "fake" }

func (providerOf) Start(context.Context, verification.StartSession) (verification.Session, error) {
	return verification.Session{}, errors.New("nothing starts here")
}

func (providerOf) Authenticate(w provider.Webhook) error {
	if w.Header.Get("X-Fake-Signature") != "good" {
		return fmt.Errorf("%w: no good signature", provider.ErrUnauthentic)
	}
	return nil
}

func (p providerOf) Decode(w provider.Webhook) (provider.Notice, error) {
	p.in.mu.Lock()
	defer p.in.mu.Unlock()
	if p.in.decoded != nil {
		p.in.decoded(w)
	}
	return p.in.notice, p.in.decodeErr
}

// post sends a body with header lines; the signature and type are good unless
// the lines say otherwise.
func (in *ingress) post(t *testing.T, body string, lines ...string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, in.url+"/webhooks/fake", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Fake-Signature", "good")
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		request.Header.Set(name, value)
	}
	line := &http.Transport{}
	t.Cleanup(line.CloseIdleConnections)
	response, err := line.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

// raw opens a connection and writes bytes as they are.
func (in *ingress) raw(t *testing.T, text string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(in.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return conn
}
