package sandbox

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// AiPrise plays one AiPrise sandbox account. It is an http.Handler whose paths
// are relative: whoever mounts it below a prefix strips that prefix. Safe for
// concurrent use.
type AiPrise struct {
	*emulator

	lifetime time.Duration

	mu       sync.Mutex
	faults   AiPriseFaults
	sessions *shelf[*aipriseSession]
}

// aipriseSession is one verification session. AiPrise.mu guards what changes
// after it was made.
type aipriseSession struct {
	aipriseRequest

	id      string
	created time.Time
	expires time.Time

	// started: the page was opened.
	started bool
	// submitted is when the person was done; zero before.
	submitted time.Time
	// decision is the verification_result, which polls tell once the workflow
	// had its time.
	decision string
	// reviewed: a reviewer made the decision, with a reason or without.
	reviewed bool
	reason   string

	// overrides and runOverrides are JSON objects of faults, or empty: the
	// session's own, and what its completion came with.
	overrides    []byte
	runOverrides []byte
}

// AiPrise's words for a decision, verification_result, of its OpenAPI document.
const (
	aipriseApproved = "APPROVED"
	aipriseDeclined = "DECLINED"
	aipriseReview   = "REVIEW"
	aipriseUnknown  = "UNKNOWN"
)

// NewAiPrise starts an emulator; Close stops it. The error names every option
// that is wrong.
func NewAiPrise(o AiPriseOptions) (*AiPrise, error) {
	o = o.withDefaults()
	common := o.account().withDefaults()
	if err := o.validate(common); err != nil {
		return nil, err
	}
	e, err := newEmulator(common)
	if err != nil {
		return nil, err
	}
	a := &AiPrise{
		emulator: e,
		lifetime: o.SessionLifetime,
		faults:   o.Faults,
		sessions: newShelf[*aipriseSession](common.maxSessions),
	}
	a.route()
	return a, nil
}

func (a *AiPrise) route() {
	a.mux.HandleFunc("POST /api/v1/verify/get_user_verification_url", a.api(a.private(a.create)))
	a.mux.HandleFunc("GET /api/v1/verify/get_user_verification_result/{id}", a.api(a.private(a.showResult)))
	a.mux.HandleFunc("GET /verify", a.page(a.showSession))
	a.mux.HandleFunc("POST /verify/complete", a.either(a.complete))

	a.mux.HandleFunc("GET /control/faults", a.api(a.private(a.showFaults)))
	a.mux.HandleFunc("PUT /control/faults", a.api(a.private(a.replaceFaults)))
	a.mux.HandleFunc("PUT /control/sessions/{id}/faults", a.api(a.private(a.overrideFaults)))
	a.mux.HandleFunc("POST /control/sessions/{id}/case", a.api(a.private(a.decideCase)))
	a.mux.HandleFunc("POST /control/sessions/{id}/event", a.api(a.private(a.sendEvent)))
}

// aipriseFailure is the body of everything but a 200, as AiPrise's status codes
// page shows it.
type aipriseFailure struct {
	Message string `json:"message"`
}

// api answers errors as JSON.
func (a *AiPrise) api(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			no := a.refusalOf(err)
			// A string always encodes.
			_ = writeJSON(w, no.status, aipriseFailure{Message: no.message})
		}
	}
}

// either answers errors as a page to a form and as JSON to a script.
func (a *AiPrise) either(h handler) http.HandlerFunc {
	return a.api(func(w http.ResponseWriter, r *http.Request) error {
		err := h(w, r)
		if err == nil || mediaType(r) != formType {
			return err
		}
		no := a.refusalOf(err)
		return a.render(w, no.status, "notice", notice{Title: "This did not work", Text: no.message, Root: belowVerify})
	})
}

// private lets only the API key through.
func (a *AiPrise) private(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if !same(r.Header.Get("X-API-KEY"), a.apiKey) {
			return refuse(http.StatusUnauthorized, "Invalid API key")
		}
		return h(w, r)
	}
}

// session returns a session, or the refusal for one that is unknown. a.mu is
// held.
func (a *AiPrise) session(id string) (*aipriseSession, error) {
	s, known := a.sessions.get(id)
	if !known {
		return nil, refuse(http.StatusNotFound, "Unknown verification session")
	}
	return s, nil
}

func (a *AiPrise) expired(s *aipriseSession) bool { return !a.now().Before(s.expires) }

// aipriseRequest is what a session was made with.
type aipriseRequest struct {
	template       string
	redirectURI    string
	callbackURL    string
	eventsURL      string
	reference      *string
	referenceData  json.RawMessage
	userData       json.RawMessage
	additionalInfo json.RawMessage
	person         person
}
