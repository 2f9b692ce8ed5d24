package sandbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"sync"

	"github.com/verigate/verigate/server/secret"
)

// emulator is what every emulator is made of: the account, hosted pages, a
// sender of webhooks, and an end that waits.
type emulator struct {
	account

	mux    *http.ServeMux
	pages  *template.Template
	sender *sender
	// release frees what the emulator itself opened.
	release func()

	closeOnce sync.Once
	closing   chan struct{}
}

// newEmulator starts the sender; Close stops it. The routes are the caller's.
func newEmulator(a account) (*emulator, error) {
	pages, err := parsePages()
	if err != nil {
		return nil, err
	}
	client, release := webhookClient(a.client)
	e := &emulator{
		account: a, mux: http.NewServeMux(), pages: pages, release: release, closing: make(chan struct{}),
		sender: &sender{client: client, retry: a.retry, wait: a.wait, log: a.log, report: a.onDelivery},
	}
	for name, contentType := range assetTypes() {
		e.mux.HandleFunc("GET /assets/"+name, asset(name, contentType))
	}
	e.sender.start()
	return e, nil
}

// webhookClient returns a client that takes a redirect as the answer, as a
// sender of webhooks should, and what frees it. The given client stays as it is.
func webhookClient(given *http.Client) (*http.Client, func()) {
	client := &http.Client{}
	release := func() {}
	if given != nil {
		*client = *given
	} else {
		transport := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}
		client.Transport = transport
		release = transport.CloseIdleConnections
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client, release
}

// Close stops all webhooks, answers whoever hangs in the making of a session,
// and waits until no goroutine of the emulator is left or ctx ends, whose error
// it then returns. It can be repeated. Requests that come later are refused
// where they would send a webhook.
func (e *emulator) Close(ctx context.Context) error {
	e.closeOnce.Do(func() { close(e.closing) })
	err := e.sender.close(ctx)
	e.release()
	return err
}

// ServeHTTP implements http.Handler.
func (e *emulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	// There is no form-action: browsers apply it to the redirects that follow a
	// form, and an app's custom scheme behind a return leg cannot be listed.
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "+
		"connect-src 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	// An app may open the page in a window of its own, and wants to hear from it.
	h.Set("Cross-Origin-Opener-Policy", "unsafe-none")
	h.Set("Cache-Control", "no-store")
	e.mux.ServeHTTP(w, r)
}

// handler is an http.HandlerFunc that returns what went wrong.
type handler func(w http.ResponseWriter, r *http.Request) error

// refusalOf keeps errors that were not written for the caller in the log.
func (e *emulator) refusalOf(err error) *refusal {
	if no, ok := errors.AsType[*refusal](err); ok {
		return no
	}
	e.log.Error("sandbox: request failed", slog.Any("error", err))
	return &refusal{status: http.StatusInternalServerError, message: "Internal error"}
}

// page answers errors as plain text; the notices of people are pages already.
func (e *emulator) page(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			no := e.refusalOf(err)
			http.Error(w, no.message, no.status)
		}
	}
}

// hang answers nothing until the caller leaves or the emulator is closed.
func (e *emulator) hang(r *http.Request) error {
	select {
	case <-r.Context().Done():
	case <-e.closing:
	}
	return refuse(http.StatusServiceUnavailable, "The sandbox was told to hang and was released")
}

// same compares in a time that tells nothing about the key, not even its length.
func same(given string, key secret.Value) bool {
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(key.Reveal()))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// unsent says that a webhook could not be taken.
func unsent(err error) error {
	if errors.Is(err, errFull) || errors.Is(err, errClosed) {
		return refuse(http.StatusServiceUnavailable, "%v", err)
	}
	return err
}

// pageFiles are the hosted pages' templates and what they load.
//
//go:embed page
var pageFiles embed.FS

const htmlType = "text/html; charset=utf-8"

func parsePages() (*template.Template, error) {
	pages, err := template.ParseFS(pageFiles, "page/*.html")
	if err != nil {
		return nil, fmt.Errorf("parse the hosted page: %w", err)
	}
	return pages, nil
}

// notice is a page that only says something. Root is relative to the page, so
// that no mount prefix matters.
type notice struct {
	Title string
	Text  string
	Root  string
}

// render writes a whole page or none: a template that fails writes nothing.
func (e *emulator) render(w http.ResponseWriter, status int, name string, view any) error {
	var page bytes.Buffer
	if err := e.pages.ExecuteTemplate(&page, name, view); err != nil {
		return fmt.Errorf("render the %s page: %w", name, err)
	}
	w.Header().Set("Content-Type", htmlType)
	w.WriteHeader(status)
	_, _ = page.WriteTo(w)
	return nil
}

// assetTypes are the files that pages load, with their types.
func assetTypes() map[string]string {
	return map[string]string{
		"style.css": "text/css; charset=utf-8",
		"run.js":    "text/javascript; charset=utf-8",
		"icon.svg":  "image/svg+xml",
	}
}

// asset serves one embedded file.
func asset(name, contentType string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		http.ServeFileFS(w, r, pageFiles, "page/"+name)
	}
}
