package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/park"
	"github.com/verigate/verigate/server/telemetry"
	"github.com/verigate/verigate/server/transport"
	"github.com/verigate/verigate/server/verification"
)

// Meter counts calls.
type Meter interface {
	// Called records one finished call.
	Called(procedure string, code string, took time.Duration)
	// Unauthenticated counts a refused credential by its reason.
	Unauthenticated(reason string)
}

// Authenticator says who an Authorization header speaks for.
type Authenticator interface {
	Authenticate(ctx context.Context, header string) (access.Principal, error)
	// Recheck says whether a principal is still good while its stream lasts.
	Recheck(ctx context.Context, p access.Principal) error
}

// Limits refuses who does too much at a time.
type Limits interface {
	// Address takes a call from an address.
	Address(bucket string) error
	// Caller takes a call from a principal.
	Caller(p access.Principal) error
	// Start takes a start of a subject.
	Start(p access.Principal, subject string) error
}

type principalKey struct{}

// LimitAddress is an interceptor that refuses an address that calls too often,
// before its credential costs a look-up.
func LimitAddress(limits Limits) connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			if err := limits.Address(transport.Bucket(transport.Address(ctx))); err != nil {
				return toConnect(err)
			}
			return next(ctx, spec, stream)
		}
	}
}

// LimitCaller is an interceptor that refuses a principal that calls too often.
func LimitCaller(limits Limits) connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			if err := limits.Caller(principal(ctx)); err != nil {
				return toConnect(err)
			}
			return next(ctx, spec, stream)
		}
	}
}

// Authenticate is an interceptor that admits nobody without a credential that
// is good for the call, before anything of the request is decoded.
func Authenticate(auth Authenticator, meter Meter, log *slog.Logger) connect.ServerInterceptor {
	g := &gate{meter: meter, log: log}
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			header := ""
			if info, ok := connect.CallInfoForServerContext(ctx); ok {
				header = info.RequestHeader().Get("Authorization")
			}
			p, err := auth.Authenticate(ctx, header)
			if err == nil {
				telemetry.NoteCaller(ctx, kindOf(p))
			}
			if err == nil && !permits(spec.Procedure, p) {
				err = access.RefuseCall(p)
			}
			if err == nil {
				err = next(context.WithValue(ctx, principalKey{}, p), spec, stream)
			}
			procedure, address, detached := spec.Procedure, transport.Address(ctx), telemetry.Detach(ctx)
			if park.Later(ctx, func(err error) error { return g.passed(detached, procedure, address, err) }) {
				return err
			}
			return g.passed(ctx, procedure, address, err)
		}
	}
}

// gate tells the operator of refused credentials.
type gate struct {
	meter Meter
	log   *slog.Logger
}

// passed looks at how a call ended: a credential may be refused while it lasts.
func (g *gate) passed(ctx context.Context, procedure string, address netip.Addr, err error) error {
	if refusal := access.RefusalOf(err); refusal != nil {
		g.meter.Unauthenticated(refusal.Reason)
		g.log.InfoContext(ctx, "credential refused", "procedure", procedure, "reason", refusal.Reason,
			"why", refusal.Error(), "address", address)
	}
	return toConnect(err)
}

// kindOf says who calls as far as a log may know.
func kindOf(p access.Principal) string {
	switch {
	case p.IsKey():
		return "key:" + p.KeyID
	case p.IsEndUser():
		return "end_user"
	default:
		return "client_token"
	}
}

// principal returns who calls. Without the interceptor it is nobody, who may
// see nothing.
func principal(ctx context.Context) access.Principal {
	p, _ := ctx.Value(principalKey{}).(access.Principal)
	return p
}

// Observe is an interceptor that logs and counts every call once, when it is
// over, and turns a panic into an internal error. It is the outermost.
func Observe(meter Meter, log *slog.Logger, now func() time.Time) connect.ServerInterceptor {
	o := &observer{meter: meter, log: log, now: now}
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) (err error) {
			procedure, began := spec.Procedure, now()
			defer func() {
				if r := recover(); r != nil {
					log.ErrorContext(ctx, "panic in a handler", "procedure", spec.Procedure, "panic", fmt.Sprintf("%T", r), "stack", string(debug.Stack()))
					err = toConnect(verification.NewError(verification.KindInternal, "INTERNAL", "internal error"))
				}
				detached := telemetry.Detach(ctx)
				if !park.Later(ctx, func(err error) error { return o.over(detached, procedure, began, err) }) {
					_ = o.over(ctx, procedure, began, err)
				}
			}()
			return next(ctx, spec, stream)
		}
	}
}

// observer logs and counts calls.
type observer struct {
	meter Meter
	log   *slog.Logger
	now   func() time.Time
}

func (o *observer) over(ctx context.Context, procedure string, began time.Time, err error) error {
	took := o.now().Sub(began)
	o.meter.Called(procedure, codeText(err), took)
	o.log.Log(ctx, level(err), "call", "procedure", procedure, "code", codeText(err), "took", took, "cause", cause(err))
	return err
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
// none worth keeping, but which limit it met is one.
func cause(err error) string {
	if err == nil || level(err) == slog.LevelInfo && connect.CodeOf(err) != connect.CodeResourceExhausted {
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
