package sandbox

import (
	"errors"
	"maps"
	"net/http"
)

// AiPriseFaults says how an AiPrise emulator misbehaves. The zero value is the
// faithful provider. As JSON, every field is optional and unknown ones are
// refused.
//
// The first five are the same for every provider; the others speak of AiPrise's
// format.
type AiPriseFaults struct {
	// Duplicate is the number of extra copies of each webhook, 0 to 10.
	Duplicate int `json:"duplicate,omitempty"`
	// Reorder holds each webhook back until a later one of the same sandbox was
	// sent, at most 5 s. VERIFICATION_SESSION_COMPLETION is not held, so that it
	// overtakes all others of its session.
	Reorder bool `json:"reorder,omitempty"`
	// Delay replaces the delay of the two final webhooks, at most an hour; nil
	// keeps it. It delays no poll, which then is ahead of them.
	Delay *Duration `json:"delay,omitempty"`
	// Drop loses all webhooks with all their copies, so that only polling finds
	// the result.
	Drop bool `json:"drop,omitempty"`
	// WrongSecret signs with another key.
	WrongSecret bool `json:"wrong_secret,omitempty"`

	// DropCallback loses what goes to callback_url.
	DropCallback bool `json:"drop_callback,omitempty"`
	// DropEvents loses what goes to events_callback_url.
	DropEvents bool `json:"drop_events,omitempty"`
	// ProfileMode plays a session that is attached to a user profile:
	// callback_url is not used and everything goes to events_callback_url, as
	// AiPrise's callbacks page says. That the profile's URL is the session's is
	// our choice.
	ProfileMode bool `json:"profile_mode,omitempty"`
	// Compact writes webhooks without the spaces.
	Compact bool `json:"compact,omitempty"`
	// WrongReference puts somebody else's client_reference_id into webhooks.
	WrongReference bool `json:"wrong_reference,omitempty"`
	// NoReference makes the client_reference_id of webhooks null, as in the seed
	// document's example.
	NoReference bool `json:"no_reference,omitempty"`
	// ChangedURLs says whether the copies of a result have pre-signed file URLs
	// of their own, and so bytes of their own. nil means true.
	ChangedURLs *bool `json:"changed_urls,omitempty"`
	// UnknownStatus replaces the run's final status by one that nobody
	// documented, in webhooks and polls; the verification_result stays.
	UnknownStatus bool `json:"unknown_status,omitempty"`
	// UnknownResult replaces the verification_result by one that nobody
	// documented, in webhooks and polls; the status stays.
	UnknownResult bool `json:"unknown_result,omitempty"`
	// UnknownEvent replaces an event's type by one that nobody documented.
	UnknownEvent bool `json:"unknown_event,omitempty"`
	// OldStatuses makes polls answer in the words of the callbacks page,
	// COLLECTING and PROCESSING, while there is no result.
	OldStatuses bool `json:"old_statuses,omitempty"`
	// WorkflowFailed ends the run with the status FAILED and no decision.
	WorkflowFailed bool `json:"workflow_failed,omitempty"`
	// AMLInData sends AML_MONITORING_UPDATE as the older page shows it, with the
	// ids and the update under data.
	AMLInData bool `json:"aml_in_data,omitempty"`
	// ResultStatus makes polls answer with this HTTP status: 208, which AiPrise
	// counts as an error, or 400 to 599; 0 for none.
	ResultStatus int `json:"result_status,omitempty"`

	// CreateStatus makes the making of sessions answer with this HTTP status:
	// 208, or 400 to 599; 0 for none. It belongs to the sandbox, never to one
	// verification, and so do the following.
	CreateStatus int `json:"create_status,omitempty"`
	// CreateHang makes the making of sessions never answer.
	CreateHang bool `json:"create_hang,omitempty"`
	// NoSessionField answers with message and verification_url alone, as
	// AiPrise's older guide shows: the session id is in the URL only.
	NoSessionField bool `json:"no_session_field,omitempty"`
}

// changesURLs reports whether copies differ.
func (f AiPriseFaults) changesURLs() bool { return f.ChangedURLs == nil || *f.ChangedURLs }

// With returns f with the fields that the JSON object names replaced by its
// values. Its error names every field that is unknown or wrong.
func (f AiPriseFaults) With(object []byte) (AiPriseFaults, error) {
	merged := f
	if err := decodeObject(object, "faults.", aipriseFields(&merged)); err != nil {
		return AiPriseFaults{}, err
	}
	if err := merged.Validate(); err != nil {
		return AiPriseFaults{}, err
	}
	return merged, nil
}

// withOverrides is With for one verification, which cannot change how sessions
// are made. Later objects beat earlier ones; no bytes at all change nothing.
func (f AiPriseFaults) withOverrides(objects ...[]byte) (AiPriseFaults, error) {
	merged := f
	for _, object := range objects {
		if len(object) == 0 {
			continue
		}
		if err := refuseFaults(object, "create_status", "create_hang", "no_session_field"); err != nil {
			return AiPriseFaults{}, err
		}
		next, err := merged.With(object)
		if err != nil {
			return AiPriseFaults{}, err
		}
		merged = next
	}
	return merged, nil
}

const wantErrorStatus = "an HTTP status from 400 to 599, 208, or 0 for none"

// Validate says everything that is wrong with the values.
func (f AiPriseFaults) Validate() error {
	problems := aipriseDelivery(&f).problems()
	if !errorStatus(f.ResultStatus) {
		problems = append(problems, errors.New("faults.result_status: must be "+wantErrorStatus))
	}
	if !errorStatus(f.CreateStatus) {
		problems = append(problems, errors.New("faults.create_status: must be "+wantErrorStatus))
	}
	if f.WrongReference && f.NoReference {
		problems = append(problems, errors.New("faults.wrong_reference, faults.no_reference: exclude each other"))
	}
	return joinProblems(problems)
}

// errorStatus reports whether a fault may ask for the status. 208 is an error
// according to AiPrise's status codes page.
func errorStatus(status int) bool {
	return status == 0 || status == http.StatusAlreadyReported || status >= lowestFailure && status <= highestFault
}

func aipriseDelivery(f *AiPriseFaults) deliveryFaults {
	return deliveryFaults{
		duplicate: &f.Duplicate, reorder: &f.Reorder, delay: &f.Delay, drop: &f.Drop, wrongSecret: &f.WrongSecret,
	}
}

func aipriseFields(f *AiPriseFaults) map[string]field {
	fields := aipriseDelivery(f).fields()
	maps.Copy(fields, map[string]field{
		"drop_callback":    into(&f.DropCallback, boolean),
		"drop_events":      into(&f.DropEvents, boolean),
		"profile_mode":     into(&f.ProfileMode, boolean),
		"compact":          into(&f.Compact, boolean),
		"wrong_reference":  into(&f.WrongReference, boolean),
		"no_reference":     into(&f.NoReference, boolean),
		"changed_urls":     into(&f.ChangedURLs, boolean),
		"unknown_status":   into(&f.UnknownStatus, boolean),
		"unknown_result":   into(&f.UnknownResult, boolean),
		"unknown_event":    into(&f.UnknownEvent, boolean),
		"old_statuses":     into(&f.OldStatuses, boolean),
		"workflow_failed":  into(&f.WorkflowFailed, boolean),
		"aml_in_data":      into(&f.AMLInData, boolean),
		"result_status":    into(&f.ResultStatus, wantErrorStatus),
		"create_status":    into(&f.CreateStatus, wantErrorStatus),
		"create_hang":      into(&f.CreateHang, boolean),
		"no_session_field": into(&f.NoSessionField, boolean),
	})
	return fields
}
