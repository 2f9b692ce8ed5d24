package outgoing_test

import (
	"context"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/verigate/verigate/server/outgoing"
)

// target is a real server on loopback that counts who connects.
type target struct {
	*httptest.Server
	connections atomic.Int64
	closed      chan struct{}
}

func (s *target) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return pool
}

func (s *target) port() string { return s.URL[strings.LastIndexByte(s.URL, ':'):] }

func newTarget(t *testing.T, handler http.HandlerFunc) *target {
	t.Helper()
	s := &target{closed: make(chan struct{}, 100)}
	var handlers sync.WaitGroup // closing the server does not wait for those of HTTP/2
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handlers.Add(1)
		defer handlers.Done()
		handler(w, r)
	}))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			s.connections.Add(1)
		case http.StateClosed:
			s.closed <- struct{}{}
		default:
		}
	}
	t.Cleanup(func() {
		s.Close()
		handlers.Wait()
	})
	return s
}

func tlsTarget(t *testing.T, handler http.HandlerFunc) *target {
	t.Helper()
	s := newTarget(t, handler)
	s.StartTLS()
	return s
}

func http2Target(t *testing.T, handler http.HandlerFunc) *target {
	t.Helper()
	s := newTarget(t, handler)
	s.EnableHTTP2 = true
	s.StartTLS()
	return s
}

func plainTarget(t *testing.T, handler http.HandlerFunc) *target {
	t.Helper()
	s := newTarget(t, handler)
	s.Start()
	return s
}

func newClient(t *testing.T, o outgoing.Options) *http.Client {
	t.Helper()
	client := outgoing.New(o)
	t.Cleanup(client.CloseIdleConnections)
	return client
}

func get(t *testing.T, client *http.Client, url string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return client.Do(req)
}

// mustGet returns a response whose body is closed at the end of the test.
func mustGet(t *testing.T, client *http.Client, url string) *http.Response {
	t.Helper()
	resp, err := get(t, client, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

func readAll(t *testing.T, resp *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// nameServer answers every query for IPv4 addresses with what answer returns,
// and says that there are no others.
func nameServer(t *testing.T, answer func() []netip.Addr) *net.Resolver {
	t.Helper()
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		packet := make([]byte, 1<<10)
		for {
			n, from, err := conn.ReadFrom(packet)
			if err != nil {
				return
			}
			if reply := answerTo(packet[:n], answer); reply != nil {
				_, _ = conn.WriteTo(reply, from)
			}
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func answerTo(packet []byte, answer func() []netip.Addr) []byte {
	var query dnsmessage.Message
	if query.Unpack(packet) != nil || len(query.Questions) != 1 {
		return nil
	}
	reply := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: query.ID, Response: true, RecursionAvailable: true},
		Questions: query.Questions,
	}
	if question := query.Questions[0]; question.Type == dnsmessage.TypeA {
		for _, address := range answer() {
			reply.Answers = append(reply.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET},
				Body:   &dnsmessage.AResource{A: address.As4()},
			})
		}
	}
	packed, err := reply.Pack()
	if err != nil {
		return nil
	}
	return packed
}

func always(addresses ...string) func() []netip.Addr {
	parsed := make([]netip.Addr, 0, len(addresses))
	for _, text := range addresses {
		parsed = append(parsed, netip.MustParseAddr(text))
	}
	return func() []netip.Addr { return parsed }
}

func ok(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }
