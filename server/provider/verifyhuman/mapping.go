package verifyhuman

import (
	"strings"

	"github.com/verigate/verigate/server/provider/edge"
	"github.com/verigate/verigate/server/verification"
)

// The reason codes of this adapter, in our words.
const (
	// ReasonDeclined: VerifyHuman's decision was FAIL.
	ReasonDeclined = "provider_declined"
	// ReasonUnknownStatus: VerifyHuman said a status that this adapter does not
	// know. Somebody has to look; it is not a pass.
	ReasonUnknownStatus = "unknown_provider_status"
)

// The event types that could be read in VerifyHuman's documentation.
const (
	eventCompleted = "verification.completed"
	eventPing      = "test.ping"
)

// maxUnknownStatus bounds the text that is kept of an unknown status, in runes.
const maxUnknownStatus = 64

// decision is what a status means to us.
type decision struct {
	kind        verification.EventKind
	reasonCodes []string
	// unknown is the status itself if it is not one that we know.
	unknown string
}

// decide is the only place where a VerifyHuman status becomes our word. PASS
// and FAIL are documented, in any case; the seed document's "everything else
// failed" would decline a person on a word that nobody here has ever seen.
func decide(status string) decision {
	// ToLower, not EqualFold: folding would let a long s spell a PASS.
	switch strings.ToLower(status) {
	case "pass":
		return decision{kind: verification.Passed}
	case "fail":
		return decision{kind: verification.Rejected, reasonCodes: []string{ReasonDeclined}}
	default:
		return decision{
			kind:        verification.ReviewStarted,
			reasonCodes: []string{ReasonUnknownStatus},
			unknown:     edge.Showable(status, maxUnknownStatus),
		}
	}
}
