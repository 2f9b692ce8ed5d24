package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"

	"github.com/verigate/verigate/server/rpc"
	"github.com/verigate/verigate/server/verification"
)

// told is what every kind must become: the other half of the table in the
// package, written down a second time on purpose.
func told() map[verification.Kind]struct {
	code  connect.Code
	retry time.Duration
} {
	type row = struct {
		code  connect.Code
		retry time.Duration
	}
	return map[verification.Kind]row{
		verification.KindInvalid:         {connect.CodeInvalidArgument, 0},
		verification.KindNotFound:        {connect.CodeNotFound, 0},
		verification.KindConflict:        {connect.CodeAlreadyExists, 0},
		verification.KindExpired:         {connect.CodeOutOfRange, 0},
		verification.KindRefused:         {connect.CodeFailedPrecondition, 0},
		verification.KindRaced:           {connect.CodeAborted, 200 * time.Millisecond},
		verification.KindLimited:         {connect.CodeResourceExhausted, 5 * time.Second},
		verification.KindUnauthenticated: {connect.CodeUnauthenticated, 0},
		verification.KindUnavailable:     {connect.CodeUnavailable, time.Second},
		verification.KindInternal:        {connect.CodeInternal, 0},
	}
}

// shown is the error that a caller gets, with its details.
func shown(t *testing.T, err error) (*connect.Error, []proto.Message) {
	t.Helper()
	authored, ok := errors.AsType[*connect.Error](rpc.ToConnect(err))
	if !ok {
		t.Fatalf("%v does not become an error that was written for callers", err)
	}
	var messages []proto.Message
	for _, detail := range authored.Details() {
		message, err := connectproto.UnmarshalErrorDetail(detail)
		if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, message)
	}
	return authored, messages
}

func TestEveryKindHasItsCodeReasonAndRetry(t *testing.T) {
	t.Parallel()
	table := told()
	for _, kind := range rpc.Kinds() {
		if _, ok := table[kind]; !ok {
			t.Errorf("the kind %s is translated, but nobody says how it should be", kind)
		}
	}
	for kind, want := range table {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			cause := errors.New("marked cause")
			err, messages := shown(t, fmt.Errorf("outer: %w", verification.NewError(kind, "SOME_REASON", "some message").WithCause(cause)))
			if err.Code() != want.code || err.Message() != "some message" || !errors.Is(err, cause) {
				t.Errorf("became %v with message %q", err.Code(), err.Message())
			}
			var infos, retries int
			for _, message := range messages {
				switch m := message.(type) {
				case *errdetails.ErrorInfo:
					infos++
					if m.GetReason() != "SOME_REASON" || m.GetDomain() != "verigate.v1" {
						t.Errorf("ErrorInfo %v", m)
					}
				case *errdetails.RetryInfo:
					retries++
					if m.GetRetryDelay().AsDuration() != want.retry {
						t.Errorf("RetryInfo %v, want %v", m, want.retry)
					}
				default:
					t.Errorf("a detail that nobody asked for: %v", m)
				}
			}
			if infos != 1 || (retries == 1) != (want.retry > 0) || retries > 1 {
				t.Errorf("%d ErrorInfo and %d RetryInfo", infos, retries)
			}
		})
	}
}

func TestAWrongFieldIsNamedThreeTimes(t *testing.T) {
	t.Parallel()
	err, messages := shown(t, verification.Invalid("redirect_url", "must be https"))
	if err.Code() != connect.CodeInvalidArgument || err.Message() != "redirect_url: must be https" {
		t.Errorf("became %v %q", err.Code(), err.Message())
	}
	named := 0
	for _, message := range messages {
		switch m := message.(type) {
		case *errdetails.ErrorInfo:
			if m.GetMetadata()["field"] == "redirect_url" {
				named++
			}
		case *errdetails.BadRequest:
			if v := m.GetFieldViolations(); len(v) == 1 && v[0].GetField() == "redirect_url" && v[0].GetDescription() == "must be https" {
				named++
			}
		}
	}
	if named != 2 {
		t.Errorf("named in %d details of %v, want 2", named, messages)
	}
}

func TestNoTextThatWasNotWrittenForCallersGetsThrough(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		code connect.Code
		text string
	}{
		"an error of nobody":    {errors.New("marked secret"), connect.CodeInternal, "internal error"},
		"a caller that hung up": {fmt.Errorf("marked secret: %w", context.Canceled), connect.CodeCanceled, "the caller hung up"},
		"a deadline":            {fmt.Errorf("marked secret: %w", context.DeadlineExceeded), connect.CodeDeadlineExceeded, "the deadline passed"},
		"a provider that timed out": {
			verification.NewError(verification.KindUnavailable, "PROVIDER_UNAVAILABLE", "later").WithCause(context.DeadlineExceeded),
			connect.CodeUnavailable, "later",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err, _ := shown(t, c.err); err.Code() != c.code || err.Message() != c.text {
				t.Errorf("became %v %q, want %v %q", err.Code(), err.Message(), c.code, c.text)
			}
		})
	}
	if rpc.ToConnect(nil) != nil {
		t.Error("no error became one")
	}
}

func TestAnErrorThatKnowsWhenToRetrySaysSo(t *testing.T) {
	t.Parallel()
	for _, kind := range rpc.Kinds() {
		_, messages := shown(t, verification.NewError(kind, "SOME_REASON", "some message").After(7*time.Second))
		var delays []time.Duration
		for _, message := range messages {
			if m, ok := message.(*errdetails.RetryInfo); ok {
				delays = append(delays, m.GetRetryDelay().AsDuration())
			}
		}
		if len(delays) != 1 || delays[0] != 7*time.Second {
			t.Errorf("%s: come back after %v, want 7s", kind, delays)
		}
	}
}
