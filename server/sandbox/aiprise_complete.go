package sandbox

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// submission is what the hosted page posts.
type submission struct {
	sessionID string
	// outcome is empty where the person's data decide.
	outcome Outcome
	// What the person entered beats what the session was made with; nil where
	// nothing was entered.
	firstName   *string
	lastName    *string
	dateOfBirth *string
	// overrides is a JSON object of faults for this run, or empty.
	overrides json.RawMessage
}

// over returns the person with what was entered.
func (g submission) over(p person) person {
	for target, entered := range map[*string]*string{
		&p.firstName: g.firstName, &p.lastName: g.lastName, &p.dateOfBirth: g.dateOfBirth,
	} {
		if entered != nil {
			*target = strings.TrimSpace(*entered)
		}
	}
	return p
}

// complete ends the hosted page's run. Where AiPrise's own page posts to, and
// what, is not documented; the route, its fields and its answer are our choice.
func (a *AiPrise) complete(w http.ResponseWriter, r *http.Request) error {
	given, err := readSubmission(w, r)
	if err != nil {
		return err
	}
	a.mu.Lock()
	done, err := a.finish(given)
	a.mu.Unlock()
	if err != nil {
		return err
	}
	if mediaType(r) != formType {
		return writeJSON(w, http.StatusOK, done)
	}
	if done.RedirectURL != "" {
		w.Header().Set("Location", done.RedirectURL)
		w.WriteHeader(http.StatusSeeOther)
		return nil
	}
	return a.render(w, http.StatusOK, "notice", notice{
		Title: "Not finished", Text: "You left without finishing. You can open this page again.", Root: belowVerify,
	})
}

// finish ends a session's run: its decision is made and its webhooks are on
// their way. a.mu is held, so that a session is submitted once however many
// try.
func (a *AiPrise) finish(given submission) (completed, error) {
	s, err := a.session(given.sessionID)
	if err != nil {
		return completed{}, err
	}
	if !s.submitted.IsZero() {
		return completed{}, refuse(http.StatusConflict, "This verification session was already submitted")
	}
	if a.expired(s) {
		return completed{}, refuse(http.StatusGone, "This verification session has expired")
	}
	faults, err := a.faults.withOverrides(s.overrides, given.overrides)
	if err != nil {
		return completed{}, badRequest(err)
	}
	decision, err := decide(s.person, given)
	if err != nil {
		return completed{}, badRequest(err)
	}
	if decision == "" {
		return completed{Status: statusAbandoned}, nil
	}
	// The webhooks tell of the session as it is after the submission.
	after := *s
	after.submitted, after.decision, after.runOverrides = a.now(), decision, given.overrides
	messages, err := a.finalMessages(&after, faults)
	if err != nil {
		return completed{}, err
	}
	if err := a.sender.send(messages...); err != nil {
		return completed{}, unsent(err)
	}
	*s = after
	return completed{Status: decision, RedirectURL: withSession(s.redirectURI, s.id)}, nil
}

// decide returns the verification_result, which is empty if the person left.
func decide(p person, given submission) (string, error) {
	switch given.outcome {
	case "":
		return given.over(p).decision(), nil
	case Pass:
		return aipriseApproved, nil
	case Fail:
		return aipriseDeclined, nil
	case Review:
		return aipriseReview, nil
	case Abandon:
		return "", nil
	case Deny, Undecided:
	}
	return "", errors.New("outcome: must be pass, fail, review or abandon, or absent to let the person's data decide")
}

// withSession appends the session id to the redirect, as AiPrise's guide says.
func withSession(redirect, id string) string {
	u, err := url.Parse(redirect)
	if err != nil {
		return redirect
	}
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += sessionQuery + "=" + url.QueryEscape(id)
	return u.String()
}

// readSubmission reads JSON, or the form that the page is.
func readSubmission(w http.ResponseWriter, r *http.Request) (submission, error) {
	if mediaType(r) == formType {
		return readSubmittedForm(w, r)
	}
	body, err := readBody(w, r, jsonType)
	if err != nil {
		return submission{}, err
	}
	const text = "a string"
	var given submission
	err = decodeObject(body, "", map[string]field{
		sessionQuery:    into(&given.sessionID, text),
		outcomeField:    into(&given.outcome, text),
		"first_name":    into(&given.firstName, text),
		"last_name":     into(&given.lastName, text),
		"date_of_birth": into(&given.dateOfBirth, text),
		"faults":        into(&given.overrides, "an object"),
	})
	if err != nil {
		return submission{}, badRequest(err)
	}
	return given, nil
}

func readSubmittedForm(w http.ResponseWriter, r *http.Request) (submission, error) {
	body, err := readBody(w, r, formType)
	if err != nil {
		return submission{}, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return submission{}, refuse(http.StatusBadRequest, "body: must be a form")
	}
	entered := func(name string) *string {
		if !form.Has(name) {
			return nil
		}
		return new(form.Get(name))
	}
	return submission{
		sessionID: form.Get(sessionQuery), outcome: Outcome(form.Get(outcomeField)),
		firstName: entered("first_name"), lastName: entered("last_name"), dateOfBirth: entered("date_of_birth"),
	}, nil
}
