package sandbox

import (
	"net/http"
	"time"
)

// The ways from a page to the emulator's root.
const (
	atVerify    = ""
	belowVerify = "../"
)

// aiprisePage is the name of the page's template.
const aiprisePage = "aiprise"

// aipriseView is what the page of a session shows. Root and Action are relative
// to the page, so that no mount prefix matters.
type aipriseView struct {
	Title       string
	Root        string
	Action      string
	SessionID   string
	FirstName   string
	LastName    string
	DateOfBirth string
	Template    string
	Environment string
	// Expires is RFC 3339, ExpiresText for people.
	Expires     string
	ExpiresText string
}

func (a *AiPrise) showSession(w http.ResponseWriter, r *http.Request) error {
	view, no, err := a.openSession(r.URL.Query().Get(sessionQuery), r.Method == http.MethodGet)
	if err != nil {
		return err
	}
	if no != nil {
		return a.render(w, no.status, "notice", notice{Title: no.title, Text: no.text, Root: atVerify})
	}
	return a.render(w, http.StatusOK, aiprisePage, view)
}

// closedPage is why a page cannot be used.
type closedPage struct {
	status int
	title  string
	text   string
}

// openSession returns what the page shows. A person who opens it, and not a
// preview that asks for the headers, starts the session: AiPrise is told so
// once.
func (a *AiPrise) openSession(id string, person bool) (aipriseView, *closedPage, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, known := a.sessions.get(id)
	switch {
	case !known:
		return aipriseView{}, &closedPage{
			http.StatusNotFound, "Page not found", "This link is not known here. Please start again from the app.",
		}, nil
	case !s.submitted.IsZero():
		return aipriseView{}, &closedPage{
			http.StatusGone, "Link already used",
			"This verification was already submitted. Please go back to the app.",
		}, nil
	case a.expired(s):
		return aipriseView{}, &closedPage{
			http.StatusGone, "Link expired", "This link has expired. Please start again from the app.",
		}, nil
	}
	if person && !s.started {
		if err := a.start(s); err != nil {
			return aipriseView{}, nil, err
		}
	}
	return viewOf(s), nil, nil
}

// start notes that the person began, and sends that on. a.mu is held.
func (a *AiPrise) start(s *aipriseSession) error {
	faults, err := a.faults.withOverrides(s.overrides)
	if err != nil {
		return badRequest(err)
	}
	messages, err := a.messages(s, faults, a.plainEvent(s, eventStarted, faults))
	if err != nil {
		return err
	}
	if err := a.sender.send(messages...); err != nil {
		return unsent(err)
	}
	s.started = true
	return nil
}

func viewOf(s *aipriseSession) aipriseView {
	return aipriseView{
		Title: "Identity check", Root: atVerify, Action: "verify/complete", SessionID: s.id,
		FirstName: s.person.firstName, LastName: s.person.lastName, DateOfBirth: s.person.dateOfBirth,
		Template: s.template, Environment: aipriseEnvironment,
		Expires: s.expires.Format(time.RFC3339), ExpiresText: s.expires.Format("2 January 2006, 15:04 UTC"),
	}
}
