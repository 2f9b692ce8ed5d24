package aiprise

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// maxText bounds every text that leaves a payload, in bytes. AiPrise's own ids
// and names are far shorter.
const maxText = 200

var errNotObject = errors.New("it is not exactly one JSON object")

// object is one JSON object, read strictly: keys in their exact case, and none
// twice. A looser reading could make two readers of one signed body see two
// different decisions.
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
	dec := json.NewDecoder(bytes.NewReader(text))
	if token, err := dec.Token(); err != nil || token != json.Delim('{') {
		return object{}, errNotObject
	}
	o := object{path: path, fields: map[string]json.RawMessage{}}
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

// text returns the text under key, and whether there is one. Absent and null
// are no text and no error; anything else but a string is an error.
func (o object) text(key string) (string, bool, error) {
	if !o.has(key) {
		return "", false, nil
	}
	var text string
	if err := json.Unmarshal(o.fields[key], &text); err != nil {
		return "", false, fmt.Errorf("%s%s is not a string", o.path, key)
	}
	return text, true, nil
}

// label returns a text that is fit to be stored and shown, "" if the key is
// absent or null. An empty, long or unprintable text is an error.
func (o object) label(key string) (string, error) {
	text, said, err := o.text(key)
	if err != nil || !said {
		return "", err
	}
	if !isLabel(text) {
		return "", fmt.Errorf("%s%s is empty, longer than %d bytes or not printable", o.path, key, maxText)
	}
	return text, nil
}

// isLabel refuses, among others, a NUL, which cannot be stored as text at all.
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

// isKind reports whether the value under key begins as an object, '{', or as a
// list, '[', does.
func (o object) isKind(key string, opening byte) bool {
	value := o.fields[key]
	return len(value) > 0 && value[0] == opening
}

// list returns the elements under key, none if no list stands there.
func (o object) list(key string) []json.RawMessage {
	if !o.isKind(key, '[') {
		return nil
	}
	var elements []json.RawMessage
	if err := json.Unmarshal(o.fields[key], &elements); err != nil {
		return nil
	}
	return elements
}
