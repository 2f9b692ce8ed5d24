package verification

import (
	"strconv"

	"github.com/google/uuid"
)

// Record is a transition as everybody outside hears of it: in the event stream,
// in lists of events and in callbacks. It holds nothing personal.
type Record struct {
	Transition

	// Flow is the flow that was started.
	Flow string
}

// EventID names a transition for ever.
func EventID(verification uuid.UUID, version int64) string {
	return verification.String() + "." + strconv.FormatInt(version, 10)
}

// EventID names the transition for ever.
func (t *Transition) EventID() string { return EventID(t.VerificationID, t.Version) }

// Revision reports whether the transition turned an earlier decision over.
func (t *Transition) Revision() bool {
	decided := t.From == Approved || t.From == Declined
	return decided && t.To != t.From
}

// Channel is to which of a verification's two addresses a callback goes.
type Channel string

// The channels. An earlier release's rows and the database's CHECK know no
// other.
const (
	// ChannelDecisions: callback_url, what ends the verification.
	ChannelDecisions Channel = "decisions"
	// ChannelEvents: events_callback_url, everything else.
	ChannelEvents Channel = "events"
)

// Channel says where a callback about the transition goes. A provider's late
// decision over an expired verification is a decision: only our clock had said
// anything before.
func (t *Transition) Channel() Channel {
	if t.To.Terminal() && !t.Revision() {
		return ChannelDecisions
	}
	return ChannelEvents
}

// EventCursor is a place in the order of a scope's events: just after one of
// them. The zero cursor is before the first.
type EventCursor struct {
	VerificationID uuid.UUID
	Version        int64
}

// EventQuery selects events of one scope, oldest first.
type EventQuery struct {
	Scope Scope
	After EventCursor
	// Flows and Kinds select; empty means all.
	Flows []string
	Kinds []EventKind
	Limit int
}

// EventPage is a page of events. It may be empty although More follow: a read
// looks at so many events only, whatever the filter lets through.
type EventPage struct {
	Records []*Record
	// Next is where the page ends: after the last event that was looked at.
	Next EventCursor
	More bool
}

// ErrCursorExpired is what reading after a cursor gives when events after it are
// no longer kept.
var ErrCursorExpired = NewError(KindExpired, "CURSOR_EXPIRED",
	"events after this cursor are no longer kept; read from the oldest one with an empty cursor, and look up what was missed")
