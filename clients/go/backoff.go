package verigate

import (
	"errors"
	"slices"
	"strconv"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
)

const (
	// firstBackoff and lastBackoff bound the range that a pause is drawn from.
	firstBackoff = 250 * time.Millisecond
	lastBackoff  = 30 * time.Second
	// shortLife is that of a stream whose node was draining when it began.
	shortLife = 5 * time.Second
	// longestAsked bounds the pause that somebody else may ask for.
	longestAsked = 5 * time.Minute
)

// backoff finds the pause between two attempts.
type backoff struct {
	// failures and drains count those in a row.
	failures, drains int
}

// reset forgets the failures: a message came.
func (b *backoff) reset() { b.failures = 0 }

// after is the pause after an attempt that began at a time.
func (b *backoff) after(end ending, clock Clock, began time.Time) time.Duration {
	if !end.drained {
		limit := backoffLimit(b.failures)
		b.failures++
		return clock.Jitter(limit)
	}
	if clock.Now().Sub(began) > shortLife {
		b.drains = 0
	}
	pause := max(end.pause, drainPause(b.drains, clock))
	b.drains++
	return pause
}

// drainPause is the least pause after a drain that follows so many others: it
// leads back to the same node as long as that one drains.
func drainPause(drains int, clock Clock) time.Duration {
	if drains == 0 {
		return 0
	}
	half := backoffLimit(drains+1) / 2
	return half + clock.Jitter(half)
}

// backoffLimit is the longest pause after so many failures in a row.
func backoffLimit(failures int) time.Duration { return doubled(firstBackoff, lastBackoff, failures) }

// doubled is a duration doubled so many times, up to a longest.
func doubled(d, longest time.Duration, times int) time.Duration {
	for range times {
		if d *= 2; d >= longest {
			return longest
		}
	}
	return d
}

// refused tells that the credential was.
func refused(err error) bool {
	answer, ok := errors.AsType[*connect.Error](err)
	return ok && answer.Code() == connect.CodeUnauthenticated
}

// hopeless tells that trying again cannot help.
func hopeless(err error) bool {
	answer, ok := errors.AsType[*connect.Error](err)
	return ok && slices.Contains([]connect.Code{
		connect.CodeUnauthenticated, connect.CodePermissionDenied, connect.CodeNotFound,
		connect.CodeInvalidArgument, connect.CodeOutOfRange, connect.CodeUnimplemented,
	}, answer.Code())
}

// askedPause is the least pause that an error's detail or the header Retry-After
// asks for; 0 if nobody failed, or nobody asks. A header with a date instead of
// seconds (RFC 9110, section 10.2.3) is left out: it would be compared with a
// clock that may be wrong.
func askedPause(err error, retryAfter string) time.Duration {
	if err == nil {
		return 0
	}
	var asked time.Duration
	if seconds, parseErr := strconv.ParseInt(retryAfter, 10, 32); parseErr == nil {
		asked = time.Duration(seconds) * time.Second
	}
	if answer, ok := errors.AsType[*connect.Error](err); ok {
		for _, detail := range answer.Details() {
			message, decodeErr := connectproto.UnmarshalErrorDetail(detail)
			if retry, isRetry := message.(*errdetails.RetryInfo); decodeErr == nil && isRetry {
				asked = max(asked, retry.GetRetryDelay().AsDuration())
			}
		}
	}
	return min(max(asked, 0), longestAsked)
}
