package rpc

import (
	"context"
	"net/http"
	"time"
)

// writeTimeout is how long one message may take to leave.
const writeTimeout = 10 * time.Second

type writeControlKey struct{}

// WithWriteControl lets streams set a deadline for each message: connect hides
// the ResponseWriter, so the controller travels in the context.
func WithWriteControl(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), writeControlKey{}, control)))
	})
}

// armWriteDeadline bounds the next write. The returned function clears the
// deadline again: on HTTP/2 one that expires resets the stream even when
// nothing is being written.
func armWriteDeadline(ctx context.Context) func() {
	control, ok := ctx.Value(writeControlKey{}).(*http.ResponseController)
	if !ok || control.SetWriteDeadline(time.Now().Add(writeTimeout)) != nil {
		return func() {}
	}
	return func() { _ = control.SetWriteDeadline(time.Time{}) }
}
