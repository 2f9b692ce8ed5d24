package sandbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
)

const (
	eventCompleted = "verification.completed"
	eventPing      = "test.ping"
	// eventUnknown and statusUnknown are in no documentation.
	eventUnknown  = "verification.sandbox_unknown"
	statusUnknown = "SANDBOX_UNKNOWN"

	// envelopeTime has the microseconds and flatTime the seconds that the two
	// documented examples have.
	envelopeTime = "2006-01-02T15:04:05.000000Z"
	flatTime     = "2006-01-02T15:04:05Z"

	// staleAge is how old a stale timestamp is.
	staleAge = time.Hour

	// The environments page promises a random confidence from 85 to 99 in test;
	// fixed values make runs repeatable.
	passConfidence = 92.5
	failConfidence = 31.5
)

// envelope is the payload of VerifyHuman's webhooks page.
type envelope struct {
	ID          string       `json:"id"`
	Type        string       `json:"type"`
	Created     string       `json:"created"`
	Environment string       `json:"environment"`
	Data        envelopeData `json:"data"`
}

type envelopeData struct {
	VerificationID string  `json:"verification_id,omitempty"`
	Status         string  `json:"status,omitempty"`
	Confidence     float64 `json:"confidence,omitempty"`
	Product        string  `json:"product,omitempty"`
	Token          string  `json:"token,omitempty"`
}

// flat is the payload of the seed document.
type flat struct {
	Event          string `json:"event"`
	VerificationID string `json:"verification_id,omitempty"`
	Status         string `json:"status,omitempty"`
	Product        string `json:"product,omitempty"`
	Environment    string `json:"environment"`
	Timestamp      string `json:"timestamp"`
	Token          string `json:"token,omitempty"`
}

// report is what a webhook tells about a run; the zero value is a ping.
type report struct {
	verificationID string
	// token is the hosted token; empty for a stable page.
	token   string
	product string
	outcome Outcome
}

// status is the webhook's word for the outcome.
func (r report) status(faults Faults) string {
	switch {
	case r.verificationID == "":
		return ""
	case faults.UnknownStatus:
		return statusUnknown
	case r.outcome == Pass:
		return statusPass
	case r.outcome == Deny && faults.DenyStatus != "":
		return faults.DenyStatus
	default:
		return statusFail
	}
}

func (r report) confidence() float64 {
	switch {
	case r.verificationID == "":
		return 0
	case r.outcome == Pass:
		return passConfidence
	default:
		return failConfidence
	}
}

// completedMessage makes the webhook of a run.
func (v *VerifyHuman) completedMessage(r report, faults Faults) (message, error) {
	return v.message(eventCompleted, r, faults)
}

// pingMessage makes the webhook of the dashboard's "Send Test Event". Only its
// type is documented; the rest of its payload is our choice.
func (v *VerifyHuman) pingMessage(faults Faults) (message, error) {
	return v.message(eventPing, report{}, faults)
}

// message builds the body once, because every attempt and copy repeats the same
// bytes, and leaves the headers to each attempt.
func (v *VerifyHuman) message(event string, r report, faults Faults) (message, error) {
	if faults.UnknownEvent {
		event = eventUnknown
	}
	if !faults.LinkField {
		r.token = ""
	}
	eventID := uuid.NewString()
	body, err := v.payload(event, eventID, r, faults)
	if err != nil {
		return message{}, fmt.Errorf("encode the webhook: %w", err)
	}
	delay := v.delay
	if faults.Delay != nil {
		delay = time.Duration(*faults.Delay)
	}
	return message{
		url: v.options.WebhookURL, event: event, eventID: eventID, verificationID: r.verificationID,
		bodies: slices.Repeat([][]byte{body}, 1+faults.Duplicate),
		headers: func(deliveryID string, _ []byte) http.Header {
			return v.webhookHeaders(event, eventID, deliveryID, body, faults)
		},
		delay: delay, hold: faults.Reorder, drop: faults.Drop,
	}, nil
}

func (v *VerifyHuman) payload(event, eventID string, r report, faults Faults) ([]byte, error) {
	now := v.now().UTC()
	if faults.Shape == ShapeEnvelope {
		return json.Marshal(envelope{
			ID: eventID, Type: event, Created: now.Format(envelopeTime), Environment: v.options.Environment,
			Data: envelopeData{
				VerificationID: r.verificationID, Status: r.status(faults), Confidence: r.confidence(),
				Product: r.product, Token: r.token,
			},
		})
	}
	return json.Marshal(flat{
		Event: event, VerificationID: r.verificationID, Status: r.status(faults), Product: r.product,
		Environment: v.options.Environment, Timestamp: now.Format(flatTime), Token: r.token,
	})
}

// webhookHeaders signs one attempt. The envelope comes with the six headers of
// the webhooks page; the flat payload with the signature alone, as in the seed
// document, unless what is asked for needs another one.
func (v *VerifyHuman) webhookHeaders(event, eventID, deliveryID string, body []byte, faults Faults) http.Header {
	signedAt := v.now()
	if faults.StaleTimestamp {
		signedAt = signedAt.Add(-staleAge)
	}
	timestamp := strconv.FormatInt(signedAt.Unix(), 10)
	h := http.Header{}
	h.Set("Content-Type", jsonType)
	h.Set("User-Agent", "VerifyHuman-Sandbox/1.0")
	h.Set("X-VerifyHuman-Signature", v.sign(timestamp, body, faults))
	if faults.Shape != ShapeEnvelope {
		if faults.Signature == SignatureTimestampBody || faults.StaleTimestamp {
			h.Set("X-VerifyHuman-Timestamp", timestamp)
		}
		if faults.Mismatch {
			h.Set("X-VerifyHuman-Environment", otherEnvironment(v.options.Environment))
		}
		return h
	}
	if faults.Mismatch {
		eventID = uuid.NewString()
	}
	h.Set("X-VerifyHuman-Timestamp", timestamp)
	h.Set("X-VerifyHuman-Event", event)
	h.Set("X-VerifyHuman-Event-Id", eventID)
	h.Set("X-VerifyHuman-Delivery-Id", deliveryID)
	h.Set("X-VerifyHuman-Environment", v.options.Environment)
	return h
}

// sign returns the signature header: sha256= and lower-case hex of an
// HMAC-SHA256 keyed with the literal webhook secret.
func (v *VerifyHuman) sign(timestamp string, body []byte, faults Faults) string {
	key := v.options.WebhookSecret.Reveal()
	if faults.WrongSecret {
		key = "not " + key
	}
	mac := hmac.New(sha256.New, []byte(key))
	if faults.Signature == SignatureTimestampBody {
		mac.Write([]byte(timestamp + "."))
	}
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func otherEnvironment(environment string) string {
	if environment == environmentTest {
		return environmentLive
	}
	return environmentTest
}
