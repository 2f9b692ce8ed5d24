package sandbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
)

// The event types of AiPrise's event callbacks page. The final result on
// callback_url has none.
const (
	eventStarted     = "VERIFICATION_SESSION_STARTED"
	eventSubmitted   = "VERIFICATION_REQUEST_SUBMITTED"
	eventCompletion  = "VERIFICATION_SESSION_COMPLETION"
	eventCase        = "CASE_STATUS_UPDATE"
	eventAML         = "AML_MONITORING_UPDATE"
	eventSection     = "SECTION_INFO_UPDATE"
	eventComment     = "COMMENT"
	eventUndreamedOf = "SANDBOX_UNKNOWN_EVENT"
)

// aipriseEvent is what all events have in common.
type aipriseEvent struct {
	EventType             string          `json:"event_type"`
	VerificationSessionID string          `json:"verification_session_id"`
	ClientReferenceID     *string         `json:"client_reference_id"`
	ClientReferenceData   json.RawMessage `json:"client_reference_data"`
}

// aipriseCompletion is an event with the whole result.
type aipriseCompletion struct {
	EventType string `json:"event_type"`
	aipriseResult
}

// webhook is one event before it is written down.
type webhook struct {
	channel Channel
	// event is the type as AiPrise documents it; empty for the final result.
	event string
	delay time.Duration
	// payload makes the body's value, again for each copy that differs.
	payload func() any
}

// plainEvent is an event that says nothing but its type.
func (a *AiPrise) plainEvent(s *aipriseSession, event string, faults AiPriseFaults) webhook {
	common := commonOf(s, event, faults)
	return webhook{channel: ChannelEvents, event: event, payload: func() any { return common }}
}

func commonOf(s *aipriseSession, event string, faults AiPriseFaults) aipriseEvent {
	return aipriseEvent{
		EventType: typeOf(event, faults), VerificationSessionID: s.id,
		ClientReferenceID: referenceOf(s, faults), ClientReferenceData: s.referenceData,
	}
}

// typeOf is the type that an event names.
func typeOf(event string, faults AiPriseFaults) string {
	if faults.UnknownEvent && event != "" {
		return eventUndreamedOf
	}
	return event
}

// referenceOf is the client_reference_id that a webhook carries.
func referenceOf(s *aipriseSession, faults AiPriseFaults) *string {
	switch {
	case faults.NoReference:
		return nil
	case faults.WrongReference:
		return new(uuid.NewString())
	default:
		return s.reference
	}
}

// finalMessages are what a submission sets off: the event at once, and both
// forms of the result when the workflow had its time.
func (a *AiPrise) finalMessages(s *aipriseSession, faults AiPriseFaults) ([]message, error) {
	delay := a.delay
	if faults.Delay != nil {
		delay = time.Duration(*faults.Delay)
	}
	reference := referenceOf(s, faults)
	result := func() aipriseResult {
		r := a.resultOf(s, finalOf(s, faults))
		r.ClientReferenceID = reference
		return r
	}
	completion := typeOf(eventCompletion, faults)
	return a.messages(s, faults,
		a.plainEvent(s, eventSubmitted, faults),
		webhook{channel: ChannelCallback, delay: delay, payload: func() any { return result() }},
		webhook{channel: ChannelEvents, event: eventCompletion, delay: delay, payload: func() any {
			return aipriseCompletion{EventType: completion, aipriseResult: result()}
		}},
	)
}

// messages makes what is to be sent of webhooks, without those that have no
// address: sending is up to the caller, who then sends all or none.
func (a *AiPrise) messages(s *aipriseSession, faults AiPriseFaults, webhooks ...webhook) ([]message, error) {
	var messages []message
	for _, hook := range webhooks {
		address := addressOf(s, hook.channel, faults)
		if address == "" {
			continue
		}
		bodies, err := hook.bodies(faults)
		if err != nil {
			return nil, fmt.Errorf("webhook: %w", err)
		}
		messages = append(messages, message{
			url: address, channel: hook.channel, event: typeOf(hook.event, faults), eventID: uuid.NewString(),
			verificationID: s.id, bodies: bodies, delay: hook.delay,
			headers: func(_ string, body []byte) http.Header { return a.webhookHeaders(body, faults) },
			hold:    faults.Reorder && hook.event != eventCompletion,
			drop: faults.Drop || faults.DropCallback && hook.channel == ChannelCallback ||
				faults.DropEvents && hook.channel == ChannelEvents,
		})
	}
	return messages, nil
}

// addressOf is where a channel of the session leads; empty for nowhere.
func addressOf(s *aipriseSession, channel Channel, faults AiPriseFaults) string {
	switch {
	case channel == ChannelEvents:
		return s.eventsURL
	case faults.ProfileMode:
		return ""
	default:
		return s.callbackURL
	}
}

// bodies writes the original and its copies. Attempts at one of them repeat its
// bytes: AiPrise's callbacks page says that a payload is stored for that.
func (h webhook) bodies(faults AiPriseFaults) ([][]byte, error) {
	var bodies [][]byte
	for i := range 1 + faults.Duplicate {
		if i > 0 && !faults.changesURLs() {
			bodies = append(bodies, bodies[0])
			continue
		}
		body, err := pythonJSON(h.payload(), faults.Compact)
		if err != nil {
			return nil, err
		}
		bodies = append(bodies, body)
	}
	return bodies, nil
}

func (a *AiPrise) webhookHeaders(body []byte, faults AiPriseFaults) http.Header {
	h := http.Header{}
	h.Set("Content-Type", jsonType)
	h.Set("User-Agent", "AiPrise-Sandbox/1.0")
	h.Set("X-HMAC-SIGNATURE", a.sign(body, faults))
	return h
}

// sign returns the lower-case hex of an HMAC-SHA256 over the exact body, keyed
// with the API key itself: the seed document on callback authentication.
func (a *AiPrise) sign(body []byte, faults AiPriseFaults) string {
	key := a.apiKey.Reveal()
	if faults.WrongSecret {
		key = "not " + key
	}
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}
