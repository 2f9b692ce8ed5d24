// Package telemetry is how an operator sees the process: structured logs with
// request and verification ids, Prometheus metrics, OpenTelemetry traces.
//
// It owns the context fields that every log line carries, so that call sites do
// not repeat them. Nothing personal and no secret is ever a field. It imports
// verification only.
package telemetry

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"
)

// RequestIDHeader carries a request's id in and out.
const RequestIDHeader = "X-Request-Id"

// maxRequestID bounds what a caller can put in our logs.
const maxRequestID = 64

type fieldsKey struct{}

// fields travel with a request; the verification is known only on the way.
type fields struct {
	requestID    string
	caller       atomic.Pointer[string]
	verification atomic.Pointer[uuid.UUID]
}

// NoteVerification adds a verification's id to every later log line of the
// request.
func NoteVerification(ctx context.Context, id uuid.UUID) {
	if f, ok := ctx.Value(fieldsKey{}).(*fields); ok {
		f.verification.Store(&id)
	}
}

// NoteCaller adds who calls to every later log line of the request: the id of an
// API key, or what kind of token it was. Never a subject.
func NoteCaller(ctx context.Context, caller string) {
	if f, ok := ctx.Value(fieldsKey{}).(*fields); ok {
		f.caller.Store(&caller)
	}
}

// Detach returns a context with what the log lines of ctx carry, and nothing
// else of it: for what is logged long after the request was read.
func Detach(ctx context.Context) context.Context {
	f, ok := ctx.Value(fieldsKey{}).(*fields)
	if !ok {
		return context.Background()
	}
	return detached{f}
}

// detached is a context that has the fields and never ends. It takes no room
// beside them.
type detached struct{ fields *fields }

// Deadline implements context.Context.
func (detached) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done implements context.Context.
func (detached) Done() <-chan struct{} { return nil }

// Err implements context.Context.
func (detached) Err() error { return nil }

// Value implements context.Context.
func (d detached) Value(key any) any {
	if _, ok := key.(fieldsKey); ok {
		return d.fields
	}
	return nil
}

// RequestID returns the id of the request that ctx belongs to; empty if none.
func RequestID(ctx context.Context) string {
	if f, ok := ctx.Value(fieldsKey{}).(*fields); ok {
		return f.requestID
	}
	return ""
}

// WithRequestID is middleware that gives every request an id, the caller's own
// if it is a plain one, and returns it.
func WithRequestID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(RequestIDHeader)
		if !isPlain(id) {
			id = uuid.NewString()
		}
		w.Header().Set(RequestIDHeader, id)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), fieldsKey{}, &fields{requestID: id})))
	})
}

func isPlain(id string) bool {
	if id == "" || len(id) > maxRequestID {
		return false
	}
	for _, c := range id {
		plain := c == '-' || c == '_' || c == '.' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
		if !plain {
			return false
		}
	}
	return true
}

// NewLogger returns a logger that adds the request's fields. JSON is for
// machines, text for people.
func NewLogger(w io.Writer, level slog.Leveler, json bool) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	var inner slog.Handler = slog.NewTextHandler(w, options)
	if json {
		inner = slog.NewJSONHandler(w, options)
	}
	return slog.New(handler{inner})
}

type handler struct{ slog.Handler }

func (h handler) Handle(ctx context.Context, record slog.Record) error {
	if f, ok := ctx.Value(fieldsKey{}).(*fields); ok {
		record.AddAttrs(slog.String("request_id", f.requestID))
		if caller := f.caller.Load(); caller != nil {
			record.AddAttrs(slog.String("caller", *caller))
		}
		if id := f.verification.Load(); id != nil && !hasVerification(record) {
			record.AddAttrs(slog.String("verification_id", id.String()))
		}
	}
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		record.AddAttrs(slog.String("trace_id", span.TraceID().String()))
	}
	return h.Handler.Handle(ctx, record)
}

func hasVerification(record slog.Record) bool {
	found := false
	record.Attrs(func(a slog.Attr) bool {
		found = found || a.Key == "verification_id"
		return !found
	})
	return found
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs)}
}

func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name)} }
