package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
)

// maxBody is the largest request body that an emulator reads, in bytes.
const maxBody = 64 << 10

// refusal is an error with the HTTP status that it is answered with. Its
// message is written for whoever called.
type refusal struct {
	status  int
	message string
}

// Error returns the message.
func (e *refusal) Error() string { return e.message }

func refuse(status int, format string, args ...any) error {
	return &refusal{status: status, message: fmt.Sprintf(format, args...)}
}

// badRequest turns an error about the caller's input into a 400.
func badRequest(err error) error {
	return &refusal{status: http.StatusBadRequest, message: err.Error()}
}

// field is one key of a JSON object: where its value goes and what it must be.
type field struct {
	set  func(raw json.RawMessage) error
	want string
}

// into makes a field that decodes into dst.
func into[T any](dst *T, want string) field {
	return field{want: want, set: func(raw json.RawMessage) error {
		var value T
		if err := json.Unmarshal(raw, &value); err != nil {
			return err
		}
		*dst = value
		return nil
	}}
}

// decodeObject reads one JSON object. Every key must be known and every value
// of its kind; null is neither. All mistakes are reported together, each with
// its key after the prefix.
func decodeObject(text []byte, prefix string, fields map[string]field) error {
	object, err := readObject(text, prefix)
	if err != nil {
		return err
	}
	var problems []error
	for _, key := range slices.Sorted(maps.Keys(object)) {
		f, known := fields[key]
		if !known {
			problems = append(problems, fmt.Errorf("%s%s: unknown field; known are %s",
				prefix, key, strings.Join(slices.Sorted(maps.Keys(fields)), ", ")))
			continue
		}
		if bytes.Equal(object[key], []byte("null")) || f.set(object[key]) != nil {
			problems = append(problems, fmt.Errorf("%s%s: must be %s", prefix, key, f.want))
		}
	}
	return joinProblems(problems)
}

// decodeKnown is decodeObject for a provider that ignores what it does not know
// and takes null for absent.
func decodeKnown(text []byte, prefix string, fields map[string]field) error {
	object, err := readObject(text, prefix)
	if err != nil {
		return err
	}
	var problems []error
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		raw, given := object[key]
		if !given || bytes.Equal(raw, []byte("null")) {
			continue
		}
		if fields[key].set(raw) != nil {
			problems = append(problems, fmt.Errorf("%s%s: must be %s", prefix, key, fields[key].want))
		}
	}
	return joinProblems(problems)
}

func readObject(text []byte, prefix string) (map[string]json.RawMessage, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil || object == nil {
		return nil, fmt.Errorf("%s: must be one JSON object", strings.TrimSuffix(orBody(prefix), "."))
	}
	return object, nil
}

func orBody(prefix string) string {
	if prefix == "" {
		return "body"
	}
	return prefix
}

// joinProblems makes one error of many, on one line; nil of none.
func joinProblems(problems []error) error {
	if len(problems) == 0 {
		return nil
	}
	texts := make([]string, 0, len(problems))
	for _, p := range problems {
		texts = append(texts, p.Error())
	}
	return errors.New(strings.Join(texts, "; "))
}

// readBody returns the body of a request that must have the content type. Its
// errors are refusals with status 400.
func readBody(w http.ResponseWriter, r *http.Request, contentType string) ([]byte, error) {
	return readBodyOr(w, r, contentType, http.StatusBadRequest)
}

// readBodyOr is readBody for a provider that has another status for a body that
// is too large.
func readBodyOr(w http.ResponseWriter, r *http.Request, contentType string, tooLarge int) ([]byte, error) {
	if mediaType(r) != contentType {
		return nil, refuse(http.StatusBadRequest, "Content-Type: must be %s", contentType)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, exceeded := errors.AsType[*http.MaxBytesError](err); exceeded {
		return nil, refuse(tooLarge, "body: must be at most %d bytes", maxBody)
	}
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "body: could not be read to its end")
	}
	return body, nil
}

func mediaType(r *http.Request) string {
	name, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return name
}

const (
	jsonType = "application/json"
	formType = "application/x-www-form-urlencoded"
)

// writeJSON answers with v. Its error means that nothing was written yet; a
// caller that left before its answer is none.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	w.Header().Set("Content-Type", jsonType)
	w.WriteHeader(status)
	_, _ = w.Write(body)
	return nil
}
