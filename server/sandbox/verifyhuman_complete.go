package sandbox

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// completed is the answer of hosted/complete. The seed document says that it
// carries the redirect URL and nothing about the form, so the names of both
// fields and the values of status are our choice.
type completed struct {
	Status      string `json:"status"`
	RedirectURL string `json:"redirect_url,omitempty"`
}

// The statuses of an answer; the first two are a webhook's too.
const (
	statusPass      = "PASS"
	statusFail      = "FAIL"
	statusDenied    = "DENIED"
	statusAbandoned = "ABANDONED"
)

// answerOf says what the page is told. The redirects are the seed document's
// table: pass goes to redirect_url, fail and deny to failure_redirect_url, and
// where none is configured the person stays.
func (p hostedPage) answerOf(o Outcome) (completed, bool) {
	switch o {
	case Pass:
		return completed{Status: statusPass, RedirectURL: p.redirectURL}, true
	case Fail:
		return completed{Status: statusFail, RedirectURL: p.failureRedirectURL}, true
	case Deny:
		return completed{Status: statusDenied, RedirectURL: p.failureRedirectURL}, true
	case Abandon:
		return completed{Status: statusAbandoned}, true
	case Undecided:
		return completed{}, false
	default:
		return completed{}, false
	}
}

// messageOf is what a page without a redirect shows.
func (p hostedPage) messageOf(status string) string {
	switch status {
	case statusPass:
		return p.successMessage
	case statusAbandoned:
		return "You left without finishing. You can open this page again."
	default:
		return p.failureMessage
	}
}

// choice is what a page posts.
type choice struct {
	outcome Outcome
	// overrides is a JSON object of faults for this run, or empty.
	overrides json.RawMessage
}

// readChoice reads the page's JSON, or the form that a browser without
// JavaScript sends.
func readChoice(w http.ResponseWriter, r *http.Request) (choice, error) {
	var c choice
	if mediaType(r) == formType {
		body, err := readBody(w, r, formType)
		if err != nil {
			return choice{}, err
		}
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return choice{}, refuse(http.StatusBadRequest, "body: must be a form")
		}
		c.outcome = Outcome(form.Get(outcomeField))
		return c, nil
	}
	body, err := readBody(w, r, jsonType)
	if err != nil {
		return choice{}, err
	}
	err = decodeObject(body, "", map[string]field{
		outcomeField: into(&c.outcome, "a string"),
		"faults":     into(&c.overrides, "an object"),
	})
	if err != nil {
		return choice{}, badRequest(err)
	}
	return c, nil
}

func (v *VerifyHuman) completeSession(w http.ResponseWriter, r *http.Request) error {
	c, err := readChoice(w, r)
	if err != nil {
		return err
	}
	v.mu.Lock()
	page, answer, err := v.finishSession(r.PathValue("token"), c)
	v.mu.Unlock()
	if err != nil {
		return err
	}
	return v.answer(w, r, page, answer)
}

// finishSession ends a session's run. v.mu is held, so that a token is used
// once however many ask.
func (v *VerifyHuman) finishSession(token string, c choice) (hostedPage, completed, error) {
	s, known := v.sessions.get(token)
	if !known {
		return hostedPage{}, completed{}, refuse(http.StatusNotFound, "Unknown token")
	}
	if s.used {
		return hostedPage{}, completed{}, refuse(http.StatusConflict, "This token was already used")
	}
	if v.expired(s) {
		return hostedPage{}, completed{}, refuse(http.StatusGone, "This token has expired")
	}
	faults, err := v.faults.withOverride(s.overrides)
	if err != nil {
		return hostedPage{}, completed{}, badRequest(err)
	}
	answer, err := v.finish(s.hostedPage, token, c, faults)
	if err != nil {
		return hostedPage{}, completed{}, err
	}
	s.used = c.outcome != Abandon
	return s.hostedPage, answer, nil
}

func (v *VerifyHuman) completeFlow(w http.ResponseWriter, r *http.Request) error {
	page, known := v.flows[r.PathValue("slug")]
	if !known {
		return refuse(http.StatusNotFound, "Unknown flow")
	}
	c, err := readChoice(w, r)
	if err != nil {
		return err
	}
	v.mu.Lock()
	answer, err := v.finish(page, "", c, v.faults)
	v.mu.Unlock()
	if err != nil {
		return err
	}
	return v.answer(w, r, page, answer)
}

// finish ends one run of a page: a new verification, its webhook on the way.
// v.mu is held.
func (v *VerifyHuman) finish(page hostedPage, token string, c choice, faults Faults) (completed, error) {
	answer, known := page.answerOf(c.outcome)
	if !known {
		return completed{}, refuse(http.StatusBadRequest, "outcome: must be pass, fail, deny or abandon")
	}
	faults, err := faults.withOverride(c.overrides)
	if err != nil {
		return completed{}, badRequest(err)
	}
	if c.outcome == Abandon {
		return answer, nil
	}
	suffix := strings.ToLower(rand.Text())
	run := report{verificationID: "ver_" + suffix, token: token, product: page.product, outcome: c.outcome}
	m, err := v.completedMessage(run, faults)
	if err != nil {
		return completed{}, err
	}
	if err := v.sender.send(m); err != nil {
		return completed{}, unsent(err)
	}
	v.rememberRun(page.product, suffix, c.outcome)
	return answer, nil
}

func (v *VerifyHuman) expired(s *session) bool { return !v.now().Before(s.expires) }

// answer tells the page's script where to go, or sends the browser there.
func (v *VerifyHuman) answer(w http.ResponseWriter, r *http.Request, page hostedPage, done completed) error {
	if mediaType(r) != formType {
		return writeJSON(w, http.StatusOK, done)
	}
	if done.RedirectURL != "" {
		w.Header().Set("Location", done.RedirectURL)
		w.WriteHeader(http.StatusSeeOther)
		return nil
	}
	return v.writeNotice(w, r, http.StatusOK, notice{Title: page.title, Text: page.messageOf(done.Status)})
}
