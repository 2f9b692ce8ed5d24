package contract

import (
	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/verification"
)

// The tables: every word of the domain is in its own; a test misses none. A word
// that is not there is said as unspecified, the zero of each list.
var (
	states = map[verification.State]verigatev1.VerificationState{
		verification.Created:    verigatev1.VerificationState_VERIFICATION_STATE_CREATED,
		verification.Pending:    verigatev1.VerificationState_VERIFICATION_STATE_PENDING,
		verification.Processing: verigatev1.VerificationState_VERIFICATION_STATE_PROCESSING,
		verification.InReview:   verigatev1.VerificationState_VERIFICATION_STATE_IN_REVIEW,
		verification.Approved:   verigatev1.VerificationState_VERIFICATION_STATE_APPROVED,
		verification.Declined:   verigatev1.VerificationState_VERIFICATION_STATE_DECLINED,
		verification.Expired:    verigatev1.VerificationState_VERIFICATION_STATE_EXPIRED,
		verification.Canceled:   verigatev1.VerificationState_VERIFICATION_STATE_CANCELED,
		verification.Failed:     verigatev1.VerificationState_VERIFICATION_STATE_FAILED,
	}
	results = map[verification.Result]verigatev1.VerificationResult{
		verification.ResultPending: verigatev1.VerificationResult_VERIFICATION_RESULT_PENDING,
		verification.ResultPass:    verigatev1.VerificationResult_VERIFICATION_RESULT_PASS,
		verification.ResultFail:    verigatev1.VerificationResult_VERIFICATION_RESULT_FAIL,
	}
	matches = map[verification.Match]verigatev1.VerificationMatch{
		verification.NoMatch:  verigatev1.VerificationMatch_VERIFICATION_MATCH_UNSPECIFIED,
		verification.Exact:    verigatev1.VerificationMatch_VERIFICATION_MATCH_EXACT,
		verification.Inferred: verigatev1.VerificationMatch_VERIFICATION_MATCH_INFERRED,
		verification.Bound:    verigatev1.VerificationMatch_VERIFICATION_MATCH_BOUND,
	}
	kinds = map[verification.EventKind]verigatev1.EventKind{
		verification.Started:               verigatev1.EventKind_EVENT_KIND_STARTED,
		verification.SessionOpened:         verigatev1.EventKind_EVENT_KIND_SESSION_OPENED,
		verification.PersonReturned:        verigatev1.EventKind_EVENT_KIND_PERSON_RETURNED,
		verification.PersonSubmitted:       verigatev1.EventKind_EVENT_KIND_PERSON_SUBMITTED,
		verification.ReviewStarted:         verigatev1.EventKind_EVENT_KIND_REVIEW_STARTED,
		verification.ResubmissionRequested: verigatev1.EventKind_EVENT_KIND_RESUBMISSION_REQUESTED,
		verification.Passed:                verigatev1.EventKind_EVENT_KIND_PASSED,
		verification.Rejected:              verigatev1.EventKind_EVENT_KIND_REJECTED,
		verification.RevisedToPassed:       verigatev1.EventKind_EVENT_KIND_REVISED_TO_PASSED,
		verification.RevisedToRejected:     verigatev1.EventKind_EVENT_KIND_REVISED_TO_REJECTED,
		verification.LifetimeEnded:         verigatev1.EventKind_EVENT_KIND_LIFETIME_ENDED,
		verification.CancelRequested:       verigatev1.EventKind_EVENT_KIND_CANCEL_REQUESTED,
		verification.ProcessingFailed:      verigatev1.EventKind_EVENT_KIND_PROCESSING_FAILED,
		verification.Noted:                 verigatev1.EventKind_EVENT_KIND_NOTED,
	}
	sources = map[verification.Source]verigatev1.EventSource{
		verification.SourceCaller:   verigatev1.EventSource_EVENT_SOURCE_CALLER,
		verification.SourceGateway:  verigatev1.EventSource_EVENT_SOURCE_GATEWAY,
		verification.SourceProvider: verigatev1.EventSource_EVENT_SOURCE_PROVIDER,
		verification.SourceReturn:   verigatev1.EventSource_EVENT_SOURCE_RETURN,
		verification.SourceClock:    verigatev1.EventSource_EVENT_SOURCE_CLOCK,
		verification.SourceOperator: verigatev1.EventSource_EVENT_SOURCE_OPERATOR,
		verification.SourcePoll:     verigatev1.EventSource_EVENT_SOURCE_POLL,
	}
	effects = map[verification.Effect]verigatev1.Effect{
		verification.Applied:    verigatev1.Effect_EFFECT_APPLIED,
		verification.Duplicate:  verigatev1.Effect_EFFECT_DUPLICATE,
		verification.Stale:      verigatev1.Effect_EFFECT_STALE,
		verification.Refused:    verigatev1.Effect_EFFECT_REFUSED,
		verification.Unmatched:  verigatev1.Effect_EFFECT_UNMATCHED,
		verification.Unreadable: verigatev1.Effect_EFFECT_UNREADABLE,
		verification.Unknown:    verigatev1.Effect_EFFECT_UNKNOWN,
		verification.Ping:       verigatev1.Effect_EFFECT_PING,
		verification.Kept:       verigatev1.Effect_EFFECT_NOTED,
	}
	callbackStates = map[verification.CallbackState]verigatev1.CallbackState{
		verification.CallbackWaiting:   verigatev1.CallbackState_CALLBACK_STATE_WAITING,
		verification.CallbackPending:   verigatev1.CallbackState_CALLBACK_STATE_PENDING,
		verification.CallbackDelivered: verigatev1.CallbackState_CALLBACK_STATE_DELIVERED,
		verification.CallbackDead:      verigatev1.CallbackState_CALLBACK_STATE_DEAD,
	}
	channels = map[verification.Channel]verigatev1.CallbackChannel{
		verification.ChannelDecisions: verigatev1.CallbackChannel_CALLBACK_CHANNEL_DECISIONS,
		verification.ChannelEvents:    verigatev1.CallbackChannel_CALLBACK_CHANNEL_EVENTS,
	}
)

// State says a state.
func State(s verification.State) verigatev1.VerificationState { return states[s] }

// Result says a result.
func Result(r verification.Result) verigatev1.VerificationResult { return results[r] }

// Match says a match.
func Match(m verification.Match) verigatev1.VerificationMatch { return matches[m] }

// Kind says what happened.
func Kind(k verification.EventKind) verigatev1.EventKind { return kinds[k] }

// Source says who caused it.
func Source(s verification.Source) verigatev1.EventSource { return sources[s] }

// Effect says what it did.
func Effect(e verification.Effect) verigatev1.Effect { return effects[e] }

// CallbackState says where a callback stands.
func CallbackState(s verification.CallbackState) verigatev1.CallbackState { return callbackStates[s] }

// Channel says where a callback goes.
func Channel(c verification.Channel) verigatev1.CallbackChannel { return channels[c] }

// States reads states.
func States(said []verigatev1.VerificationState) []verification.State { return read(states, said) }

// Kinds reads kinds of events.
func Kinds(said []verigatev1.EventKind) []verification.EventKind { return read(kinds, said) }

// Effects reads effects.
func Effects(said []verigatev1.Effect) []verification.Effect { return read(effects, said) }

// CallbackStates reads states of callbacks.
func CallbackStates(said []verigatev1.CallbackState) []verification.CallbackState {
	return read(callbackStates, said)
}

func read[Word, Said comparable](table map[Word]Said, said []Said) []Word {
	words := make([]Word, 0, len(said))
	for _, s := range said {
		for word, its := range table {
			if its == s {
				words = append(words, word)
			}
		}
	}
	return words
}
