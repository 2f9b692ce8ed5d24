package outgoing_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/verigate/verigate/server/outgoing"
)

func TestRedirectsAreReturnedAndNotFollowed(t *testing.T) {
	t.Parallel()
	var followed atomic.Int64
	elsewhere := plainTarget(t, func(http.ResponseWriter, *http.Request) { followed.Add(1) })
	for _, location := range []string{elsewhere.URL, "http://169.254.169.254/latest/meta-data/", "/same-host"} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			t.Run(strconv.Itoa(status)+" to "+location+" comes back", func(t *testing.T) {
				t.Parallel()
				var requests atomic.Int64
				server := plainTarget(t, func(w http.ResponseWriter, _ *http.Request) {
					requests.Add(1)
					w.Header().Set("Location", location)
					w.WriteHeader(status)
				})
				client := newClient(t, outgoing.Options{Loopback: true})
				resp, err := client.Post(server.URL, "application/json", strings.NewReader("{}"))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = resp.Body.Close() })
				if resp.StatusCode != status || resp.Header.Get("Location") != location {
					t.Errorf("got %d to %q", resp.StatusCode, resp.Header.Get("Location"))
				}
				if n := requests.Load(); n != 1 {
					t.Errorf("the server saw %d requests", n)
				}
			})
		}
	}
	t.Cleanup(func() {
		if n := followed.Load(); n != 0 {
			t.Errorf("the target of the redirect saw %d requests", n)
		}
	})
}

func TestARedirectToWhatIsNoURLIsAnError(t *testing.T) {
	t.Parallel()
	server := plainTarget(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "http://[broken")
		w.WriteHeader(http.StatusFound)
	})
	if _, err := get(t, newClient(t, outgoing.Options{Loopback: true}), server.URL); err == nil {
		t.Error("the response was accepted")
	}
}

// endless sends zeros until the client goes away.
func endless(ctx context.Context, w io.Writer) {
	zeros := make([]byte, 64<<10)
	for ctx.Err() == nil {
		if _, err := w.Write(zeros); err != nil {
			return
		}
	}
}

func TestBodiesAreCutAtTheCap(t *testing.T) {
	t.Parallel()
	type body = func(context.Context, io.Writer)
	const limit = 10_000
	sized := func(n int) body { return func(_ context.Context, w io.Writer) { _, _ = w.Write(make([]byte, n)) } }
	bodies := map[string]struct {
		write body
		over  bool
	}{
		"a body of exactly the cap is read whole": {write: sized(limit)},
		"one byte more is too large":              {write: sized(limit + 1), over: true},
		"an endless body is too large":            {write: endless, over: true},
	}
	encodings := map[string]func(context.Context, http.ResponseWriter, body){
		"plain": func(ctx context.Context, w http.ResponseWriter, write body) { write(ctx, w) },
		"gzip": func(ctx context.Context, w http.ResponseWriter, write body) {
			w.Header().Set("Content-Encoding", "gzip")
			zipped := gzip.NewWriter(w)
			write(ctx, zipped)
			_ = zipped.Close()
		},
	}
	for name, c := range bodies {
		for encoding, encode := range encodings {
			t.Run(name+", "+encoding, func(t *testing.T) {
				t.Parallel()
				server := http2Target(t, func(w http.ResponseWriter, r *http.Request) { encode(r.Context(), w, c.write) })
				client := newClient(t, outgoing.Options{Loopback: true, RootCAs: server.roots(), MaxResponse: limit})
				resp := mustGet(t, client, server.URL)
				if resp.Uncompressed != (encoding == "gzip") {
					t.Fatalf("decompressed by the transport: %t", resp.Uncompressed)
				}
				content, err := io.ReadAll(resp.Body)
				if !bytes.Equal(content, make([]byte, limit)) {
					t.Errorf("read %d bytes", len(content))
				}
				if errors.Is(err, outgoing.ErrTooLarge) != c.over || (err != nil) != c.over {
					t.Errorf("got %v", err)
				}
				if _, again := resp.Body.Read(make([]byte, 1)); c.over && !errors.Is(again, outgoing.ErrTooLarge) {
					t.Errorf("reading on: got %v", again)
				}
			})
		}
	}
}

func TestWithoutALimitTheCapIsOneMebibyte(t *testing.T) {
	t.Parallel()
	server := plainTarget(t, func(w http.ResponseWriter, r *http.Request) { endless(r.Context(), w) })
	resp := mustGet(t, newClient(t, outgoing.Options{Loopback: true, MaxResponse: -1}), server.URL)
	if n, err := io.Copy(io.Discard, resp.Body); n != 1<<20 || !errors.Is(err, outgoing.ErrTooLarge) {
		t.Errorf("read %d bytes, then %v", n, err)
	}
}

func TestLargeHeadersAreRefused(t *testing.T) {
	t.Parallel()
	long := func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Long", strings.Repeat("x", 128<<10)) }
	for name, server := range map[string]*target{"HTTP/1.1": tlsTarget(t, long), "HTTP/2": http2Target(t, long)} {
		t.Run("over "+name, func(t *testing.T) {
			t.Parallel()
			client := newClient(t, outgoing.Options{Loopback: true, RootCAs: server.roots()})
			if _, err := get(t, client, server.URL); err == nil {
				t.Error("the response was accepted")
			}
		})
	}
}

func TestTheTimeoutCutsASlowBody(t *testing.T) {
	t.Parallel()
	left := make(chan struct{})
	server := plainTarget(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "first")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(left)
	})
	client := newClient(t, outgoing.Options{Loopback: true, Timeout: time.Second})
	resp := mustGet(t, client, server.URL)
	content, err := io.ReadAll(resp.Body)
	if late, ok := errors.AsType[net.Error](err); string(content) != "first" || !ok || !late.Timeout() {
		t.Errorf("read %q, then %v", content, err)
	}
	<-left // the connection was given up, not only the waiting
}

func TestHTTP2IsSpokenWhereTheServerDoes(t *testing.T) {
	t.Parallel()
	server := http2Target(t, ok)
	resp := mustGet(t, newClient(t, outgoing.Options{Loopback: true, RootCAs: server.roots()}), server.URL)
	if got := readAll(t, resp); resp.ProtoMajor != 2 || got != "ok" {
		t.Errorf("got %s and %q", resp.Proto, got)
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	t.Parallel()
	server := newTarget(t, ok)
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	server.StartTLS()
	if _, err := get(t, newClient(t, outgoing.Options{Loopback: true, RootCAs: server.roots()}), server.URL); err == nil {
		t.Error("the handshake succeeded")
	}
}

func TestCookiesAreNotKept(t *testing.T) {
	t.Parallel()
	sent := make(chan string, 2)
	server := plainTarget(t, func(w http.ResponseWriter, r *http.Request) {
		sent <- r.Header.Get("Cookie")
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "1"})
	})
	client := newClient(t, outgoing.Options{Loopback: true})
	for range 2 {
		mustGet(t, client, server.URL)
		if cookie := <-sent; cookie != "" {
			t.Errorf("the request carried the cookie %q", cookie)
		}
	}
}

func TestIdleConnectionsCanBeClosed(t *testing.T) {
	t.Parallel()
	for name, server := range map[string]*target{"http": plainTarget(t, ok), "https": tlsTarget(t, ok), "HTTP/2": http2Target(t, ok)} {
		t.Run("over "+name, func(t *testing.T) {
			t.Parallel()
			options := outgoing.Options{Loopback: true}
			if server.TLS != nil {
				options.RootCAs = server.roots()
			}
			client := newClient(t, options)
			for range 2 {
				resp := mustGet(t, client, server.URL)
				readAll(t, resp)
				_ = resp.Body.Close()
			}
			if n := server.connections.Load(); n != 1 {
				t.Errorf("two requests took %d connections", n)
			}
			client.CloseIdleConnections()
			<-server.closed
		})
	}
}
