package verification

import (
	"time"

	"github.com/google/uuid"
)

// CallbackState says where a callback stands.
type CallbackState string

// The states of a callback.
const (
	// CallbackWaiting: an earlier callback of the same verification to the same
	// address comes first.
	CallbackWaiting CallbackState = "waiting"
	// CallbackPending: it is being delivered, or will be tried again.
	CallbackPending CallbackState = "pending"
	// CallbackDelivered: the receiver took it.
	CallbackDelivered CallbackState = "delivered"
	// CallbackDead: given up; it can be retried by hand.
	CallbackDead CallbackState = "dead"
)

// CallbackReason says why an attempt failed, or why a callback is dead.
type CallbackReason string

// The reasons.
const (
	// CallbackOK: nothing failed.
	CallbackOK CallbackReason = ""
	// CallbackStatus: the receiver answered with something else than 2xx.
	CallbackStatus CallbackReason = "status"
	// CallbackTimeout: it did not answer in time.
	CallbackTimeout CallbackReason = "timeout"
	// CallbackConnection: it could not be reached, or broke off.
	CallbackConnection CallbackReason = "connection"
	// CallbackAddressRefused: its address is private, or not https.
	CallbackAddressRefused CallbackReason = "address_refused"
	// CallbackGone: it answered 410, which asks for no more.
	CallbackGone CallbackReason = "gone"
	// CallbackExpired: it was tried for three days.
	CallbackExpired CallbackReason = "expired"
	// CallbackErased: its subject was erased.
	CallbackErased CallbackReason = "erased"
	// CallbackNoSecret: the configuration has no secret to sign it with.
	CallbackNoSecret CallbackReason = "no_secret"
)

// Callback is one signed message to a caller's backend: one transition.
type Callback struct {
	ID      uuid.UUID
	Scope   Scope
	Channel Channel
	// VerificationID and Version name the transition.
	VerificationID uuid.UUID
	Version        int64
	// URL is empty once the subject was erased.
	URL      string
	State    CallbackState
	Reason   CallbackReason
	Attempts int

	CreateTime time.Time
	// FirstTime is since when it is tried; zero while it waits.
	FirstTime time.Time
	// NextTime is when it is tried next; zero unless pending.
	NextTime time.Time
	// FinishTime is set exactly while it is over.
	FinishTime time.Time
}

// CallbackAttempt is one attempt at delivering a callback.
type CallbackAttempt struct {
	// Number counts from 1.
	Number    int
	StartTime time.Time
	Duration  time.Duration
	// StatusCode is the receiver's answer; 0 if there was none.
	StatusCode int
	Reason     CallbackReason
}

// CallbackQuery selects callbacks of one scope, newest first.
type CallbackQuery struct {
	Scope Scope
	// States and VerificationID select; empty means all.
	States         []CallbackState
	VerificationID uuid.UUID
	// Before is the id after which the page starts, going back in time; zero
	// for the first page.
	Before uuid.UUID
	Limit  int
}
