package verification

// move is one cell of the state machine: what an event does to a state.
type move struct {
	to     State // set when effect is Applied
	effect Effect
}

func to(s State) move { return move{to: s, effect: Applied} }

var (
	duplicate = move{effect: Duplicate}
	stale     = move{effect: Stale}
	refused   = move{effect: Refused}
	kept      = move{effect: Kept}
)

// machine says every legal move; the tests miss no state × event pair, and draw
// docs/state-machine.md from it. Expired is listed as it is after the grace
// period; what a decision does within it is lateDecision below.
var machine = map[State]map[EventKind]move{
	Created: {
		SessionOpened: to(Pending), PersonReturned: to(Processing), PersonSubmitted: to(Processing),
		ReviewStarted: to(InReview), ResubmissionRequested: stale,
		Passed: to(Approved), Rejected: to(Declined), RevisedToPassed: to(Approved), RevisedToRejected: to(Declined),
		LifetimeEnded: to(Expired), CancelRequested: to(Canceled), ProcessingFailed: to(Failed), Noted: kept,
	},
	Pending: {
		SessionOpened: duplicate, PersonReturned: to(Processing), PersonSubmitted: to(Processing),
		ReviewStarted: to(InReview), ResubmissionRequested: duplicate,
		Passed: to(Approved), Rejected: to(Declined), RevisedToPassed: to(Approved), RevisedToRejected: to(Declined),
		LifetimeEnded: to(Expired), CancelRequested: to(Canceled), ProcessingFailed: to(Failed), Noted: kept,
	},
	Processing: {
		SessionOpened: stale, PersonReturned: duplicate, PersonSubmitted: duplicate,
		ReviewStarted: to(InReview), ResubmissionRequested: to(Pending),
		Passed: to(Approved), Rejected: to(Declined), RevisedToPassed: to(Approved), RevisedToRejected: to(Declined),
		LifetimeEnded: to(Expired), CancelRequested: to(Canceled), ProcessingFailed: to(Failed), Noted: kept,
	},
	InReview: {
		SessionOpened: stale, PersonReturned: stale, PersonSubmitted: stale,
		ReviewStarted: duplicate, ResubmissionRequested: to(Pending),
		Passed: to(Approved), Rejected: to(Declined), RevisedToPassed: to(Approved), RevisedToRejected: to(Declined),
		LifetimeEnded: to(Expired), CancelRequested: to(Canceled), ProcessingFailed: to(Failed), Noted: kept,
	},
	Approved: {
		SessionOpened: stale, PersonReturned: stale, PersonSubmitted: stale,
		ReviewStarted: stale, ResubmissionRequested: stale,
		Passed: duplicate, Rejected: refused, RevisedToPassed: duplicate, RevisedToRejected: to(Declined),
		LifetimeEnded: stale, CancelRequested: refused, ProcessingFailed: refused, Noted: kept,
	},
	Declined: {
		SessionOpened: stale, PersonReturned: stale, PersonSubmitted: stale,
		ReviewStarted: stale, ResubmissionRequested: stale,
		Passed: refused, Rejected: duplicate, RevisedToPassed: to(Approved), RevisedToRejected: duplicate,
		LifetimeEnded: stale, CancelRequested: refused, ProcessingFailed: refused, Noted: kept,
	},
	Expired: {
		SessionOpened: stale, PersonReturned: stale, PersonSubmitted: stale,
		ReviewStarted: stale, ResubmissionRequested: stale,
		Passed: stale, Rejected: stale, RevisedToPassed: stale, RevisedToRejected: stale,
		LifetimeEnded: duplicate, CancelRequested: refused, ProcessingFailed: refused, Noted: kept,
	},
	Canceled: {
		SessionOpened: stale, PersonReturned: stale, PersonSubmitted: stale,
		ReviewStarted: stale, ResubmissionRequested: stale,
		Passed: refused, Rejected: refused, RevisedToPassed: refused, RevisedToRejected: refused,
		LifetimeEnded: stale, CancelRequested: duplicate, ProcessingFailed: refused, Noted: kept,
	},
	Failed: {
		SessionOpened: stale, PersonReturned: stale, PersonSubmitted: stale,
		ReviewStarted: stale, ResubmissionRequested: stale,
		Passed: refused, Rejected: refused, RevisedToPassed: refused, RevisedToRejected: refused,
		LifetimeEnded: stale, CancelRequested: refused, ProcessingFailed: duplicate, Noted: kept,
	},
}

// lateDecision says where a decision takes an expired verification while the
// grace period lasts: the provider signed it, our clock only guessed.
var lateDecision = map[EventKind]State{
	Passed: Approved, RevisedToPassed: Approved,
	Rejected: Declined, RevisedToRejected: Declined,
}

// Next says what an event does to a state. inGrace matters for Expired only.
// The returned state is the given one unless the effect is Applied.
func Next(from State, event EventKind, inGrace bool) (State, Effect) {
	if from == Expired && inGrace {
		if decided, ok := lateDecision[event]; ok {
			return decided, Applied
		}
	}
	m, ok := machine[from][event]
	if !ok {
		return from, Refused
	}
	if m.effect != Applied {
		return from, m.effect
	}
	return m.to, Applied
}
