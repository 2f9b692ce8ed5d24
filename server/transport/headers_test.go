package transport_test

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"testing"

	"github.com/verigate/verigate/server/transport"
)

func TestEveryPageIsProtected(t *testing.T) {
	t.Parallel()
	_, log := newJournal()
	address := listen(t, transport.NewHTTPServer(transport.WithSecurityHeaders(http.NotFoundHandler(), true), log))
	page, _, err := get(t, client(t, overHTTP1), "http://"+address)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"X-Content-Type-Options":       "nosniff",
		"Referrer-Policy":              "no-referrer",
		"X-Frame-Options":              "DENY",
		"Content-Security-Policy":      "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Permissions-Policy":           "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
		"Strict-Transport-Security":    "max-age=31536000",
	} {
		if got := page.Header.Values(name); len(got) != 1 || got[0] != want {
			t.Errorf("%s is %q", name, got)
		}
	}
}

func TestWithoutHTTPSBrowsersAreNotBoundToIt(t *testing.T) {
	t.Parallel()
	_, log := newJournal()
	address := listen(t, transport.NewHTTPServer(transport.WithSecurityHeaders(http.NotFoundHandler(), false), log))
	page, _, err := get(t, client(t, overHTTP1), "http://"+address)
	if err != nil || page.Header.Get("Strict-Transport-Security") != "" {
		t.Errorf("the page says %v, %v", page, err)
	}
}

func TestAPageHasTheLastWordOnItsHeaders(t *testing.T) {
	t.Parallel()
	_, log := newJournal()
	address := listen(t, transport.NewHTTPServer(transport.WithSecurityHeaders(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'")
		w.Header().Set("Cross-Origin-Opener-Policy", "unsafe-none")
		w.Header().Del("Permissions-Policy")
	}), false), log))
	page, _, err := get(t, client(t, overHTTP1), "http://"+address)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'self'", "Cross-Origin-Opener-Policy": "unsafe-none", "Permissions-Policy": "",
	} {
		if got := strings.Join(page.Header.Values(name), " and "); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
}

// guarded serves a handler behind WithRecovery.
func guarded(t *testing.T, handler http.HandlerFunc) (logged *journal, url string) {
	t.Helper()
	logged, log := newJournal()
	return logged, "http://" + listen(t, transport.NewHTTPServer(transport.WithRecovery(handler, log), log))
}

func TestAPanicBeforeTheAnswerIsAnInternalError(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]func(http.ResponseWriter){
		"with nothing written":             func(http.ResponseWriter) {},
		"after an early hint":              func(w http.ResponseWriter) { w.WriteHeader(http.StatusEarlyHints) },
		"with headers for another content": func(w http.ResponseWriter) { w.Header().Set("Content-Length", "9999") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			logged, url := guarded(t, func(w http.ResponseWriter, _ *http.Request) {
				before(w)
				panic(&fs.PathError{Op: "open", Path: "/passports/Ada Lovelace", Err: fs.ErrNotExist})
			})
			page, body, err := get(t, client(t, overHTTP1), url)
			if err != nil || page.StatusCode != http.StatusInternalServerError || strings.TrimSpace(body) != "internal error" {
				t.Errorf("the answer is %v %q, %v", page, body, err)
			}
			line := logged.await(t, "level=ERROR", "panic in a handler", "panic=*fs.PathError")
			if !strings.Contains(line, "headers_test.go") || logged.count("Lovelace") > 0 {
				t.Errorf("it was logged as %s", line)
			}
		})
	}
}

func TestAPanicInTheMiddleOfAnAnswerBreaksItOff(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]func(http.ResponseWriter){
		"after a status":     func(w http.ResponseWriter) { w.WriteHeader(http.StatusOK) },
		"after some content": func(w http.ResponseWriter) { _, _ = io.WriteString(w, "half an ans") },
		"after a flush":      func(w http.ResponseWriter) { w.(http.Flusher).Flush() },
		"after a controller's flush": func(w http.ResponseWriter) {
			_ = http.NewResponseController(w).Flush()
		},
	} {
		for protocol, set := range map[string]func(*http.Protocols){"HTTP/1.1": overHTTP1, "HTTP/2": overClearHTTP2} {
			t.Run(name+" over "+protocol, func(t *testing.T) {
				t.Parallel()
				logged, url := guarded(t, func(w http.ResponseWriter, _ *http.Request) {
					before(w)
					panic("Ada Lovelace")
				})
				if _, body, err := get(t, client(t, set), url); err == nil {
					t.Errorf("the caller takes %q for the answer", body)
				}
				logged.await(t, "level=ERROR", "panic in a handler", "panic=string")
				if logged.count("Lovelace") > 0 {
					t.Error("the value was logged")
				}
			})
		}
	}
}

func TestADeliberateAbortIsNoFault(t *testing.T) {
	t.Parallel()
	logged, url := guarded(t, func(http.ResponseWriter, *http.Request) {
		panic(errors.Join(http.ErrAbortHandler, errors.New("Ada Lovelace")))
	})
	if _, body, err := get(t, client(t, overHTTP1), url); err == nil {
		t.Errorf("the caller takes %q for the answer", body)
	}
	if got := logged.count(); got != 0 {
		t.Errorf("%d lines were logged", got)
	}
}

func TestGuardedHandlersKeepTheirStreams(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	_, url := guarded(t, func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
			t.Errorf("the connection is out of reach: %v", err)
		}
		_, _ = io.WriteString(w, "first")
		w.(http.Flusher).Flush()
		select {
		case <-arrived:
			_, _ = io.WriteString(w, " second")
		case <-r.Context().Done():
		}
	})
	response, err := client(t, overHTTP1).Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	first := make([]byte, len("first"))
	if _, err := io.ReadFull(response.Body, first); err != nil {
		t.Fatalf("nothing was flushed: %v", err)
	}
	close(arrived)
	if rest, err := io.ReadAll(response.Body); err != nil || string(first)+string(rest) != "first second" {
		t.Errorf("%q was followed by %q, %v", first, rest, err)
	}
}
