package verigate_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	"github.com/verigate/verigate/clients/faultproxy/fault"
	verigate "github.com/verigate/verigate/clients/go"
	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
)

const (
	// heartbeat is the gateways'.
	heartbeat = 500 * time.Millisecond
	watchCall = "WatchStatus"
	pollCall  = "GetVerification"
	pass      = verigatev1.VerificationResult_VERIFICATION_RESULT_PASS
	fail      = verigatev1.VerificationResult_VERIFICATION_RESULT_FAIL
	pending   = verigatev1.VerificationResult_VERIFICATION_RESULT_PENDING
)

// bench is a client with a fault proxy between it and a gateway.
type bench struct {
	*testing.T

	gateway *gateway
	proxy   *fault.Proxy
	clock   *clock
	http    *http.Client
}

func newBench(t *testing.T, g *gateway, http2 bool) *bench {
	t.Helper()
	proxy, err := fault.Start(t.Context(), fault.Config{Upstream: g.url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = proxy.Close() })
	var protocols http.Protocols
	protocols.SetHTTP1(!http2)
	protocols.SetUnencryptedHTTP2(http2)
	// As in HTTPClient, in proportion to the gateway's heartbeat; pings are slower
	// than the watchdog, so that it is the one to notice.
	transport := &http.Transport{
		Protocols: &protocols, HTTP2: &http.HTTP2Config{SendPingTimeout: 4 * heartbeat, PingTimeout: 4 * heartbeat},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &bench{T: t, gateway: g, proxy: proxy, clock: &clock{}, http: &http.Client{Transport: transport}}
}

// client returns a client with the gateway's key.
func (b *bench) client() verigatev1connect.VerificationServiceClient {
	return b.clientWith(verigate.APIKey(b.gateway.key))
}

func (b *bench) clientWith(credential connect.ClientInterceptor) verigatev1connect.VerificationServiceClient {
	api := connect.NewClient(verigate.NewTransport(b.http, b.proxy.URL()), credential)
	return verigatev1connect.NewVerificationServiceClient(api)
}

// start starts a verification and returns its id.
func (b *bench) start() string {
	b.Helper()
	answer, err := b.client().StartVerification(b.Context(), &verigatev1.StartVerificationRequest{Flow: "kyc", Subject: "u1"})
	if err != nil {
		b.Fatal(err)
	}
	return answer.GetVerification().GetId()
}

// complete lets the person pass.
func (b *bench) complete(id string) {
	b.Helper()
	b.gateway.sandbox(b.T, "complete", id, "--outcome", "pass")
}

func (b *bench) faults(rules ...fault.Rule) {
	b.Helper()
	if err := b.proxy.SetFaults(rules...); err != nil {
		b.Fatal(err)
	}
}

// wait waits until the proxy has seen what is wanted.
func (b *bench) wait(until fault.Condition) fault.Calls {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	calls, err := b.proxy.Wait(ctx, until)
	if err != nil {
		b.Fatalf("never saw %+v, but %+v", until, calls)
	}
	return calls
}

// closed waits until no call of a procedure is open.
func (b *bench) closed(procedure string) fault.Calls {
	b.Helper()
	return b.wait(fault.Condition{Procedure: procedure, Open: new(int)})
}

// asked reads the request of a WatchStatus call.
func (b *bench) asked(c fault.Call) *verigatev1.WatchStatusRequest {
	b.Helper()
	const prefix = 5 // of the envelope
	var request verigatev1.WatchStatusRequest
	if err := proto.Unmarshal(c.Request[prefix:], &request); err != nil {
		b.Fatal(err)
	}
	return &request
}

// watching is a watch in the background.
type watching struct {
	bench   *bench
	updates chan *verigatev1.StatusUpdate
	ended   chan error
	stop    context.CancelCauseFunc

	mu    sync.Mutex
	lines []verigate.Line
}

// watch follows a verification until the test ends.
func (b *bench) watch(id string, options ...verigate.Option) *watching {
	b.Helper()
	return b.watchWith(b.client(), &verigatev1.WatchStatusRequest{Id: id}, options...)
}

func (b *bench) watchWith(
	client verigatev1connect.VerificationServiceClient, request *verigatev1.WatchStatusRequest, options ...verigate.Option,
) *watching {
	b.Helper()
	ctx, stop := context.WithCancelCause(b.Context())
	w := &watching{bench: b, updates: make(chan *verigatev1.StatusUpdate, 100), ended: make(chan error, 1), stop: stop}
	done := make(chan struct{})
	all := append([]verigate.Option{verigate.WithClock(b.clock), verigate.OnLine(w.note)}, options...)
	go func() {
		defer close(done)
		var last error
		for m, err := range verigate.Watch(ctx, client, request, all...) {
			if last = err; err == nil {
				w.updates <- m
			}
		}
		w.ended <- last
	}()
	b.Cleanup(func() {
		stop(nil)
		<-done
	})
	return w
}

func (w *watching) note(line verigate.Line) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, line)
}

// states are the states of the line so far.
func (w *watching) states() []verigate.LineState {
	w.mu.Lock()
	defer w.mu.Unlock()
	var states []verigate.LineState
	for _, line := range w.lines {
		states = append(states, line.State)
	}
	return states
}

// pauses are the pauses so far.
func (w *watching) pauses() []time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	var pauses []time.Duration
	for _, line := range w.lines {
		if line.State == verigate.Waiting {
			pauses = append(pauses, line.RetryIn)
		}
	}
	return pauses
}

// reasons are why it waited so far.
func (w *watching) reasons() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var reasons []string
	for _, line := range w.lines {
		if line.Reason != nil {
			reasons = append(reasons, line.Reason.Error())
		}
	}
	return reasons
}

// next waits for the next message.
func (w *watching) next() *verigatev1.StatusUpdate {
	w.bench.Helper()
	select {
	case m := <-w.updates:
		return m
	case <-time.After(patience):
		w.bench.Fatalf("no message; the line was %v", w.states())
		return nil
	}
}

// wantEnd waits until the watch ends by itself with a result, and checks that the
// versions after the last one seen came once and in order.
func (w *watching) wantEnd(result verigatev1.VerificationResult, after int64) {
	w.bench.Helper()
	if err := w.end(); err != nil {
		w.bench.Fatal(err)
	}
	close(w.updates)
	var last *verigatev1.StatusUpdate
	for m := range w.updates {
		if last.GetTerminal() || m.GetVersion() <= after {
			w.bench.Errorf("version %d came after %d, terminal: %v", m.GetVersion(), after, last.GetTerminal())
		}
		last, after = m, m.GetVersion()
	}
	if last.GetResult() != result || !last.GetTerminal() {
		w.bench.Errorf("the last message is %v", last)
	}
	if states := w.states(); !slices.Contains(states, verigate.Ended) {
		w.bench.Errorf("the line was %v", states)
	}
}

// end waits until the watch ends, and returns its error.
func (w *watching) end() error {
	w.bench.Helper()
	select {
	case err := <-w.ended:
		return err
	case <-time.After(patience):
		w.bench.Fatalf("the watch does not end; the line was %v", w.states())
		return nil
	}
}

// wantCode checks that the watch ends with an error of the gateway's.
func (w *watching) wantCode(code connect.Code) {
	w.bench.Helper()
	err := w.end()
	if answer, ok := errors.AsType[*connect.Error](err); !ok || answer.Code() != code {
		w.bench.Errorf("it ended with %v, want %s", err, code)
	}
}
