package transport_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/transport"
)

func TestAServerBoundsHeadersAndNeverAWholeRequest(t *testing.T) {
	t.Parallel()
	_, log := newJournal()
	server := transport.NewHTTPServer(http.HandlerFunc(sayProto), log)
	if server.ReadHeaderTimeout != 5*time.Second || server.IdleTimeout != 2*time.Minute || server.MaxHeaderBytes != 32<<10 {
		t.Errorf("headers are bounded by %v and %d bytes, idle connections by %v",
			server.ReadHeaderTimeout, server.MaxHeaderBytes, server.IdleTimeout)
	}
	if server.ReadTimeout != 0 || server.WriteTimeout != 0 {
		t.Errorf("every stream ends after %v or %v", server.ReadTimeout, server.WriteTimeout)
	}
}

func TestAServerSpeaksEveryProtocol(t *testing.T) {
	t.Parallel()
	_, log := newJournal()
	plain := listen(t, transport.NewHTTPServer(http.HandlerFunc(sayProto), log))
	f := newFiles(t)
	f.put(t, newPair(t, 1, aYear))
	secure := listenTLS(t, open(t, f, log))
	for _, c := range []struct {
		name, url, want string
		set             func(*http.Protocols)
	}{
		{"HTTP/1.1 in the clear", "http://" + plain, "HTTP/1.1", overHTTP1},
		{"HTTP/2 in the clear", "http://" + plain, "HTTP/2.0", overClearHTTP2},
		{"HTTP/1.1 over TLS", "https://" + secure, "HTTP/1.1", overHTTP1},
		{"HTTP/2 over TLS", "https://" + secure, "HTTP/2.0", overHTTP2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, body, err := get(t, client(t, c.set), c.url)
			if err != nil || body != c.want {
				t.Errorf("the server spoke %q, %v", body, err)
			}
		})
	}
}

func TestHeadersOverTheCapAreRefusedAndTheServerLivesOn(t *testing.T) {
	t.Parallel()
	_, log := newJournal()
	address := listen(t, transport.NewHTTPServer(http.HandlerFunc(sayProto), log))
	for protocol, send := range map[string]func(t *testing.T, address string, headers []string) string{
		"HTTP/1.1": sendHTTP1, "HTTP/2": sendHTTP2,
	} {
		for _, c := range []struct {
			name    string
			headers []string
			want    map[string]string
		}{
			{"31 KiB pass", padding(1, 31<<10), map[string]string{"HTTP/1.1": "200", "HTTP/2": "200"}},
			{"37 KiB in pieces do not", padding(37, 1<<10), map[string]string{"HTTP/1.1": "431", "HTTP/2": "431"}},
			// On HTTP/2 what cannot be a mistake any more ends the connection.
			{"37 KiB in one piece do not", padding(1, 37<<10), map[string]string{"HTTP/1.1": "431", "HTTP/2": "cut"}},
			{"one that never ends does not", padding(1, 1<<20), map[string]string{"HTTP/1.1": "431", "HTTP/2": "cut"}},
			{"2000 small ones do not", padding(2000, 20), map[string]string{"HTTP/1.1": "431", "HTTP/2": "cut"}},
		} {
			t.Run(protocol+": "+c.name, func(t *testing.T) {
				t.Parallel()
				if got := send(t, address, c.headers); got != c.want[protocol] {
					t.Errorf("the answer is %q", got)
				}
				if got := send(t, address, nil); got != "200" {
					t.Errorf("the answer to the next request is %q", got)
				}
			})
		}
	}
}

// padding is a number of headers of a size.
func padding(count, size int) []string {
	headers := make([]string, count)
	for i := range headers {
		headers[i] = fmt.Sprintf("x-padding-%d: %s", i, strings.Repeat("a", size))
	}
	return headers
}

// slowServer cuts slow clients after a moment instead of five seconds.
func slowServer(t *testing.T, certificate *transport.Certificate) string {
	t.Helper()
	_, log := newJournal()
	server := transport.NewHTTPServer(http.HandlerFunc(sayProto), log)
	server.ReadHeaderTimeout = 500 * time.Millisecond
	if certificate != nil {
		server.TLSConfig = certificate.TLSConfig()
	}
	return listen(t, server)
}

func TestASlowClientIsCutOff(t *testing.T) {
	t.Parallel()
	_, log := newJournal()
	f := newFiles(t)
	f.put(t, newPair(t, 1, aYear))
	plain, secure := slowServer(t, nil), slowServer(t, open(t, f, log))
	for _, c := range []struct{ name, address, sent string }{
		{"in the middle of its headers", plain, "GET / HTTP/1.1\r\nHost: gateway.test\r\nX-Slow: "},
		{"before its first byte", plain, ""},
		{"in the middle of the HTTP/2 preface", plain, "PRI * HTTP/2.0\r\n"},
		{"in the middle of a TLS handshake", secure, "\x16\x03\x01"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			conn := dial(t, c.address)
			if _, err := io.WriteString(conn, c.sent); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(conn)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the connection was still open after %v, having answered %q", patience, got)
			}
		})
	}
	t.Run("and the next one is served", func(t *testing.T) {
		t.Parallel()
		if _, body, err := get(t, client(t, overHTTP1), "http://"+plain); err != nil || body != "HTTP/1.1" {
			t.Errorf("it was answered %q, %v", body, err)
		}
	})
}

func TestNoiseOfTheInternetIsLoggedQuietlyAndWithoutAddresses(t *testing.T) {
	t.Parallel()
	logged, log := newJournal()
	f := newFiles(t)
	f.put(t, newPair(t, 1, aYear))
	server := transport.NewHTTPServer(http.HandlerFunc(sayProto), log)
	server.TLSConfig = open(t, f, log).TLSConfig()
	conn := dial(t, listen(t, server))
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: gateway.test\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, _ := bufio.NewReader(conn).ReadString('\n')
	if !strings.Contains(answer, "400") {
		t.Errorf("plain HTTP on a TLS port was answered %q", answer)
	}
	line := logged.await(t, "TLS handshake error")
	if !strings.Contains(line, "level=DEBUG") || strings.Contains(line, "127.0.0.1") {
		t.Errorf("it was logged as %s", line)
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	t.Parallel()
	logged, log := newJournal()
	f := newFiles(t)
	f.put(t, newPair(t, 1, aYear))
	server := transport.NewHTTPServer(http.HandlerFunc(sayProto), log)
	server.TLSConfig = open(t, f, log).TLSConfig()
	address := listen(t, server)
	for version, ok := range map[uint16]bool{
		tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true,
	} {
		conn := tls.Client(dial(t, address), &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version})
		if err := conn.HandshakeContext(t.Context()); (err == nil) != ok {
			t.Errorf("%s ended with %v", tls.VersionName(version), err)
		}
	}
	logged.await(t, "level=DEBUG", "TLS handshake error", "unsupported versions")
}

func TestAPanicThatNobodyCaughtIsLoggedWithoutItsValue(t *testing.T) {
	t.Parallel()
	logged, log := newJournal()
	address := listen(t, transport.NewHTTPServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic("Ada Lovelace\ngoroutine 1 [running]: passport 12345")
	}), log))
	for _, set := range []func(*http.Protocols){overHTTP1, overClearHTTP2} {
		if _, _, err := get(t, client(t, set), "http://"+address); err == nil {
			t.Error("the caller was told that all is well")
		}
	}
	line := logged.await(t, "level=ERROR", "panic while serving", "goroutine")
	if !strings.Contains(line, "server_test.go") {
		t.Errorf("the stack does not show where: %s", line)
	}
	if logged.count("Lovelace")+logged.count("passport")+logged.count("127.0.0.1") > 0 {
		t.Errorf("more than the stack was logged: %s", line)
	}
}

func listenTLS(t *testing.T, certificate *transport.Certificate) string {
	t.Helper()
	_, log := newJournal()
	server := transport.NewHTTPServer(http.HandlerFunc(sayProto), log)
	server.TLSConfig = certificate.TLSConfig()
	return listen(t, server)
}
