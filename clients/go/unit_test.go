package verigate_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	verigate "github.com/verigate/verigate/clients/go"
	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
)

func TestOptionsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for want, option := range map[string]verigate.Option{
		"Heartbeat": verigate.Heartbeat(0), "OnLine": verigate.OnLine(nil), "WithClock": verigate.WithClock(nil),
	} {
		for _, err := range verigate.Watch(t.Context(), nil, nil, option) {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("Watch: %v does not name %s", err, want)
			}
		}
		for _, err := range verigate.Events(t.Context(), nil, nil, option) {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("Events: %v does not name %s", err, want)
			}
		}
	}
}

// cached is a client whose streams fail and whose polls come from a cache.
type cached struct {
	verigatev1connect.VerificationServiceClient

	polls atomic.Int64
}

func (c *cached) WatchStatus(context.Context, *verigatev1.WatchStatusRequest) (verigatev1connect.VerificationServiceWatchStatusClientStream, error) {
	return verigatev1connect.VerificationServiceWatchStatusClientStream{}, connect.NewError(connect.CodeUnavailable, "no streams")
}

func (c *cached) GetVerification(context.Context, *verigatev1.GetVerificationRequest) (*verigatev1.GetVerificationResponse, error) {
	c.polls.Add(1)
	return &verigatev1.GetVerificationResponse{Verification: &verigatev1.Verification{Version: 2, Result: pending}}, nil
}

func TestPollsThatNeverWaitAreNotRepeatedAtOnce(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	var pauses []time.Duration
	client := &cached{}
	tell := verigate.OnLine(func(line verigate.Line) {
		if line.State != verigate.Waiting {
			return
		}
		if pauses = append(pauses, line.RetryIn); len(pauses) == 6 {
			stop()
		}
	})
	messages := 0
	for _, err := range verigate.Watch(ctx, client, nil, tell, verigate.WithClock(&clock{skips: true, whole: true})) {
		if err == nil {
			messages++
		}
	}
	const ms = time.Millisecond
	// Three streams, a poll with news, then polls with none.
	want := []time.Duration{250 * ms, 500 * ms, 1000 * ms, 250 * ms, 500 * ms, 1000 * ms}
	if !slices.Equal(pauses, want) || messages != 1 || client.polls.Load() != 4 {
		t.Errorf("pauses %v, want %v; %d messages, %d polls", pauses, want, messages, client.polls.Load())
	}
}

// What no retry can heal is told at once.
func TestWatchEndsOnAMisconfiguration(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		url, key string
		code     connect.Code
	}{
		"a key with its file's line break": {"http://127.0.0.1:1", "vg_test_key\n", connect.CodeUnauthenticated},
		"no key":                           {"http://127.0.0.1:1", "", connect.CodeUnauthenticated},
		"a URL without a scheme":           {"verify.example.com", "key", connect.CodeInvalidArgument},
		"no URL":                           {"", "key", connect.CodeInvalidArgument},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := connect.NewClient(verigate.NewTransport(verigate.HTTPClient(), c.url), verigate.APIKey(c.key))
			client := verigatev1connect.NewVerificationServiceClient(api)
			failures := 0
			for _, err := range verigate.Watch(t.Context(), client, &verigatev1.WatchStatusRequest{Id: "any"}) {
				failures++
				if answer, ok := errors.AsType[*connect.Error](err); !ok || answer.Code() != c.code {
					t.Errorf("it ended with %v", err)
				}
			}
			if failures != 1 {
				t.Errorf("%d errors", failures)
			}
		})
	}
}

// refusing sends the state and then refuses the credential, each time.
type refusing struct {
	verigatev1connect.UnimplementedVerificationServiceHandler

	streams atomic.Int64
}

func (r *refusing) WatchStatus(_ context.Context, _ *verigatev1.WatchStatusRequest, s verigatev1connect.VerificationServiceWatchStatusServerStream) error {
	r.streams.Add(1)
	if err := s.Send(&verigatev1.StatusUpdate{Version: 2}); err != nil {
		return err
	}
	return connect.NewError(connect.CodeUnauthenticated, "refused")
}

func TestARefusalAfterARepeatedStateIsNotRetriedWithoutEnd(t *testing.T) {
	t.Parallel()
	service := &refusing{}
	api := connect.NewServer()
	verigatev1connect.RegisterVerificationServiceHandler(api, service)
	mux := http.NewServeMux()
	connecthttp.Mount(mux, api)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	token := verigate.TokenFunc(func(context.Context) (string, error) { return "fresh", nil })
	client := verigatev1connect.NewVerificationServiceClient(connect.NewClient(verigate.NewTransport(server.Client(), server.URL), token))
	var last error
	for _, err := range verigate.Watch(t.Context(), client, &verigatev1.WatchStatusRequest{Id: "any"}) {
		last = err
	}
	// The first state was news; after the second there was none.
	if answer, ok := errors.AsType[*connect.Error](last); !ok || answer.Code() != connect.CodeUnauthenticated || service.streams.Load() != 2 {
		t.Errorf("%v after %d streams", last, service.streams.Load())
	}
}

// out is a client in an outage, which ends with a stream that tells a result.
type out struct {
	cached

	streams atomic.Int64
}

func (o *out) WatchStatus(ctx context.Context, r *verigatev1.WatchStatusRequest) (verigatev1connect.VerificationServiceWatchStatusClientStream, error) {
	o.streams.Add(1)
	return o.cached.WatchStatus(ctx, r)
}

func (o *out) GetVerification(context.Context, *verigatev1.GetVerificationRequest) (*verigatev1.GetVerificationResponse, error) {
	o.polls.Add(1)
	return nil, connect.NewError(connect.CodeUnavailable, "no polls")
}

func TestInAnOutageStreamsAndPollsTakeTurns(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	client, pauses := &out{}, 0
	tell := verigate.OnLine(func(line verigate.Line) {
		if line.State != verigate.Waiting {
			return
		}
		if pauses++; pauses == 3+2*10 {
			stop()
		}
	})
	for range verigate.Watch(ctx, client, nil, tell, verigate.WithClock(&clock{skips: true, whole: true})) {
		continue
	}
	if client.streams.Load() != 3+10 || client.polls.Load() != 10 {
		t.Errorf("%d streams and %d polls", client.streams.Load(), client.polls.Load())
	}
}

// scripted serves events, a script for each stream.
type scripted struct {
	verigatev1connect.UnimplementedEventServiceHandler

	mu      sync.Mutex
	scripts []func(ctx context.Context, s verigatev1connect.EventServiceStreamEventsServerStream) error
	cursors []string
	tokens  []string
}

func (s *scripted) StreamEvents(
	ctx context.Context, r *verigatev1.StreamEventsRequest, stream verigatev1connect.EventServiceStreamEventsServerStream,
) error {
	info, _ := connect.CallInfoForServerContext(ctx)
	s.mu.Lock()
	s.cursors = append(s.cursors, r.GetAfterCursor())
	s.tokens = append(s.tokens, info.RequestHeader().Get("Authorization"))
	next := s.scripts[0]
	s.scripts = s.scripts[1:]
	s.mu.Unlock()
	return next(ctx, stream)
}

// serve returns a client of the scripts.
func (s *scripted) serve(t *testing.T, credential connect.ClientInterceptor) verigatev1connect.EventServiceClient {
	t.Helper()
	api := connect.NewServer()
	verigatev1connect.RegisterEventServiceHandler(api, s)
	mux := http.NewServeMux()
	connecthttp.Mount(mux, api)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	http := verigate.HTTPClient()
	t.Cleanup(http.CloseIdleConnections)
	return verigatev1connect.NewEventServiceClient(connect.NewClient(verigate.NewTransport(http, server.URL), credential))
}

// sendEvents sends events with the cursors, and a heartbeat for "".
func sendEvents(end error, cursors ...string) func(context.Context, verigatev1connect.EventServiceStreamEventsServerStream) error {
	return func(_ context.Context, s verigatev1connect.EventServiceStreamEventsServerStream) error {
		for _, cursor := range cursors {
			if err := s.Send(&verigatev1.StreamEventsResponse{Event: &verigatev1.Event{}, Cursor: cursor}); err != nil {
				return err
			}
		}
		return end
	}
}

func TestEventsAreYieldedOnceAndGoOnFromTheLastCursor(t *testing.T) {
	t.Parallel()
	left := make(chan struct{})
	s := &scripted{}
	s.scripts = append(s.scripts,
		sendEvents(connect.NewError(connect.CodeUnavailable, "later"), "c1", "c2"),
		func(_ context.Context, stream verigatev1connect.EventServiceStreamEventsServerStream) error {
			heartbeat := &verigatev1.StreamEventsResponse{Kind: verigatev1.StreamEventsKind_STREAM_EVENTS_KIND_HEARTBEAT, Cursor: "c3"}
			if err := stream.Send(heartbeat); err != nil {
				return err
			}
			return connect.NewError(connect.CodeUnavailable, "later")
		},
		func(ctx context.Context, stream verigatev1connect.EventServiceStreamEventsServerStream) error {
			_ = sendEvents(nil, "c4")(ctx, stream)
			<-ctx.Done()
			close(left)
			return ctx.Err()
		})
	var tokens atomic.Int64
	token := verigate.TokenFunc(func(context.Context) (string, error) {
		if tokens.Add(1) == 1 {
			return "", errors.New("the token server is busy")
		}
		return "fresh", nil
	})
	var got []string
	request := &verigatev1.StreamEventsRequest{AfterCursor: "c0"}
	for m, err := range verigate.Events(t.Context(), s.serve(t, token), request, verigate.WithClock(&clock{skips: true})) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, m.GetCursor()); m.GetCursor() == "c4" {
			break
		}
	}
	select {
	case <-left:
	case <-time.After(patience):
		t.Fatal("the call was not canceled")
	}
	if want := []string{"c1", "c2", "c4"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if want := []string{"c0", "c2", "c3"}; !slices.Equal(s.cursors, want) || request.GetAfterCursor() != "c0" {
		t.Errorf("asked after %v, want %v; the request is now %v", s.cursors, want, request)
	}
	if s.tokens[0] != "Bearer fresh" {
		t.Errorf("the tokens were %q", s.tokens)
	}
}

func TestTheHTTPClientIsFitForStreams(t *testing.T) {
	t.Parallel()
	client := verigate.HTTPClient()
	defer client.CloseIdleConnections()
	pings := client.Transport.(*http.Transport).HTTP2
	if client.Timeout != 0 || pings.SendPingTimeout <= 0 || pings.SendPingTimeout+pings.PingTimeout >= 45*time.Second {
		t.Errorf("timeout %s, pings %+v", client.Timeout, pings)
	}
	server := httptest.NewServer(http.RedirectHandler("http://127.0.0.1:1/", http.StatusTemporaryRedirect))
	defer server.Close()
	answer, err := client.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusTemporaryRedirect {
		t.Errorf("it followed a redirect to %s", answer.Status)
	}
}
