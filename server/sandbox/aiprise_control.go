package sandbox

import (
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Faults returns the faults of the run.
func (a *AiPrise) Faults() AiPriseFaults {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.faults
}

// SetFaults replaces the faults of the run, for webhooks that are not yet on
// their way. Its error names every field that is wrong.
func (a *AiPrise) SetFaults(f AiPriseFaults) error {
	if err := f.Validate(); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.faults = f
	return nil
}

func (a *AiPrise) showFaults(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, a.Faults())
}

// replaceFaults sets exactly the faults of the body; an empty object ends them.
func (a *AiPrise) replaceFaults(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r, jsonType)
	if err != nil {
		return err
	}
	faults, err := AiPriseFaults{}.With(body)
	if err != nil {
		return badRequest(err)
	}
	a.mu.Lock()
	a.faults = faults
	a.mu.Unlock()
	return writeJSON(w, http.StatusOK, faults)
}

// overrideFaults sets the fields in which one session differs from the run, in
// what is sent and polled from now on, and answers what results now.
func (a *AiPrise) overrideFaults(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r, jsonType)
	if err != nil {
		return err
	}
	faults, err := a.overrideSession(r.PathValue("id"), body)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, faults)
}

func (a *AiPrise) overrideSession(id string, body []byte) (AiPriseFaults, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, err := a.session(id)
	if err != nil {
		return AiPriseFaults{}, err
	}
	faults, err := a.faults.withOverrides(body)
	if err != nil {
		return AiPriseFaults{}, badRequest(err)
	}
	s.overrides, s.runOverrides = body, nil
	return faults, nil
}

// told is the answer of the routes that make AiPrise say something.
type told struct {
	EventType string `json:"event_type"`
	// Sent is false where the session has no events_callback_url.
	Sent bool `json:"sent"`
}

// verdict is what a reviewer decides.
type verdict struct {
	result string
	reason string
}

const wantVerdict = "APPROVED, DECLINED or REVIEW"

// reasonPattern is our choice: the documentation shows codes of this form.
var reasonPattern = regexp.MustCompile(`^[A-Z0-9_]{1,64}$`)

func (v verdict) problems() error {
	var problems []error
	if !slices.Contains([]string{aipriseApproved, aipriseDeclined, aipriseReview}, v.result) {
		problems = append(problems, errors.New("verification_result: must be "+wantVerdict))
	}
	if v.reason != "" && !reasonPattern.MatchString(v.reason) {
		problems = append(problems, errors.New("reason_code: must be 1 to 64 capital letters, digits and underscores"))
	}
	if v.reason != "" && v.result != aipriseDeclined {
		problems = append(problems, errors.New("reason_code: belongs to DECLINED; leave it out"))
	}
	return joinProblems(problems)
}

// decideCase plays a reviewer who decides or decides again, also when all seemed
// over.
func (a *AiPrise) decideCase(w http.ResponseWriter, r *http.Request) error {
	var v verdict
	err := readFields(w, r, map[string]field{
		"verification_result": into(&v.result, wantVerdict),
		"reason_code":         into(&v.reason, "a string"),
	})
	if err != nil {
		return err
	}
	if err := v.problems(); err != nil {
		return badRequest(err)
	}
	answer, err := a.review(r.PathValue("id"), v)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusAccepted, answer)
}

func (a *AiPrise) review(id string, v verdict) (told, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, err := a.session(id)
	if err != nil {
		return told{}, err
	}
	if s.submitted.IsZero() {
		return told{}, refuse(http.StatusConflict, "This verification session was not submitted yet; complete it first")
	}
	answer, err := a.tell(s, func(faults AiPriseFaults) webhook { return caseEvent(s, v, faults) })
	if err != nil {
		return told{}, err
	}
	s.decision, s.reviewed, s.reason = v.result, true, v.reason
	return answer, nil
}

// sendEvent plays what changes no decision.
func (a *AiPrise) sendEvent(w http.ResponseWriter, r *http.Request) error {
	var event string
	makers := a.eventMakers()
	want := strings.Join([]string{eventAML, eventSection}, ", ") + " or " + eventComment
	if err := readFields(w, r, map[string]field{"event_type": into(&event, want)}); err != nil {
		return err
	}
	maker, known := makers[event]
	if !known {
		return refuse(http.StatusBadRequest, "event_type: must be %s", want)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	s, err := a.session(r.PathValue("id"))
	if err != nil {
		return err
	}
	answer, err := a.tell(s, func(faults AiPriseFaults) webhook { return maker(s, faults) })
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusAccepted, answer)
}

// tell sends one event of a session, with the faults of the run and of the
// session but not of its completion. a.mu is held.
func (a *AiPrise) tell(s *aipriseSession, event func(AiPriseFaults) webhook) (told, error) {
	faults, err := a.faults.withOverrides(s.overrides)
	if err != nil {
		return told{}, badRequest(err)
	}
	hook := event(faults)
	messages, err := a.messages(s, faults, hook)
	if err != nil {
		return told{}, err
	}
	if err := a.sender.send(messages...); err != nil {
		return told{}, unsent(err)
	}
	return told{EventType: typeOf(hook.event, faults), Sent: len(messages) > 0}, nil
}
