package verification

// State says where a verification stands. The text is what the database
// stores; its CHECK constraint lists the same words.
type State string

// The states, in the order of a happy life. The provider's words are mapped to
// these in its adapter and nowhere else.
const (
	// Created: the row exists, the provider has not confirmed its session.
	// Left by Start, by the sweep of starts that died, or by an early webhook.
	Created State = "created"
	// Pending: the hosted page waits for the person, or waits again because a
	// resubmission was asked for.
	Pending State = "pending"
	// Processing: the person is done; the provider works, or its webhook is on
	// the way.
	Processing State = "processing"
	// InReview: a human at the provider looks.
	InReview State = "in_review"
	// Approved: the person passed. Only a revision leaves it.
	Approved State = "approved"
	// Declined: the person did not pass. Only a revision leaves it.
	Declined State = "declined"
	// Expired: time ran out. A signed decision within the grace period leaves
	// it.
	Expired State = "expired"
	// Canceled: called off by the caller.
	Canceled State = "canceled"
	// Failed: a machine broke; says nothing about the person.
	Failed State = "failed"
)

// States lists every state.
func States() []State {
	return []State{Created, Pending, Processing, InReview, Approved, Declined, Expired, Canceled, Failed}
}

// Terminal reports whether a verification in this state is over.
func (s State) Terminal() bool {
	switch s {
	case Created, Pending, Processing, InReview:
		return false
	case Approved, Declined, Expired, Canceled, Failed:
		return true
	}
	return false
}

// Result is what an app asks for.
type Result string

// The results. What is not recognised is Pending: never a success.
const (
	ResultPending Result = "pending"
	ResultPass    Result = "pass"
	ResultFail    Result = "fail"
)

// Result derives what the state means for an app.
func (s State) Result() Result {
	switch s {
	case Approved:
		return ResultPass
	case Declined, Expired, Canceled, Failed:
		return ResultFail
	case Created, Pending, Processing, InReview:
		return ResultPending
	}
	return ResultPending
}
