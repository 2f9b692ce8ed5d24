package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/connect/v2/connectproto"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server/verification"
)

// wire is one way to speak to the gateway.
type wire struct {
	name    string
	options []connecthttp.Option
	http2   bool
}

// wires is every protocol with every codec over every HTTP version that can
// carry it: gRPC needs HTTP/2.
func wires() []wire {
	protocols := []wire{
		{name: "Connect over HTTP 1.1"},
		{name: "Connect over HTTP 2", http2: true},
		{name: "gRPC over HTTP 2", http2: true, options: []connecthttp.Option{connecthttp.WithGRPC()}},
		{name: "gRPC-Web over HTTP 1.1", options: []connecthttp.Option{connecthttp.WithGRPCWeb()}},
		{name: "gRPC-Web over HTTP 2", http2: true, options: []connecthttp.Option{connecthttp.WithGRPCWeb()}},
	}
	all := make([]wire, 0, 2*len(protocols))
	for _, p := range protocols {
		withJSON := append([]connecthttp.Option{connecthttp.WithProtoJSON()}, p.options...)
		all = append(all,
			wire{name: p.name + " in protobuf", options: p.options, http2: p.http2},
			wire{name: p.name + " in JSON", options: withJSON, http2: p.http2})
	}
	return all
}

// start begins a verification for a fresh subject.
func (g *gateway) start(api verigatev1connect.VerificationServiceClient) *verigatev1.StartVerificationResponse {
	g.t.Helper()
	started, err := api.StartVerification(g.t.Context(), &verigatev1.StartVerificationRequest{
		Flow: "identity", Subject: "subject-" + uuid.NewString(), RedirectUrl: "myapp://done", FailureRedirectUrl: "myapp://sorry",
	})
	if err != nil {
		g.t.Fatalf("StartVerification: %v", err)
	}
	return started
}

// hook is a webhook body with an id of its own.
func hook(kind verification.EventKind, id string) string {
	return hookWithID(uuid.NewString(), kind, id)
}

func hookWithID(hookID string, kind verification.EventKind, id string) string {
	// Four strings always encode.
	body, _ := json.Marshal(fakeHook{ID: hookID, Kind: string(kind), For: id})
	return string(body)
}

// deliver posts a signed webhook and returns the answer.
func (g *gateway) deliver(connection, body string) answer {
	g.t.Helper()
	return callAt(g.t, newHTTPClient(g.t, false, ""), http.MethodPost, g.webhooks+"/webhooks/"+connection, body,
		"Content-Type: application/json", fakeHeader+": "+fakeSignature([]byte(body)))
}

// decide delivers one event about a verification.
func (g *gateway) decide(id string, kind verification.EventKind) {
	g.t.Helper()
	if a := g.deliver("fake", hook(kind, id)); a.status != http.StatusOK {
		g.t.Fatalf("webhook %s: %d %s", kind, a.status, a.body)
	}
}

// watch opens a stream that ends with the test.
func watch(t *testing.T, api verigatev1connect.VerificationServiceClient, r *verigatev1.WatchStatusRequest) *stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	opened, err := api.WatchStatus(ctx, r)
	if err != nil {
		cancel()
		t.Fatalf("WatchStatus: %v", err)
	}
	s := &stream{t: t, in: opened, cancel: cancel}
	t.Cleanup(s.close)
	return s
}

// stream is an open WatchStatus.
type stream struct {
	t      *testing.T
	in     verigatev1connect.VerificationServiceWatchStatusClientStream
	cancel context.CancelFunc
}

func (s *stream) close() {
	s.cancel()
	_ = s.in.Close()
}

// next returns the next message.
func (s *stream) next() *verigatev1.StatusUpdate {
	s.t.Helper()
	update, err := s.in.Receive()
	if err != nil {
		s.t.Fatalf("the stream ended: %v", err)
	}
	return update
}

// end expects the stream to end OK without another message.
func (s *stream) end() {
	s.t.Helper()
	if update, err := s.in.Receive(); !errors.Is(err, io.EOF) {
		s.t.Fatalf("got %v, %v; want the stream to end OK", update, err)
	}
}

// details returns the details of an error of one type.
func details[M proto.Message](t *testing.T, err error) []M {
	t.Helper()
	remote, ok := errors.AsType[*connect.Error](err)
	if !ok {
		t.Fatalf("%v is not an error of the API", err)
	}
	var found []M
	for _, detail := range remote.Details() {
		message, err := connectproto.UnmarshalErrorDetail(detail)
		if err != nil {
			t.Fatalf("detail %s: %v", detail.Type, err)
		}
		if m, ok := message.(M); ok {
			found = append(found, m)
		}
	}
	return found
}

// wantCode fails unless err has the code.
func wantCode(t *testing.T, err error, code connect.Code) {
	t.Helper()
	if err == nil || connect.CodeOf(err) != code {
		t.Fatalf("got %v, want code %v", err, code)
	}
}

// exposed is what the metrics endpoint says.
func (g *gateway) exposed() string {
	g.t.Helper()
	return callAt(g.t, newHTTPClient(g.t, false, ""), http.MethodGet, g.operator+"/metrics", "").body
}

// metric returns the value of a metric line that begins with name, 0 if none.
func (g *gateway) metric(name string) float64 {
	g.t.Helper()
	line := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindStringSubmatch(g.exposed())
	if line == nil {
		return 0
	}
	value, err := strconv.ParseFloat(strings.TrimSpace(line[1]), 64)
	if err != nil {
		g.t.Fatalf("metric %s: %v", name, err)
	}
	return value
}

// watchers is how many streams the node has open.
func (g *gateway) watchers() int { return int(g.metric("verigate_watchers")) }
