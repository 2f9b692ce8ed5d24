package aiprise

import (
	"errors"
	"fmt"

	"github.com/verigate/verigate/server/provider/edge"
	"github.com/verigate/verigate/server/verification"
)

// The payload keys that more than one step reads.
const (
	keyEventType        = "event_type"
	keyProfileEventType = "user_profile_event_type"
	keySessionID        = "verification_session_id"
	keyTemplateID       = "template_id"
	keyReference        = "client_reference_id"
	keyReferenceData    = "client_reference_data"
	keyEnvironment      = "environment"
	keySummary          = "aiprise_summary"
	keyStatus           = "status"
	keyStatusReasons    = "status_reasons"
	keyResult           = "verification_result"
	keyReason           = "reason"
	keyCreatedAt        = "created_at"
	keyData             = "data"
	keyCallbackUUID     = "callback_uuid"
)

// sandboxEnvironment is what a result of the sandbox says in its environment
// key; production sends null there (AiPrise's OpenAPI description).
const sandboxEnvironment = "SANDBOX"

// sessionRefPrefix begins this adapter's only kind of provider ref.
const sessionRefPrefix = "session:"

var (
	errTwoForms  = errors.New("both keys event_type and user_profile_event_type are there, so what it is is ambiguous")
	errNoSession = errors.New("verification_session_id is missing")
)

// form says which of AiPrise's three kinds of body it is.
type form int

const (
	// formResult is the final callback: no event type.
	formResult form = iota + 1
	// formEvent is an event of a session.
	formEvent
	// formProfile is an event of a user profile.
	formProfile
)

// payload is a webhook body, or the answer of the result endpoint.
type payload struct {
	form form
	// event is the event's name; empty for a final result.
	event string
	top   edge.Object
	// data is the object under the key data of an event; empty if there is none
	// or if it is no object.
	data edge.Object
}

func parsePayload(body []byte) (payload, error) {
	top, err := edge.Parse(body)
	if err != nil {
		return payload{}, err
	}
	event, err := top.Label(keyEventType)
	if err != nil {
		return payload{}, err
	}
	profile, err := top.Label(keyProfileEventType)
	if err != nil {
		return payload{}, err
	}
	switch {
	case event != "" && profile != "":
		return payload{}, errTwoForms
	case profile != "":
		return payload{form: formProfile, event: profile, top: top}, nil
	case event == "":
		return payload{form: formResult, top: top}, nil
	}
	p := payload{form: formEvent, event: event, top: top}
	if top.IsKind(keyData, '{') {
		p.data, err = top.Child(keyData)
	}
	return p, err
}

// checkEnvironment refuses what comes from the other environment. The key is
// not in every body: only one that says something is compared. Its errors
// repeat no value.
func (p payload) checkEnvironment(e verification.Environment) error {
	for _, o := range []edge.Object{p.top, p.data} {
		if !o.Present(keyEnvironment) {
			continue
		}
		text, isText, err := o.Text(keyEnvironment)
		if err != nil {
			return err
		}
		switch {
		case e == verification.Live && isText:
			return fmt.Errorf("%s is not null, but the connection is live", o.Name(keyEnvironment))
		case e == verification.Test && text != sandboxEnvironment:
			return fmt.Errorf("%s is not %s, but the connection is of the test environment", o.Name(keyEnvironment), sandboxEnvironment)
		}
	}
	return nil
}

// about returns an event that names the verification, with all that the payload
// says of it. An older page of AiPrise's documentation shows the ids under data
// instead of at the top, so both are read, and must agree.
func (p payload) about(kind verification.EventKind) (verification.Event, error) {
	session, err := p.agreed(keySessionID)
	if err != nil {
		return verification.Event{}, err
	}
	if session == "" {
		return verification.Event{}, errNoSession
	}
	product, err := p.product()
	if err != nil {
		return verification.Event{}, err
	}
	reference, err := p.reference()
	if err != nil {
		return verification.Event{}, err
	}
	return verification.Event{
		Kind:           kind,
		VerificationID: reference,
		Keys:           []string{sessionRefPrefix + session},
		Product:        product,
	}, nil
}

// agreed returns the label at the top or in data, "" if it is in neither.
func (p payload) agreed(key string) (string, error) {
	outer, err := p.top.Label(key)
	if err != nil {
		return "", err
	}
	inner, err := p.data.Label(key)
	if err != nil {
		return "", err
	}
	if outer != "" && inner != "" && outer != inner {
		return "", fmt.Errorf("%s and %s disagree", p.top.Name(key), p.data.Name(key))
	}
	if outer == "" {
		return inner, nil
	}
	return outer, nil
}

// product returns the template's id, "" if the payload names none. It will be
// compared with the flow's letter by letter, and that one is lower-case.
func (p payload) product() (string, error) {
	template, err := p.agreed(keyTemplateID)
	if err != nil {
		return "", err
	}
	if id, ok := edge.UUID(template); ok {
		return id, nil
	}
	return template, nil
}

// reference returns the id that Start sent as client_reference_id. An older page
// of AiPrise's documentation leaves it out of some events, and the seed document
// shows a null: then it says nothing.
func (p payload) reference() (string, error) {
	if text, _, err := p.top.Text(keyReference); err == nil && text == "" {
		return "", nil
	}
	return p.top.Label(keyReference)
}
