package verification

import (
	"slices"
	"time"
)

// EventKind says what happened, in our words and in the past tense.
type EventKind string

// The events. An adapter, the clock, the caller or an operator says them; the
// state machine decides what they do.
const (
	// Started: the caller asked for it. Only ever the first event.
	Started EventKind = "started"
	// SessionOpened: the provider confirmed; the hosted page is ready.
	SessionOpened EventKind = "session_opened"
	// PersonReturned: the person came back through the return leg. A hint.
	PersonReturned EventKind = "person_returned"
	// PersonSubmitted: the provider has everything it needs.
	PersonSubmitted EventKind = "person_submitted"
	// ReviewStarted: a human at the provider looks, or the provider said
	// something that we do not recognise.
	ReviewStarted EventKind = "review_started"
	// ResubmissionRequested: the person has to try again on the same page.
	ResubmissionRequested EventKind = "resubmission_requested"
	// Passed: the provider's decision.
	Passed EventKind = "passed"
	// Rejected: the provider's decision.
	Rejected EventKind = "rejected"
	// RevisedToPassed: the provider's reviewer or an operator changed the
	// decision.
	RevisedToPassed EventKind = "revised_to_passed"
	// RevisedToRejected: the same, the other way.
	RevisedToRejected EventKind = "revised_to_rejected"
	// LifetimeEnded: our clock or the provider's says that time ran out.
	LifetimeEnded EventKind = "lifetime_ended"
	// CancelRequested: the caller called it off.
	CancelRequested EventKind = "cancel_requested"
	// ProcessingFailed: a machine broke, at the provider or between us.
	ProcessingFailed EventKind = "processing_failed"
	// Noted: the provider told something that is kept and moves nothing, such as
	// a reviewer's comment.
	Noted EventKind = "noted"
)

// EventKinds lists every event that can meet an existing verification.
func EventKinds() []EventKind {
	return []EventKind{
		SessionOpened, PersonReturned, PersonSubmitted, ReviewStarted, ResubmissionRequested,
		Passed, Rejected, RevisedToPassed, RevisedToRejected, LifetimeEnded, CancelRequested, ProcessingFailed, Noted,
	}
}

// Event is what a delivery, the clock, a person or a caller says about one
// verification. The three ways to name the verification are filled by an
// adapter as far as the provider's signed payload goes.
type Event struct {
	Kind EventKind
	// ReasonCodes are machine-readable reasons in our words.
	ReasonCodes []string
	// ProviderTime is when the provider says it happened; zero if it does not.
	ProviderTime time.Time

	// VerificationID is our own id, echoed in the payload; empty if absent.
	VerificationID string
	// Keys are provider refs that were known since Start, such as a hosted
	// token. One that nobody knows is never overruled by a guess.
	Keys []string
	// Refs are the provider's own ids for this verification; they may be new.
	Refs []string
	// Product is the provider's product, which must be the flow's.
	Product string
}

// allRefs are all provider refs that the payload names.
func (e *Event) allRefs() []string { return slices.Concat(e.Keys, e.Refs) }

// Source says who caused a transition.
type Source string

// The sources.
const (
	SourceCaller   Source = "caller"
	SourceGateway  Source = "gateway"
	SourceProvider Source = "provider"
	// SourcePoll: the provider said it when it was asked.
	SourcePoll     Source = "poll"
	SourceReturn   Source = "return"
	SourceClock    Source = "clock"
	SourceOperator Source = "operator"
)

// Match says how surely a provider's event belongs to a verification.
type Match string

// The matches. NoMatch means that no provider event was matched yet.
const (
	NoMatch  Match = ""
	Exact    Match = "exact"
	Inferred Match = "inferred"
	Bound    Match = "bound"
)

// Rung is the step of the correlation ladder that found a verification.
type Rung string

// The rungs, surest first. See ladder.go.
const (
	NoRung           Rung = ""
	RungPayloadKey   Rung = "payload_key"
	RungBoundRef     Rung = "bound_ref"
	RungReturnHint   Rung = "return_hint"
	RungSoleReturned Rung = "sole_returned"
	RungSoleOpen     Rung = "sole_open"
	// RungOperator: an operator bound the delivery by hand.
	RungOperator Rung = "operator"
)

// Effect is what applying an event did.
type Effect string

// The effects of an event on a verification, and of a delivery that never
// became one.
const (
	// Applied: the state changed.
	Applied Effect = "applied"
	// Duplicate: it says what is already so, or it was delivered before.
	Duplicate Effect = "duplicate"
	// Stale: it was overtaken by something later.
	Stale Effect = "stale"
	// Refused: it contradicts a state that nothing may leave that way.
	Refused Effect = "refused"
	// Kept: it is stored with the verification that it is about, and moves
	// nothing.
	Kept Effect = "noted"
	// Unmatched: nobody knows which verification it is about; it is parked.
	Unmatched Effect = "unmatched"
	// Unreadable: authentic, but not what the provider's format promises.
	Unreadable Effect = "unreadable"
	// Unknown: authentic and readable, of a kind that the adapter does not know.
	Unknown Effect = "unknown"
	// Ping: the provider's test message; nothing to do.
	Ping Effect = "ping"
)
