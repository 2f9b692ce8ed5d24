package park_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/verigate/verigate/server/park"
)

const procedure = "/test/Watch"

func spec() connect.Spec {
	return connect.Spec{Procedure: procedure, StreamType: connect.StreamTypeServer}
}

// wire is one way to speak to the server.
type wire struct {
	name    string
	http2   bool
	options []connecthttp.Option
	// edit and see, if set, change the requests and look at the answers.
	edit func(*http.Request)
	see  func(*http.Response)
}

// lens is a client's line through which a test edits and sees.
type lens struct {
	http.RoundTripper

	wire wire
}

func (l lens) RoundTrip(r *http.Request) (*http.Response, error) {
	if l.wire.edit != nil {
		l.wire.edit(r)
	}
	response, err := l.RoundTripper.RoundTrip(r)
	if err == nil && l.wire.see != nil {
		l.wire.see(response)
	}
	return response, err
}

func wires() []wire {
	var all []wire
	for name, options := range map[string][]connecthttp.Option{
		"Connect": nil, "Connect JSON": {connecthttp.WithProtoJSON()},
		"gRPC": {connecthttp.WithGRPC()}, "gRPC-Web": {connecthttp.WithGRPCWeb()},
	} {
		for version, http2 := range map[string]bool{"HTTP 1.1": false, "HTTP 2": true} {
			// gRPC is over HTTP/2 only.
			if http2 || name != "gRPC" {
				all = append(all, wire{name: name + " over " + version, http2: http2, options: options})
			}
		}
	}
	return all
}

// site is a server with one procedure: it says "hello" and parks what live says.
type site struct {
	*lot

	url string
	// live is what is parked for a call; nil refuses it after hello.
	live func(ctx context.Context) *script
	// later is told of the ends of parked streams; late is whether it was asked for.
	later chan error
	// requests are those that net/http is done with.
	requests chan *http.Request
	// within counts the requests that the middleware inside has not left yet.
	within sync.WaitGroup
	// writes counts those to the sockets.
	writes atomic.Int64
}

// counted is a listener that counts what its connections write.
type counted struct {
	net.Listener

	writes *atomic.Int64
}

func (l counted) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return countedConn{conn, l.writes}, err
}

type countedConn struct {
	net.Conn

	writes *atomic.Int64
}

func (c countedConn) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

func newSite(t *testing.T, timing park.Timing) *site {
	t.Helper()
	s := &site{lot: newLot(t, timing), later: make(chan error, 100), requests: make(chan *http.Request, 100)}
	s.live = func(context.Context) *script { return newScript() }
	api := connect.NewServer(func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			err := next(ctx, spec, stream)
			if !park.Later(ctx, func(err error) error {
				s.later <- err
				return err
			}) {
				s.later <- err
			}
			return err
		}
	})
	api.Register(connect.Method{Spec: spec(), Handler: s.watch})
	mux := http.NewServeMux()
	connecthttp.Mount(mux, api)
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.within.Add(1)
		defer s.within.Done()
		for name, value := range headers() {
			w.Header().Set(name, value)
		}
		mux.ServeHTTP(w, r)
	})
	parking := park.Handler(inner, procedure)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		parking.ServeHTTP(w, r)
		s.requests <- r
	}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		line, _ := c.(countedConn)
		tcp, ok := line.Conn.(interface{ SetWriteBuffer(bytes int) error })
		if !ok || tcp.SetWriteBuffer(4<<10) != nil {
			t.Error("the line's buffer cannot be made small")
		}
		return ctx
	}
	server.Listener = counted{park.Gather(server.Listener), &s.writes}
	server.Start()
	s.url = server.URL
	t.Cleanup(server.Close)
	return s
}

// headers are what middleware sets.
func headers() map[string]string {
	return map[string]string{
		"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'", "Cache-Control": "no-store",
		"Cross-Origin-Resource-Policy": "same-origin", "X-Request-Id": "r1", "Strict-Transport-Security": "max-age=1",
		"Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "Permissions-Policy": "camera=()",
		"Cross-Origin-Opener-Policy": "same-origin",
	}
}

func (s *site) watch(ctx context.Context, _ connect.Spec, stream connect.ServerStream) error {
	var request wrapperspb.StringValue
	if err := stream.Receive(&request); err != nil {
		return err
	}
	if err := stream.Send(wrapperspb.String("hello")); err != nil {
		return err
	}
	live := s.live(ctx)
	if live == nil {
		return connect.NewError(connect.CodeAborted, "refused")
	}
	return s.Keep(ctx, live, true)
}

// open makes a call on a line of its own and takes its first message.
func (s *site) open(ctx context.Context, t *testing.T, w wire) connect.ClientStream {
	t.Helper()
	return s.line(t, w)(ctx)
}

// line returns what makes calls on one line.
func (s *site) line(t *testing.T, w wire) func(ctx context.Context) connect.ClientStream {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!w.http2)
	protocols.SetUnencryptedHTTP2(w.http2)
	line := &http.Transport{Protocols: protocols}
	t.Cleanup(line.CloseIdleConnections)
	client := connect.NewClient(connecthttp.NewTransport(&http.Client{Transport: lens{line, w}}, s.url, w.options...))
	return func(ctx context.Context) connect.ClientStream {
		t.Helper()
		stream, err := client.CallServerStream(ctx, spec(), wrapperspb.String("please"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = stream.Close() })
		if got, err := next(stream); err != nil || got != "hello" {
			t.Fatalf("the first message is %q, %v", got, err)
		}
		return stream
	}
}

func next(stream connect.ClientStream) (string, error) {
	var message wrapperspb.StringValue
	err := stream.Receive(&message)
	return message.GetValue(), err
}

// frame encodes a message for a wire.
func frame(t *testing.T, w wire, text string) []byte {
	t.Helper()
	var codec connect.Codec = connectproto.NewBinaryCodec()
	if strings.HasPrefix(w.name, "Connect JSON") {
		codec = connectproto.NewJSONCodec()
	}
	buffer := &frameBuffer{data: make([]byte, park.Prefix)}
	if err := codec.MarshalWrite(t.Context(), buffer, wrapperspb.String(text)); err != nil {
		t.Fatal(err)
	}
	park.Frame(buffer.data)
	return buffer.data
}

type frameBuffer struct{ data []byte }

func (b *frameBuffer) Write(p []byte) (int, error) {
	b.data = append(b.data, p...)
	return len(p), nil
}

// ended reports whether a stream ended well.
func ended(err error) bool { return errors.Is(err, io.EOF) }
