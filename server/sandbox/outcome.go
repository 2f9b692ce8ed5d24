package sandbox

// Outcome is how a run ends.
type Outcome string

// The outcomes that the pages' buttons choose among, and Undecided, which is
// for mobile sessions.
const (
	// Pass: the person passed.
	Pass Outcome = "pass"
	// Fail: the person did not pass.
	Fail Outcome = "fail"
	// Deny: the person was turned away, by an age gate for example. VerifyHuman
	// only.
	Deny Outcome = "deny"
	// Review: a human at the provider has to look. AiPrise only.
	Review Outcome = "review"
	// Abandon: the person leaves. Nothing is sent and the page can be opened
	// again.
	Abandon Outcome = "abandon"
	// Undecided: the provider has no decision yet.
	Undecided Outcome = "none"
)

// outcomeField is the name of the outcome in forms and JSON.
const outcomeField = "outcome"
