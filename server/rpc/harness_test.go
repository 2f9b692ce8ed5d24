package rpc_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/connect/v2/connectinprocess"
	"github.com/google/uuid"

	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/rpc"
	"github.com/verigate/verigate/server/telemetry"
	"github.com/verigate/verigate/server/verification"
	"github.com/verigate/verigate/server/watch"
)

const patience = 20 * time.Second

func scope() verification.Scope {
	return verification.Scope{Project: "shop", Environment: verification.Test}
}

// row is a store with one verification.
type row struct {
	verification.Store

	mu sync.Mutex
	v  verification.Verification
	// err is what a read returns, if set.
	err error
	// reading, if set, is called before each read.
	reading func()
}

// fail makes every read fail.
func (r *row) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

func (r *row) Get(ctx context.Context, s verification.Scope, id uuid.UUID) (*verification.Verification, error) {
	if r.reading != nil {
		r.reading()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return nil, r.err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s != r.v.Scope || id != r.v.ID {
		return nil, verification.ErrNotFound
	}
	v := r.v
	return &v, nil
}

// set stores the next version.
func (r *row) set(state verification.State) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.v.State = state
	r.v.Version++
	return r.v.Version
}

// everybody lets everybody in as a backend.
type everybody struct{}

func (everybody) Authenticate(_ context.Context, header string) (access.Principal, error) {
	if header == "Bearer nobody" {
		return access.Principal{}, access.ErrUnauthenticated
	}
	return access.Principal{Scope: scope(), KeyID: "k"}, nil
}

// calls counts finished calls.
type calls struct {
	mu    sync.Mutex
	codes []string
}

func (c *calls) Called(_, code string, _ time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.codes = append(c.codes, code)
}

func (*calls) Unauthenticated() {}

// edge is the API over one row.
type edge struct {
	service *rpc.Service
	row     *row
	hub     *watch.Hub
	calls   *calls
	logs    *safeBuffer
	api     *connect.Server
	drain   chan struct{}
}

// newEdge puts the interceptors in the order of the process; upload is the time
// for one request message.
func newEdge(timing rpc.Timing, upload time.Duration) *edge {
	e := &edge{
		row: &row{v: verification.Verification{
			ID: uuid.Must(uuid.NewV7()), Scope: scope(), State: verification.Pending, Version: 1,
		}},
		hub: watch.NewHub(100), calls: &calls{}, logs: &safeBuffer{}, drain: make(chan struct{}),
	}
	log := telemetry.NewLogger(e.logs, slog.LevelDebug, true)
	e.service = &rpc.Service{
		Verifications: verification.NewService(verification.Deps{Store: e.row, Waker: e.hub, Log: log, Now: time.Now}),
		Hub:           e.hub, Timing: timing, Draining: e.drain,
	}
	e.api = connect.NewServer(
		rpc.Observe(e.calls, log, time.Now), rpc.BoundUploads(upload), rpc.Authenticate(everybody{}, e.calls, log))
	verigatev1connect.RegisterVerificationServiceHandler(e.api, e.service)
	return e
}

func slowTiming() rpc.Timing { return rpc.Timing{Heartbeat: time.Hour, MaxAge: time.Hour} }

// move changes the row and wakes its watchers.
func (e *edge) move(state verification.State) { e.hub.Wake(e.row.v.ID, e.row.set(state)) }

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
	server := httptest.NewUnstartedServer(telemetry.WithRequestID(rpc.WithWriteControl(mux)))
	server.Config.Protocols = protocols
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}

func overHTTP(t *testing.T, url string, http2 bool, options ...connecthttp.Option) verigatev1connect.VerificationServiceClient {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetUnencryptedHTTP2(http2)
	transport := &http.Transport{Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	return verigatev1connect.NewVerificationServiceClient(
		connect.NewClient(connecthttp.NewTransport(&http.Client{Transport: transport}, url, options...)))
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
