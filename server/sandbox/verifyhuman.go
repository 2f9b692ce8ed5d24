package sandbox

import (
	"net/http"
	"strings"
	"sync"
	"time"
)

// VerifyHuman plays one VerifyHuman account. It is an http.Handler whose paths
// are relative: whoever mounts it below a prefix strips that prefix. Safe for
// concurrent use.
type VerifyHuman struct {
	*emulator

	options Options
	flows   map[string]hostedPage

	mu       sync.Mutex
	faults   Faults
	sessions *shelf[*session]
	mobile   *shelf[mobileSession]
}

// hostedPage is what a hosted page was configured with.
type hostedPage struct {
	product            string
	redirectURL        string
	failureRedirectURL string
	title              string
	successMessage     string
	failureMessage     string
}

// session is one token that hosted/generate gave out: single use, one person.
type session struct {
	hostedPage

	token   string
	expires time.Time
	used    bool
	// overrides is a JSON object of faults, or empty.
	overrides []byte
}

// NewVerifyHuman starts an emulator; Close stops it. The error names every
// option that is wrong.
func NewVerifyHuman(o Options) (*VerifyHuman, error) {
	o = o.withDefaults()
	a := o.account().withDefaults()
	if err := o.validate(a); err != nil {
		return nil, err
	}
	e, err := newEmulator(a)
	if err != nil {
		return nil, err
	}
	v := &VerifyHuman{
		emulator: e,
		options:  o,
		flows:    make(map[string]hostedPage, len(o.Flows)),
		faults:   o.Faults,
		sessions: newShelf[*session](a.maxSessions),
		mobile:   newShelf[mobileSession](a.maxSessions),
	}
	for _, f := range o.Flows {
		v.flows[f.Slug] = hostedPage{
			product: f.Product, redirectURL: f.RedirectURL, failureRedirectURL: f.FailureRedirectURL, title: f.PageTitle,
		}.withTexts()
	}
	v.route()
	return v, nil
}

func (v *VerifyHuman) route() {
	mux := v.mux
	mux.HandleFunc("POST /hosted/generate", v.api(v.private(v.generate)))
	mux.HandleFunc("GET /hosted/v/{token}", v.page(v.showSession))
	mux.HandleFunc("POST /hosted/complete/{token}", v.either(v.completeSession))
	mux.HandleFunc("GET /flow/{slug}", v.page(v.showFlow))
	mux.HandleFunc("POST /flow/{slug}/complete", v.either(v.completeFlow))
	mux.HandleFunc("GET /api/mobile/v1/{product}/status/{id}", v.api(v.mobileStatus))

	mux.HandleFunc("POST /test-ping", v.api(v.private(v.sendPing)))
	mux.HandleFunc("GET /control/faults", v.api(v.private(v.showFaults)))
	mux.HandleFunc("PUT /control/faults", v.api(v.private(v.replaceFaults)))
	mux.HandleFunc("PUT /control/sessions/{token}/faults", v.api(v.private(v.overrideFaults)))
	mux.HandleFunc("POST /control/mobile-sessions", v.api(v.private(v.addMobileSession)))
	mux.HandleFunc("PUT /control/mobile-sessions/{product}/{id}", v.api(v.private(v.setMobileSession)))
}

// failure is the body of a refused request. VerifyHuman's troubleshooting page
// shows it for a bad key; that all errors look alike is our choice.
type failure struct {
	Error  string `json:"error"`
	Status string `json:"status"`
}

// api answers errors as JSON.
func (v *VerifyHuman) api(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			no := v.refusalOf(err)
			// Two strings always encode.
			_ = writeJSON(w, no.status, failure{Error: no.message, Status: "ERROR"})
		}
	}
}

// private lets only the API key through. The seed document sends it as a bearer
// token, VerifyHuman's API reference in X-API-Key; both are good.
func (v *VerifyHuman) private(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		bearer := credential(r, "Bearer")
		if !same(bearer, v.apiKey) && !same(r.Header.Get("X-Api-Key"), v.apiKey) {
			return refuse(http.StatusUnauthorized, "Invalid API key")
		}
		return h(w, r)
	}
}

// credential returns the Authorization header's credential if it has the scheme.
func credential(r *http.Request, scheme string) string {
	name, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(name, scheme) {
		return ""
	}
	return strings.TrimSpace(value)
}
