package verification

import (
	"errors"
	"time"
)

// Kind classifies an error for whoever has to answer a caller. rpc and webhook
// each translate it in one table.
type Kind string

// The kinds.
const (
	// KindInvalid: a field is wrong; Field names it.
	KindInvalid Kind = "invalid"
	// KindNotFound: no such thing, or not the caller's.
	KindNotFound Kind = "not_found"
	// KindConflict: the idempotency key was used with other content.
	KindConflict Kind = "conflict"
	// KindRefused: the state does not allow it; retrying does not help.
	KindRefused Kind = "refused"
	// KindRaced: somebody is doing the same; retry the whole call.
	KindRaced Kind = "raced"
	// KindLimited: too much at a time; retry later.
	KindLimited Kind = "limited"
	// KindExpired: it was there and is no longer kept.
	KindExpired Kind = "expired"
	// KindUnauthenticated: no credential, or one that is not good.
	KindUnauthenticated Kind = "unauthenticated"
	// KindUnavailable: something we depend on does not answer; retry.
	KindUnavailable Kind = "unavailable"
	// KindInternal: our fault.
	KindInternal Kind = "internal"
)

// Error is an error whose Message is written for the caller. The cause is for
// the log only and never reaches a caller.
type Error struct {
	Kind Kind
	// Reason is a constant for programs, in UPPER_SNAKE_CASE.
	Reason string
	// Field is the request field that is wrong, for KindInvalid.
	Field   string
	Message string
	// RetryAfter is how long to wait before a retry; zero leaves it to the edge.
	RetryAfter time.Duration
	cause      error
}

// Error returns the caller's message; the cause is reached by Unwrap.
func (e *Error) Error() string {
	if e.Field != "" {
		return e.Field + ": " + e.Message
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// WithCause returns a copy that keeps err for the log.
func (e *Error) WithCause(err error) *Error {
	c := *e
	c.cause = err
	return &c
}

// After returns a copy that says when a retry makes sense.
func (e *Error) After(wait time.Duration) *Error {
	c := *e
	c.RetryAfter = wait
	return &c
}

// NewError makes an error with a message for the caller.
func NewError(kind Kind, reason, message string) *Error {
	return &Error{Kind: kind, Reason: reason, Message: message}
}

// Invalid makes an error about one request field.
func Invalid(field, message string) *Error {
	return &Error{Kind: KindInvalid, Reason: "INVALID_FIELD", Field: field, Message: message}
}

// KindOf returns the kind of err, KindInternal when it has none.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return KindInternal
}

// ErrNotFound is what a Store returns for a row that is not there, and what a
// caller gets for one that is not its own.
var ErrNotFound = NewError(KindNotFound, "VERIFICATION_NOT_FOUND", "no such verification")

// ErrDeliveryNotFound is the same for a delivery.
var ErrDeliveryNotFound = NewError(KindNotFound, "DELIVERY_NOT_FOUND", "no such delivery")

// ErrRefTaken is what a Store returns when a provider ref means another
// verification already. Compare with errors.Is.
var ErrRefTaken = NewError(KindRaced, "PROVIDER_REF_TAKEN",
	"the provider's id was tied to another verification at the same moment; retry")

// ErrLaneTaken is what a Store returns when an exclusive lane has a holder.
var ErrLaneTaken = NewError(KindLimited, "LANE_TAKEN",
	"this flow allows one open verification at a time; retry when the open one is over")
