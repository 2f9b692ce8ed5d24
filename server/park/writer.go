package park

import (
	"net/http"
	"strings"
)

const contentType = "Content-Type"

// writer is an http.ResponseWriter that passes on what is written until its
// stream is parked, and nothing after that: what the RPC library says at the end
// of the call is not the end of the stream.
//
// It has headers of its own, because net/http keeps those of a response twice for
// as long as that lasts. What is sent is kept small.
type writer struct {
	out    http.ResponseWriter
	header http.Header
	sent   bool
	parked bool
}

// Header implements http.ResponseWriter.
func (w *writer) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *writer) WriteHeader(status int) {
	if w.parked {
		return
	}
	w.send()
	w.out.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *writer) Write(p []byte) (int, error) {
	if w.parked {
		return len(p), nil
	}
	w.send()
	return w.out.Write(p)
}

// FlushError is what http.ResponseController calls.
func (w *writer) FlushError() error {
	if w.parked {
		return nil
	}
	w.send()
	return http.NewResponseController(w.out).Flush()
}

// Flush implements http.Flusher.
func (w *writer) Flush() { _ = w.FlushError() }

// Unwrap lets http.ResponseController reach the line, for deadlines.
func (w *writer) Unwrap() http.ResponseWriter { return w.out }

// ofDocuments are headers that speak to a browser about a document. A stream of
// messages is none, and the other security headers keep it from being taken for
// one: its type must not be guessed, it must not be embedded, and it may load
// nothing.
func ofDocuments(name string) bool {
	switch name {
	case "Referrer-Policy", "X-Frame-Options", "Cross-Origin-Opener-Policy", "Permissions-Policy":
		return true
	default:
		return false
	}
}

// isStream reports whether a content type is that of a stream of messages.
func isStream(contentType string) bool {
	return strings.HasPrefix(contentType, "application/connect+") || strings.HasPrefix(contentType, "application/grpc")
}

// send passes the headers on, before the first of them leaves. Up to eight are
// kept in the smallest map that there is, which a hundred thousand streams notice.
func (w *writer) send() {
	if w.sent {
		return
	}
	w.sent = true
	out, stream := w.out.Header(), isStream(w.header.Get(contentType))
	for name, values := range w.header {
		empty := len(values) == 1 && values[0] == ""
		if stream && (empty || ofDocuments(name)) {
			continue
		}
		out[name] = values
	}
}

// finish passes on what came after the headers of a call that parked nothing.
func (w *writer) finish() {
	if w.parked {
		return
	}
	if w.sent {
		copyTrailers(w.out.Header(), w.header)
	}
	w.send()
}

// park returns the line, and passes nothing on any more.
func (w *writer) park() http.ResponseWriter {
	w.parked = true
	// They have left, and net/http has a copy.
	clear(w.out.Header())
	return w.out
}
