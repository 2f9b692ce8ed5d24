package verifyhuman

import (
	"errors"

	"github.com/verigate/verigate/server/provider/edge"
)

// The payload keys that more than one step reads.
const (
	keyType           = "type"
	keyEvent          = "event"
	keyID             = "id"
	keyEnvironment    = "environment"
	keyVerificationID = "verification_id"
	keyProduct        = "product"
	keyStatus         = "status"
)

var (
	errNoShape   = errors.New("neither key type nor key event is there, so the payload's shape is unknown")
	errTwoShapes = errors.New("both keys type and event are there, so the payload's shape is ambiguous")
)

// payload is a webhook body of either shape. VerifyHuman's webhooks page shows
// the envelope {id, type, created, environment, data{…}}; the seed document
// shows the flat {event, verification_id, status, product, environment,
// timestamp}.
type payload struct {
	envelope bool
	// event is the event's name: type in the envelope, event in the flat shape.
	event string
	// id is the envelope's event id, the same for every attempt; the flat shape
	// has none.
	id  string
	top edge.Object
	// data is the object under the key data, empty in the flat shape.
	data edge.Object
	// result is where the verification's fields are: data or top.
	result edge.Object
	// time is the provider's time as it stands in the payload.
	time string
}

func parsePayload(body []byte) (payload, error) {
	top, err := edge.Parse(body)
	if err != nil {
		return payload{}, err
	}
	envelope, err := isEnvelope(top)
	if err != nil {
		return payload{}, err
	}
	data, err := top.Child("data")
	if err != nil {
		return payload{}, err
	}
	p := payload{envelope: envelope, top: top, data: data, result: top}
	eventKey, timeKey := keyEvent, "timestamp"
	if envelope {
		eventKey, timeKey = keyType, "created"
		p.result = data
		if p.id, err = top.RequiredLabel(keyID); err != nil {
			return payload{}, err
		}
	}
	if p.event, err = top.RequiredLabel(eventKey); err != nil {
		return payload{}, err
	}
	p.time, _, _ = top.Text(timeKey)
	return p, nil
}

func isEnvelope(top edge.Object) (bool, error) {
	hasType, hasEvent := top.Present(keyType), top.Present(keyEvent)
	switch {
	case hasType && hasEvent:
		return false, errTwoShapes
	case !hasType && !hasEvent:
		return false, errNoShape
	}
	return hasType, nil
}
