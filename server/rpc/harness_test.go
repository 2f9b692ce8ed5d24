package rpc_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/connect/v2/connectinprocess"
	"connectrpc.com/validate"
	"github.com/google/uuid"

	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/park"
	"github.com/verigate/verigate/server/rpc"
	"github.com/verigate/verigate/server/telemetry"
	"github.com/verigate/verigate/server/transport"
	"github.com/verigate/verigate/server/verification"
	"github.com/verigate/verigate/server/watch"
)

const patience = 20 * time.Second

func scope() verification.Scope {
	return verification.Scope{Project: "shop", Environment: verification.Test}
}

// everybody lets everybody in as a backend.
type everybody struct{}

func (everybody) Authenticate(_ context.Context, header string) (access.Principal, error) {
	if header == "Bearer nobody" {
		return access.Principal{}, access.ErrUnauthenticated
	}
	return access.Principal{Scope: scope(), KeyID: "k", KeyScopes: access.KeyScopes()}, nil
}

func (everybody) Recheck(context.Context, access.Principal) error { return nil }

// unlimited refuses nobody.
type unlimited struct{}

func (unlimited) Address(string) error                 { return nil }
func (unlimited) Caller(access.Principal) error        { return nil }
func (unlimited) Start(access.Principal, string) error { return nil }

// calls counts finished calls and refused credentials.
type calls struct {
	mu      sync.Mutex
	codes   []string
	refused []string
}

func (c *calls) Called(_, code string, _ time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.codes = append(c.codes, code)
}

func (c *calls) Unauthenticated(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused = append(c.refused, reason)
}

// reasons are why credentials were refused so far.
func (c *calls) reasons() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.refused)
}

// deaf is a meter of the domain that counts nothing.
type deaf struct{}

func (deaf) Mismatched(string)  {}
func (deaf) FoundByPoll(string) {}
func (deaf) Parked(string)      {}
func (deaf) Applied(verification.EventKind, verification.Source, verification.Effect, verification.Rung) {
}

// edge is the API over one row.
type edge struct {
	service *rpc.Service
	row     *row
	vault   *vault
	hub     *watch.Hub
	calls   *calls
	logs    *safeBuffer
	api     *connect.Server
	drain   chan struct{}
}

// running has something run until the test is over.
func running(t *testing.T, run func(ctx context.Context)) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

// newEdge lets everybody in; upload is the time for one request message.
func newEdge(t *testing.T, timing park.Timing, upload time.Duration) *edge {
	return newEdgeWith(t, everybody{}, unlimited{}, &vault{}, timing, upload)
}

// newEdgeWith puts the interceptors in the order of the process.
func newEdgeWith(t *testing.T, auth rpc.Authenticator, limits rpc.Limits, keys *vault, timing park.Timing, upload time.Duration) *edge {
	e := &edge{
		row: &row{audit: keys.add, v: verification.Verification{
			ID: uuid.Must(uuid.NewV7()), Scope: scope(), State: verification.Pending, Version: 1,
		}},
		vault: keys, calls: &calls{}, logs: &safeBuffer{}, drain: make(chan struct{}),
	}
	log := telemetry.NewLogger(e.logs, slog.LevelDebug, true)
	e.hub = watch.NewHub(100, e.row, log)
	running(t, e.hub.Run)
	lot := park.NewLot(timing, e.drain, log)
	running(t, lot.Run)
	domain := verification.NewService(verification.Deps{
		Store: e.row, Catalog: oneFlow{}, Waker: e.hub, Meter: deaf{}, Log: log, Now: time.Now, Random: rand.Reader,
	})
	e.service = &rpc.Service{
		Verifications: domain, Hub: e.hub, Tokens: testTokens, Access: auth, Limits: limits, Lot: lot, Draining: e.drain,
	}
	e.api = connect.NewServer(
		rpc.Observe(e.calls, log, time.Now), rpc.BoundUploads(upload), rpc.LimitAddress(limits),
		rpc.Authenticate(auth, e.calls, log), rpc.LimitCaller(limits), validate.NewServerInterceptor(), rpc.Storable())
	verigatev1connect.RegisterVerificationServiceHandler(e.api, e.service)
	verigatev1connect.RegisterOperatorServiceHandler(e.api, &rpc.Operator{
		Keys:  &access.Admin{Store: keys, Random: rand.Reader, Now: time.Now},
		Audit: keys, Erase: domain.EraseSubject,
		Verifications: domain, ReadAgain: e.row.drawer.readAgain, Pollable: func(connection string) bool { return connection == "fake" },
	})
	return e
}

func slowTiming() park.Timing { return park.Timing{Heartbeat: time.Hour, MaxAge: time.Hour} }

// move changes the row and wakes its watchers.
func (e *edge) move(state verification.State) { e.hub.Wake(e.row.set(state)) }

func (e *edge) id() string { return e.row.v.ID.String() }

// inProcess is a client without a network: a message that nobody takes blocks
// its stream.
func (e *edge) inProcess() verigatev1connect.VerificationServiceClient {
	return verigatev1connect.NewVerificationServiceClient(connect.NewClient(connectinprocess.New(e.api)))
}

// serve puts the API behind a real HTTP server.
func (e *edge) serve(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	connecthttp.Mount(mux, e.api)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	noProxies := func() transport.Addresses { return transport.Addresses{} }
	handler := telemetry.WithRequestID(transport.WithAddress(rpc.WithWriteControl(mux), noProxies))
	server := httptest.NewUnstartedServer(park.Handler(handler, verigatev1connect.VerificationServiceWatchStatusProcedure))
	server.Config.Protocols = protocols
	// Little is on its way at a time, so that a reader that does not read is noticed
	// soon.
	server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if tcp, ok := c.(*net.TCPConn); ok {
			if err := tcp.SetWriteBuffer(4 << 10); err != nil {
				t.Error(err)
			}
		}
		return ctx
	}
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}

func overHTTP(t *testing.T, url string, http2 bool, options ...connecthttp.Option) verigatev1connect.VerificationServiceClient {
	t.Helper()
	return verigatev1connect.NewVerificationServiceClient(dial(t, url, "", http2, options...))
}

// dial returns a client that sends a credential with every call.
func dial(t *testing.T, url, credential string, http2 bool, options ...connecthttp.Option) *connect.Client {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetUnencryptedHTTP2(http2)
	line := &http.Transport{Protocols: protocols}
	t.Cleanup(line.CloseIdleConnections)
	return connect.NewClient(connecthttp.NewTransport(&http.Client{Transport: line}, url, options...), authorized(credential))
}

// authorized is an interceptor that sends a credential, unless it is empty.
func authorized(credential string) connect.ClientInterceptor {
	return func(next connect.ClientFunc) connect.ClientFunc {
		return func(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
			if info, ok := connect.CallInfoForClientContext(ctx); ok && credential != "" {
				info.RequestHeader().Set("Authorization", "Bearer "+credential)
			}
			return next(ctx, spec)
		}
	}
}

type safeBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
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
