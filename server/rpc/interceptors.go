package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/verification"
)

// Meter counts calls.
type Meter interface {
	// Called records one finished call.
	Called(procedure string, code string, took time.Duration)
	// Unauthenticated counts a refused credential.
	Unauthenticated()
}

// Authenticator says who an Authorization header speaks for.
type Authenticator interface {
	Authenticate(ctx context.Context, header string) (access.Principal, error)
}

type principalKey struct{}

// Authenticate is an interceptor that admits nobody without a good credential,
// before anything of the request is decoded.
func Authenticate(auth Authenticator, meter Meter, log *slog.Logger) connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			header := ""
			if info, ok := connect.CallInfoForServerContext(ctx); ok {
				header = info.RequestHeader().Get("Authorization")
			}
			p, err := auth.Authenticate(ctx, header)
			if verification.KindOf(err) == verification.KindUnauthenticated {
				meter.Unauthenticated()
				log.InfoContext(ctx, "credential refused", "procedure", spec.Procedure, "why", errors.Unwrap(err))
			}
			if err != nil {
				return toConnect(err)
			}
			return next(context.WithValue(ctx, principalKey{}, p), spec, stream)
		}
	}
}

// principal returns who calls.
func principal(ctx context.Context) (access.Principal, error) {
	p, ok := ctx.Value(principalKey{}).(access.Principal)
	if !ok {
		return access.Principal{}, access.ErrUnauthenticated
	}
	return p, nil
}

// backend returns who calls if it holds an API key. A client token on a
// backend's call is as good as none.
func backend(ctx context.Context) (access.Principal, error) {
	p, err := principal(ctx)
	if err != nil || p.IsClient() {
		return access.Principal{}, access.ErrUnauthenticated
	}
	return p, nil
}

// Observe is an interceptor that logs and counts every call once and turns a
// panic into an internal error. It is the outermost.
func Observe(meter Meter, log *slog.Logger, now func() time.Time) connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) (err error) {
			began := now()
			defer func() {
				if r := recover(); r != nil {
					log.ErrorContext(ctx, "panic in a handler", "procedure", spec.Procedure, "panic", fmt.Sprintf("%T", r), "stack", string(debug.Stack()))
					err = toConnect(verification.NewError(verification.KindInternal, "INTERNAL", "internal error"))
				}
				took := now().Sub(began)
				meter.Called(spec.Procedure, codeText(err), took)
				log.Log(ctx, level(err), "call", "procedure", spec.Procedure, "code", codeText(err), "took", took, "cause", cause(err))
			}()
			return next(ctx, spec, stream)
		}
	}
}

func codeText(err error) string {
	if err == nil {
		return "ok"
	}
	return connect.CodeOf(err).String()
}

// level is by whose fault it is: ours is an error, the world's a warning.
func level(err error) slog.Level {
	if err == nil {
		return slog.LevelInfo
	}
	switch connect.CodeOf(err) {
	case connect.CodeInternal, connect.CodeUnknown, connect.CodeDataLoss:
		return slog.LevelError
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded:
		return slog.LevelWarn
	default:
		return slog.LevelInfo
	}
}

// cause is the deepest reason, for the operator. The caller's own mistakes have
// none worth keeping.
func cause(err error) string {
	if err == nil || level(err) == slog.LevelInfo {
		return ""
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}
