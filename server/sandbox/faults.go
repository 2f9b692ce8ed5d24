package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Faults says how a sandbox misbehaves. The zero value is the faithful
// provider. As JSON, every field is optional and unknown ones are refused.
//
// The first five are the same for every provider; the others speak of
// VerifyHuman's format.
type Faults struct {
	// Duplicate is the number of extra copies of each webhook, 0 to 10. A copy
	// has the event's id and its own delivery id.
	Duplicate int `json:"duplicate,omitempty"`
	// Reorder holds a webhook back until the next event of the same sandbox was
	// sent, at most 5 s.
	Reorder bool `json:"reorder,omitempty"`
	// Delay replaces the sandbox's webhook delay, at most an hour; nil keeps it.
	// Zero usually brings the webhook in before the redirect.
	Delay *Duration `json:"delay,omitempty"`
	// Drop loses the webhook with all its copies.
	Drop bool `json:"drop,omitempty"`
	// WrongSecret signs with another key.
	WrongSecret bool `json:"wrong_secret,omitempty"`

	// StaleTimestamp sends a timestamp header that is an hour old, signed as
	// such where the timestamp is signed.
	StaleTimestamp bool `json:"stale_timestamp,omitempty"`
	// Mismatch makes a header contradict the body: the event id in the envelope
	// shape, the environment in the flat one.
	Mismatch bool `json:"mismatch,omitempty"`
	// UnknownEvent replaces the event's type by one that nobody documented.
	UnknownEvent bool `json:"unknown_event,omitempty"`
	// UnknownStatus replaces the status by one that nobody documented.
	UnknownStatus bool `json:"unknown_status,omitempty"`
	// Shape is the payload's shape; empty means ShapeFlat.
	Shape Shape `json:"shape,omitempty"`
	// Signature is what the signature covers; empty means SignatureBody.
	Signature Signature `json:"signature,omitempty"`
	// LinkField adds the hosted token to the payload. VerifyHuman documents no
	// such field, so off is the faithful way.
	LinkField bool `json:"link_field,omitempty"`
	// DenyStatus is the webhook's status for a denied person; empty means FAIL,
	// which is our choice: the documentation gives denial no status of its own.
	DenyStatus string `json:"deny_status,omitempty"`

	// GenerateStatus makes hosted/generate answer with this HTTP status, 400 to
	// 599; 0 for none. It belongs to the sandbox, never to one verification.
	GenerateStatus int `json:"generate_status,omitempty"`
	// GenerateHang makes hosted/generate never answer. It belongs to the
	// sandbox, never to one verification.
	GenerateHang bool `json:"generate_hang,omitempty"`
}

// Shape is one of the two documented forms of VerifyHuman's webhook payload.
type Shape string

// The shapes. The seed document shows the flat one, VerifyHuman's webhooks page
// the envelope.
const (
	ShapeFlat     Shape = "flat"
	ShapeEnvelope Shape = "envelope"
)

// Signature is what a webhook's signature covers.
type Signature string

// The signatures. VerifyHuman's readable documentation does not settle which
// one it uses.
const (
	// SignatureBody covers the raw body.
	SignatureBody Signature = "body"
	// SignatureTimestampBody covers the timestamp header, a dot and the body.
	SignatureTimestampBody Signature = "ts_dot_body"
)

// Duration is a time.Duration that JSON writes as "1.5s".
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration such as 2s: %w", text, err)
	}
	*d = Duration(parsed)
	return nil
}

const (
	maxCopies     = 10
	maxDelay      = Duration(time.Hour)
	maxDenyStatus = 64
	lowestFailure = 400
	highestFault  = 599
)

// With returns f with the fields that the JSON object names replaced by its
// values. Its error names every field that is unknown or wrong.
func (f Faults) With(object []byte) (Faults, error) {
	merged := f
	if err := decodeObject(object, "faults.", faultFields(&merged)); err != nil {
		return Faults{}, err
	}
	if err := merged.Validate(); err != nil {
		return Faults{}, err
	}
	return merged, nil
}

// withOverride is With for one verification, which cannot change how sessions
// are made. No bytes at all change nothing.
func (f Faults) withOverride(object []byte) (Faults, error) {
	if len(object) == 0 {
		return f, nil
	}
	if err := refuseFaults(object, "generate_status", "generate_hang"); err != nil {
		return Faults{}, err
	}
	return f.With(object)
}

// refuseFaults refuses an object that has a key of the whole sandbox's.
func refuseFaults(object []byte, wholeSandbox ...string) error {
	var keys map[string]json.RawMessage
	// A text that is no object is reported by who reads it.
	_ = json.Unmarshal(object, &keys)
	for _, key := range wholeSandbox {
		if _, set := keys[key]; set {
			return fmt.Errorf("faults.%s: belongs to the whole sandbox, not to one verification; "+
				"set it with PUT control/faults", key)
		}
	}
	return nil
}

// Validate says everything that is wrong with the values.
func (f Faults) Validate() error {
	problems := deliveryOf(&f).problems()
	check := func(ok bool, message string) {
		if !ok {
			problems = append(problems, errors.New("faults."+message))
		}
	}
	check(slices.Contains([]Shape{"", ShapeFlat, ShapeEnvelope}, f.Shape),
		`shape: must be "flat" or "envelope"`)
	check(slices.Contains([]Signature{"", SignatureBody, SignatureTimestampBody}, f.Signature),
		`signature: must be "body" or "ts_dot_body"`)
	check(len(f.DenyStatus) <= maxDenyStatus, "deny_status: must be at most 64 bytes")
	check(f.GenerateStatus == 0 || f.GenerateStatus >= lowestFailure && f.GenerateStatus <= highestFault,
		"generate_status: must be an HTTP status from 400 to 599, or 0 for none")
	return joinProblems(problems)
}

func deliveryOf(f *Faults) deliveryFaults {
	return deliveryFaults{
		duplicate: &f.Duplicate, reorder: &f.Reorder, delay: &f.Delay, drop: &f.Drop, wrongSecret: &f.WrongSecret,
	}
}

// deliveryFaults are the faults that every provider's webhooks can have.
type deliveryFaults struct {
	duplicate   *int
	reorder     *bool
	delay       **Duration
	drop        *bool
	wrongSecret *bool
}

func (d deliveryFaults) problems() []error {
	var problems []error
	if *d.duplicate < 0 || *d.duplicate > maxCopies {
		problems = append(problems, errors.New("faults.duplicate: must be a whole number from 0 to 10"))
	}
	if delay := *d.delay; delay != nil && (*delay < 0 || *delay > maxDelay) {
		problems = append(problems, errors.New(`faults.delay: must be a duration from "0s" to "1h"`))
	}
	return problems
}

func (d deliveryFaults) fields() map[string]field {
	return map[string]field{
		"duplicate":    into(d.duplicate, "a whole number from 0 to 10"),
		"reorder":      into(d.reorder, boolean),
		"delay":        into(d.delay, `a duration in quotes, such as "2s"`),
		"drop":         into(d.drop, boolean),
		"wrong_secret": into(d.wrongSecret, boolean),
	}
}

// boolean is what most faults must be.
const boolean = "true or false"

func faultFields(f *Faults) map[string]field {
	fields := deliveryOf(f).fields()
	maps.Copy(fields, map[string]field{
		"stale_timestamp": into(&f.StaleTimestamp, boolean),
		"mismatch":        into(&f.Mismatch, boolean),
		"unknown_event":   into(&f.UnknownEvent, boolean),
		"unknown_status":  into(&f.UnknownStatus, boolean),
		"shape":           into(&f.Shape, `"flat" or "envelope"`),
		"signature":       into(&f.Signature, `"body" or "ts_dot_body"`),
		"link_field":      into(&f.LinkField, boolean),
		"deny_status":     into(&f.DenyStatus, "a string"),
		"generate_status": into(&f.GenerateStatus, "an HTTP status from 400 to 599, or 0 for none"),
		"generate_hang":   into(&f.GenerateHang, boolean),
	})
	return fields
}
