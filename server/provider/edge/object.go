package edge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

var (
	errNotObject = errors.New("it is not exactly one JSON object")
	errTwice     = errors.New("a key stands twice in one object")
)

// Object is one JSON object, read strictly: keys in their exact case, and none
// twice. Decoding into a struct would match keys in any case and let the second
// of two equal keys win, so that two readers of one signed body could see two
// different decisions. The zero Object is an empty one.
type Object struct {
	// path names the object in errors: empty, or with a final dot.
	path   string
	fields map[string]json.RawMessage
}

// Parse refuses anything but one object whose keys are all different. Its errors
// repeat nothing of the text, which must not change afterwards.
func Parse(text []byte) (Object, error) {
	// Keys are compared here, and only where somebody reads them. What is no UTF-8
	// is not refused for that: encoding/json never did.
	dec := jsontext.NewDecoder(bytes.NewBuffer(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if token, err := dec.ReadToken(); err != nil || token.Kind() != jsontext.KindBeginObject {
		return Object{}, errNotObject
	}
	fields, twice := map[string]json.RawMessage{}, false
	for dec.PeekKind() == jsontext.KindString {
		name, err := dec.ReadToken()
		if err != nil {
			return Object{}, errNotObject
		}
		key := name.String()
		value, err := dec.ReadValue()
		if err != nil {
			return Object{}, errNotObject
		}
		_, known := fields[key]
		twice = twice || known
		end := int(dec.InputOffset())
		fields[key] = text[end-len(value) : end : end]
	}
	if _, err := dec.ReadToken(); err != nil {
		return Object{}, errNotObject
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return Object{}, errNotObject
	}
	if twice {
		return Object{}, errTwice
	}
	return Object{fields: fields}, nil
}

// Name is how an error names the key: with the keys of the objects around it.
func (o Object) Name(key string) string { return o.path + key }

// Keys returns all keys, sorted. They are the sender's to choose.
func (o Object) Keys() []string { return slices.Sorted(maps.Keys(o.fields)) }

// Present reports whether the key is there, be it with null.
func (o Object) Present(key string) bool {
	_, ok := o.fields[key]
	return ok
}

// Has reports whether the key is there with a value other than null.
func (o Object) Has(key string) bool {
	value, ok := o.fields[key]
	return ok && string(value) != "null"
}

// Raw returns the value under key as it was written, nil if the key is absent.
func (o Object) Raw(key string) json.RawMessage { return o.fields[key] }

// IsKind reports whether the value under key begins as an object, '{', or as a
// list, '[', does.
func (o Object) IsKind(key string, opening byte) bool {
	value := o.fields[key]
	return len(value) > 0 && value[0] == opening
}

// Text returns the text under key, and whether there is one. Absent and null are
// no text and no error; anything else but a string is an error.
func (o Object) Text(key string) (string, bool, error) {
	if !o.Has(key) {
		return "", false, nil
	}
	value := o.fields[key]
	if text, ok := unquoted(value); ok {
		return text, true, nil
	}
	var text string
	if err := json.Unmarshal(value, &text); err != nil {
		return "", false, fmt.Errorf("%s is not a string", o.Name(key))
	}
	return text, true, nil
}

// unquoted is the text of a string that has nothing to be replaced: nearly every
// one.
func unquoted(value []byte) (string, bool) {
	if len(value) < len(`""`) || value[0] != '"' || bytes.IndexByte(value, '\\') >= 0 || !utf8.Valid(value) {
		return "", false
	}
	return string(value[1 : len(value)-1]), true
}

// Is reports whether the text under key is exactly want.
func (o Object) Is(key, want string) bool {
	text, said, err := o.Text(key)
	return err == nil && said && text == want
}

// Label returns a text for which IsLabel holds, "" if the key is absent or null.
// Anything else is an error.
func (o Object) Label(key string) (string, error) {
	text, said, err := o.Text(key)
	if err != nil || !said {
		return "", err
	}
	if !IsLabel(text) {
		return "", fmt.Errorf("%s is empty, longer than %d bytes or not printable", o.Name(key), maxLabel)
	}
	return text, nil
}

// RequiredLabel is Label for a key that must be there: never "" without an error.
func (o Object) RequiredLabel(key string) (string, error) {
	label, err := o.Label(key)
	if err == nil && label == "" {
		return "", fmt.Errorf("%s is missing", o.Name(key))
	}
	return label, err
}

// Child returns the object under key, an empty one if it is absent or null.
// Anything but an object whose keys are all different is an error.
func (o Object) Child(key string) (Object, error) {
	path := o.Name(key) + "."
	if !o.Has(key) {
		return Object{path: path}, nil
	}
	child, err := Parse(o.fields[key])
	if err != nil {
		return Object{}, fmt.Errorf("%s: %w", o.Name(key), err)
	}
	child.path = path
	return child, nil
}

// List returns the elements under key, none if no list stands there.
func (o Object) List(key string) []json.RawMessage {
	if !o.IsKind(key, '[') {
		return nil
	}
	var elements []json.RawMessage
	if err := json.Unmarshal(o.fields[key], &elements); err != nil {
		return nil
	}
	return elements
}

// NamesExcept returns the names of the keys that are not known, each as an error
// would name it and by FieldName, in no order.
func (o Object) NamesExcept(known []string) []string {
	var names []string
	for key := range o.fields {
		if slices.Contains(known, key) {
			continue
		}
		if name := FieldName(key); name != "" {
			names = append(names, o.Name(name))
		}
	}
	return names
}
