package verifyhuman

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// maxText bounds every text that leaves a payload, in bytes. VerifyHuman's own
// ids and names are far shorter.
const maxText = 200

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
	errNotObject = errors.New("it is not exactly one JSON object")
	errNoShape   = errors.New("neither key type nor key event is there, so the payload's shape is unknown")
	errTwoShapes = errors.New("both keys type and event are there, so the payload's shape is ambiguous")
)

// object is one JSON object, read strictly. Decoding into a struct would match
// keys in any case and let the second of two equal keys win, so that two
// readers of one signed body could see different things.
type object struct {
	// path names the object in errors: empty, or with a final dot.
	path   string
	fields map[string]json.RawMessage
}

// parseObject refuses anything but one object whose keys are all different.
// Its errors repeat nothing of the text.
func parseObject(path string, text []byte) (object, error) {
	if !json.Valid(text) {
		return object{}, errNotObject
	}
	o := object{path: path, fields: map[string]json.RawMessage{}}
	dec := json.NewDecoder(bytes.NewReader(text))
	if token, err := dec.Token(); err != nil || token != json.Delim('{') {
		return object{}, errNotObject
	}
	for dec.More() {
		token, err := dec.Token()
		key, isText := token.(string)
		if err != nil || !isText {
			return object{}, errNotObject
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return object{}, errNotObject
		}
		if _, twice := o.fields[key]; twice {
			return object{}, fmt.Errorf("a key stands twice in %sone object", path)
		}
		o.fields[key] = value
	}
	return o, nil
}

// has reports whether the key is there with a value other than null.
func (o object) has(key string) bool {
	value, ok := o.fields[key]
	return ok && string(value) != "null"
}

// text returns the text under key; false when it is absent or no text.
func (o object) text(key string) (string, bool) {
	if !o.has(key) {
		return "", false
	}
	var text string
	if err := json.Unmarshal(o.fields[key], &text); err != nil {
		return "", false
	}
	return text, true
}

// label returns a text that is fit to be stored and shown: not empty, at most
// maxText bytes, printable. A NUL, for one, cannot be stored as text at all.
func (o object) label(key string) (string, error) {
	text, ok := o.text(key)
	if !ok {
		return "", fmt.Errorf("%s%s is missing or not a string", o.path, key)
	}
	if !isLabel(text) {
		return "", fmt.Errorf("%s%s is empty, longer than %d bytes or not printable", o.path, key, maxText)
	}
	return text, nil
}

func isLabel(text string) bool {
	if text == "" || len(text) > maxText || !utf8.ValidString(text) {
		return false
	}
	for _, r := range text {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// child returns the object under key, an empty one if it is absent or null.
func (o object) child(key string) (object, error) {
	path := o.path + key + "."
	if !o.has(key) {
		return object{path: path}, nil
	}
	child, err := parseObject(path, o.fields[key])
	if err != nil {
		return object{}, fmt.Errorf("%s%s: %w", o.path, key, err)
	}
	return child, nil
}

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
	top object
	// data is the object under the key data, empty in the flat shape.
	data object
	// result is where the verification's fields are: data or top.
	result object
	// time is the provider's time as it stands in the payload.
	time string
}

func parsePayload(body []byte) (payload, error) {
	top, err := parseObject("", body)
	if err != nil {
		return payload{}, err
	}
	envelope, err := isEnvelope(top)
	if err != nil {
		return payload{}, err
	}
	data, err := top.child("data")
	if err != nil {
		return payload{}, err
	}
	p := payload{envelope: envelope, top: top, data: data, result: top}
	eventKey, timeKey := keyEvent, "timestamp"
	if envelope {
		eventKey, timeKey = keyType, "created"
		p.result = data
		if p.id, err = top.label(keyID); err != nil {
			return payload{}, err
		}
	}
	if p.event, err = top.label(eventKey); err != nil {
		return payload{}, err
	}
	p.time, _ = top.text(timeKey)
	return p, nil
}

func isEnvelope(top object) (bool, error) {
	_, hasType := top.fields[keyType]
	_, hasEvent := top.fields[keyEvent]
	switch {
	case hasType && hasEvent:
		return false, errTwoShapes
	case !hasType && !hasEvent:
		return false, errNoShape
	}
	return hasType, nil
}
