package aiprise

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/verigate/verigate/server/provider/edge"
	"github.com/verigate/verigate/server/verification"
)

// The reason codes of this adapter, in our words.
const (
	// ReasonDeclined: AiPrise's decision was DECLINED. AiPrise's own reason codes
	// may stand behind it, in lower case behind "aiprise_".
	ReasonDeclined = "provider_declined"
	// ReasonReview: AiPrise asks a human to look.
	ReasonReview = "provider_review"
	// ReasonUndecided: AiPrise's workflow is over and says no decision, which it
	// should not do. Somebody has to look.
	ReasonUndecided = "provider_undecided"
	// ReasonFailed: AiPrise's workflow broke. It is not a decline.
	ReasonFailed = "provider_failed"
	// ReasonUnknownStatus: AiPrise said a status or a result that this adapter
	// does not know, or two that contradict each other. Somebody has to look; it
	// is not a pass.
	ReasonUnknownStatus = "unknown_provider_status"
)

// The statuses of a session. AiPrise's OpenAPI description and its callbacks
// page each list six, and agree on four of them.
const (
	statusNotStarted = "NOT_STARTED"
	statusCollecting = "COLLECTING"
	statusSubmitted  = "SUBMITTED"
	statusRunning    = "RUNNING"
	statusProcessing = "PROCESSING"
	statusPending    = "PENDING"
	statusCompleted  = "COMPLETED"
	statusFailed     = "FAILED"
)

// The results. FOUND and NOT_FOUND are results of sections and decide nothing
// (AiPrise docs, verification result page).
const (
	resultApproved = "APPROVED"
	resultDeclined = "DECLINED"
	resultReview   = "REVIEW"
	resultUnknown  = "UNKNOWN"
)

// Bounds on what is kept of the provider's words.
const (
	// maxWord bounds a status or a result, in runes.
	maxWord = 32
	// maxReasons bounds the provider's own reason codes.
	maxReasons = 5
)

// reasonPrefix tells AiPrise's own reason codes from ours.
const reasonPrefix = "aiprise_"

var reasonShape = regexp.MustCompile(`^[A-Z0-9_]{1,64}$`)

// decision is what a status and a result mean to us.
type decision struct {
	kind        verification.EventKind
	reasonCodes []string
	// said is both words as AiPrise wrote them: STATUS/RESULT.
	said string
	// unknown is set when they are not two that we know to go together.
	unknown bool
}

// decide is the only place where AiPrise's words become ours. "" is a word that
// was not said. Only the exact result APPROVED, of a workflow that is over, is a
// pass. A result without a status is the form of the seed document's example.
func decide(status, result string) decision {
	d := decision{said: spoken(status) + "/" + spoken(result)}
	status, result = upper(status), upper(result)
	decided := result == resultApproved || result == resultDeclined || result == resultReview
	open := result == resultUnknown || result == ""
	switch status {
	case statusNotStarted, statusCollecting:
		if open {
			return d.means(verification.SessionOpened)
		}
	case statusSubmitted, statusRunning, statusProcessing, statusPending:
		if open {
			return d.means(verification.PersonSubmitted)
		}
	case statusFailed:
		if open {
			return d.means(verification.ProcessingFailed, ReasonFailed)
		}
	case statusCompleted:
		return d.completed(result)
	case "":
		if decided {
			return d.completed(result)
		}
	}
	return d.notUnderstood()
}

// completed is decide for a workflow that is over.
func (d decision) completed(result string) decision {
	switch result {
	case resultApproved:
		return d.means(verification.Passed)
	case resultDeclined:
		return d.means(verification.Rejected, ReasonDeclined)
	case resultReview:
		return d.means(verification.ReviewStarted, ReasonReview)
	case resultUnknown, "":
		return d.means(verification.ReviewStarted, ReasonUndecided)
	}
	return d.notUnderstood()
}

func (d decision) means(kind verification.EventKind, reasonCodes ...string) decision {
	d.kind, d.reasonCodes = kind, reasonCodes
	return d
}

func (d decision) notUnderstood() decision {
	d.unknown = true
	return d.means(verification.ReviewStarted, ReasonUnknownStatus)
}

// revised turns a decision into the change of one: a reviewer's word may
// overturn what was decided before.
func (d decision) revised() decision {
	switch d.kind {
	case verification.Passed:
		d.kind = verification.RevisedToPassed
	case verification.Rejected:
		d.kind = verification.RevisedToRejected
	default:
		// Everything else asks for a review, decision or not.
	}
	return d
}

// because adds AiPrise's own reasons to a rejection. Reasons of another shape
// than {code, message} are left out: a decision must not be lost over them.
func (d decision) because(reasons ...json.RawMessage) decision {
	if d.kind != verification.Rejected && d.kind != verification.RevisedToRejected {
		return d
	}
	d.reasonCodes = append(d.reasonCodes, ownReasons(reasons)...)
	return d
}

func ownReasons(reasons []json.RawMessage) []string {
	var codes []string
	for _, reason := range reasons {
		parsed, err := edge.Parse(reason)
		if err != nil {
			continue
		}
		code, _, err := parsed.Text("code")
		if err != nil || !reasonShape.MatchString(code) {
			continue
		}
		label := reasonPrefix + strings.ToLower(code)
		if len(codes) < maxReasons && !slices.Contains(codes, label) {
			codes = append(codes, label)
		}
	}
	return codes
}

// upper folds ASCII letters only: a full folding would let a dotless i spell a
// DECLINED.
func upper(word string) string {
	for _, r := range word {
		if r > unicode.MaxASCII {
			return word
		}
	}
	return strings.ToUpper(word)
}

// spoken is a word for an operator: printable and short, "-" for one that was
// not said.
func spoken(word string) string {
	if word == "" {
		return "-"
	}
	return edge.Showable(word, maxWord)
}
