package rpc

import (
	"context"
	"errors"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/verigate/verigate/server/verification"
)

// errorDomain is the ErrorInfo domain of every error that we author.
const errorDomain = "verigate.v1"

// codes translates the domain's kinds; every kind is here.
var codes = map[verification.Kind]connect.Code{
	verification.KindInvalid:         connect.CodeInvalidArgument,
	verification.KindNotFound:        connect.CodeNotFound,
	verification.KindConflict:        connect.CodeAlreadyExists,
	verification.KindRefused:         connect.CodeFailedPrecondition,
	verification.KindRaced:           connect.CodeAborted,
	verification.KindLimited:         connect.CodeResourceExhausted,
	verification.KindExpired:         connect.CodeOutOfRange,
	verification.KindUnauthenticated: connect.CodeUnauthenticated,
	verification.KindUnavailable:     connect.CodeUnavailable,
	verification.KindInternal:        connect.CodeInternal,
}

// retryDelays say when a retry makes sense, for the kinds where it does.
var retryDelays = map[verification.Kind]time.Duration{
	verification.KindRaced:       200 * time.Millisecond,
	verification.KindLimited:     5 * time.Second,
	verification.KindUnavailable: time.Second,
}

// toConnect turns any error into what the caller may see. Only text that was
// written for callers gets through; the cause stays for the log.
func toConnect(err error) error {
	if err == nil {
		return nil
	}
	if authored, ok := errors.AsType[*connect.Error](err); ok {
		return authored
	}
	if errors.Is(err, context.Canceled) {
		return connect.NewError(connect.CodeCanceled, "the caller hung up").WithCause(err)
	}
	e, ok := errors.AsType[*verification.Error](err)
	if !ok && errors.Is(err, context.DeadlineExceeded) {
		return connect.NewError(connect.CodeDeadlineExceeded, "the deadline passed").WithCause(err)
	}
	if !ok {
		e = verification.NewError(verification.KindInternal, "INTERNAL", "internal error")
	}
	return withDetails(connect.NewError(codes[e.Kind], e.Error()).WithCause(err), e)
}

func withDetails(err *connect.Error, e *verification.Error) *connect.Error {
	info := &errdetails.ErrorInfo{Reason: e.Reason, Domain: errorDomain}
	if e.Field != "" {
		info.Metadata = map[string]string{"field": e.Field}
	}
	details := []proto.Message{info}
	if e.Field != "" {
		details = append(details, &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
			{Field: e.Field, Description: e.Message},
		}})
	}
	delay, retryable := retryDelays[e.Kind]
	if e.RetryAfter > 0 {
		delay, retryable = e.RetryAfter, true
	}
	if retryable {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(delay)})
	}
	for _, message := range details {
		if detail, packErr := connectproto.NewErrorDetail(message); packErr == nil {
			err = err.WithDetail(detail)
		}
	}
	return err
}
