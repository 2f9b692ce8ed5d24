package rpc

import (
	"context"
	"net/http"
	"time"

	"connectrpc.com/connect/v2"
)

// answerTimeout is how long the answer of a unary call may take to leave.
const answerTimeout = 10 * time.Second

type writeControlKey struct{}

// WithWriteControl lets calls set deadlines for single messages: connect hides
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
func armWriteDeadline(ctx context.Context, timeout time.Duration) func() {
	control, ok := ctx.Value(writeControlKey{}).(*http.ResponseController)
	if !ok || control.SetWriteDeadline(time.Now().Add(timeout)) != nil {
		return func() {}
	}
	return func() { _ = control.SetWriteDeadline(time.Time{}) }
}

// BoundUploads is an interceptor that gives a request message a time to arrive.
// The deadline is cleared with the message, so that it never ends a stream or a
// long poll; a refused call keeps it, because the HTTP server still reads what
// is left of the body.
func BoundUploads(timeout time.Duration) connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			control, ok := ctx.Value(writeControlKey{}).(*http.ResponseController)
			if !ok || control.SetReadDeadline(time.Now().Add(timeout)) != nil {
				return next(ctx, spec, stream)
			}
			// A call may wait for long before it answers; its answer is bound then.
			_ = control.SetWriteDeadline(time.Time{})
			return next(ctx, spec, &boundStream{
				ServerStream: stream, control: control, unary: spec.StreamType == connect.StreamTypeUnary,
			})
		}
	}
}

// boundStream clears the read deadline once a message has arrived, and gives the
// answer of a unary call a time to leave. Streams see to each message themselves.
type boundStream struct {
	connect.ServerStream

	control *http.ResponseController
	unary   bool
}

// Send implements connect.ServerStream.
func (s *boundStream) Send(msg any) error {
	if s.unary {
		_ = s.control.SetWriteDeadline(time.Now().Add(answerTimeout))
	}
	return s.ServerStream.Send(msg)
}

// Receive implements connect.ServerStream.
func (s *boundStream) Receive(msg any) error {
	err := s.ServerStream.Receive(msg)
	if err == nil {
		_ = s.control.SetReadDeadline(time.Time{})
	}
	return err
}
