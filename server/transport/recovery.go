package transport

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
)

// WithRecovery is middleware that logs a panic, by type and stack and never by
// value, which may be anything, and answers 500 if nothing was sent yet.
// Otherwise it breaks the connection or stream off, so that nobody takes half an
// answer for a whole one. http.ErrAbortHandler passes through. RPC handlers
// recover by themselves, further in.
func WithRecovery(next http.Handler, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent := &sentWriter{ResponseWriter: w}
		defer func() {
			reason := recover()
			if reason == nil {
				return
			}
			if err, ok := reason.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				// Bare, because net/http would print a wrapped one.
				panic(http.ErrAbortHandler)
			}
			log.ErrorContext(r.Context(), "panic in a handler", "panic", fmt.Sprintf("%T", reason), "stack", string(debug.Stack()))
			if sent.any {
				panic(http.ErrAbortHandler)
			}
			w.Header().Set("Cache-Control", "no-store")
			http.Error(w, "internal error", http.StatusInternalServerError)
		}()
		next.ServeHTTP(sent, r)
	})
}

// sentWriter notes whether a final status was sent. It can flush, because RPC
// streams ask for that, and unwraps for http.ResponseController.
type sentWriter struct {
	http.ResponseWriter

	any bool
}

// WriteHeader implements http.ResponseWriter.
func (w *sentWriter) WriteHeader(status int) {
	// Other informational answers precede the final one.
	w.any = w.any || status >= http.StatusOK || status == http.StatusSwitchingProtocols
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *sentWriter) Write(p []byte) (int, error) {
	w.any = true
	return w.ResponseWriter.Write(p)
}

// FlushError is what http.ResponseController calls.
func (w *sentWriter) FlushError() error {
	w.any = true
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush implements http.Flusher.
func (w *sentWriter) Flush() { _ = w.FlushError() }

// Unwrap lets http.ResponseController reach the connection.
func (w *sentWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
