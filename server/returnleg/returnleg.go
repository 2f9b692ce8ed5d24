// Package returnleg serves the way back: the provider sends the person to
// /return/{nonce}, the gateway notes it and redirects to the app.
//
// A return is a hint and a convenience, never proof: no path leads from here to
// an approved verification. Whoever holds the nonce can do no more than open
// the app. It imports verification only.
package returnleg

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/verigate/verigate/server/transport"
	"github.com/verigate/verigate/server/verification"
)

// Path is where the legs are mounted; a nonce follows.
const Path = "/return"

// maxQuery bounds what a person can make us look at.
const maxQuery = 4 << 10

// Returner is the domain.
type Returner interface {
	Returned(ctx context.Context, r verification.Return) (string, error)
}

// Limits refuses addresses that come back too often at a time.
type Limits interface {
	// Address takes a request from an address.
	Address(bucket string) error
}

// Handler serves both legs of every verification.
type Handler struct {
	Returner Returner
	Limits   Limits
	Log      *slog.Logger
}

// Mount installs the handler's routes.
func (h *Handler) Mount(mux *http.ServeMux) {
	mux.HandleFunc("GET "+Path+"/{nonce}", func(w http.ResponseWriter, r *http.Request) { h.serve(w, r, false) })
	mux.HandleFunc("GET "+Path+"/{nonce}/failure", func(w http.ResponseWriter, r *http.Request) { h.serve(w, r, true) })
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, failure bool) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	// The app may have opened the hosted page in a window of its own.
	header.Set("Cross-Origin-Opener-Policy", "unsafe-none")
	if r.Method == http.MethodHead {
		// A link preview is not a person who came back.
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if err := h.Limits.Address(transport.Bucket(transport.Address(r.Context()))); err != nil {
		w.Header().Set("Retry-After", "2")
		h.page(w, http.StatusTooManyRequests, "Please try again in a moment", "Reload this page, or go back to the app.")
		return
	}
	var query url.Values
	if len(r.URL.RawQuery) <= maxQuery {
		query = r.URL.Query()
	}
	target, err := h.Returner.Returned(r.Context(), verification.Return{
		Nonce: r.PathValue("nonce"), Failure: failure, Query: query,
	})
	switch {
	case verification.KindOf(err) == verification.KindNotFound:
		h.page(w, http.StatusNotFound, "This link does not belong to a verification", "Please go back to the app and start again.")
	case err != nil:
		h.Log.ErrorContext(r.Context(), "could not note a return", "error", err)
		w.Header().Set("Retry-After", "2")
		h.page(w, http.StatusServiceUnavailable, "Please try again in a moment", "Reload this page, or go back to the app.")
	case target == "":
		h.page(w, http.StatusOK, "You are done here", "You can close this page and go back to the app.")
	default:
		http.Redirect(w, r, target, http.StatusSeeOther)
	}
}

func (h *Handler) page(w http.ResponseWriter, status int, title, text string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">" +
		"<meta name=\"viewport\" content=\"width=device-width\"><title>" + title + "</title>" +
		"<h1>" + title + "</h1><p>" + text + "</p></html>\n"))
}
