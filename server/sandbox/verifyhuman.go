package sandbox

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/verigate/verigate/server/secret"
)

// VerifyHuman plays one VerifyHuman account. It is an http.Handler whose paths
// are relative: whoever mounts it below a prefix strips that prefix. Safe for
// concurrent use.
type VerifyHuman struct {
	options Options
	mux     *http.ServeMux
	pages   *template.Template
	sender  *sender
	flows   map[string]hostedPage
	// release frees what the emulator itself opened.
	release func()

	closeOnce sync.Once
	closing   chan struct{}

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
	if err := o.validate(); err != nil {
		return nil, err
	}
	pages, err := parsePages()
	if err != nil {
		return nil, err
	}
	client, release := webhookClient(o.HTTP)
	v := &VerifyHuman{
		options:  o,
		pages:    pages,
		flows:    make(map[string]hostedPage, len(o.Flows)),
		release:  release,
		closing:  make(chan struct{}),
		faults:   o.Faults,
		sessions: newShelf[*session](o.MaxSessions),
		mobile:   newShelf[mobileSession](o.MaxSessions),
		sender: &sender{
			url: o.WebhookURL, client: client, retry: o.Retry, wait: o.Wait, log: o.Log, report: o.OnDelivery,
		},
	}
	for _, f := range o.Flows {
		v.flows[f.Slug] = hostedPage{
			product: f.Product, redirectURL: f.RedirectURL, failureRedirectURL: f.FailureRedirectURL, title: f.PageTitle,
		}.withTexts()
	}
	v.mux = v.routes()
	v.sender.start()
	return v, nil
}

// webhookClient returns a client that takes a redirect as the answer, as a
// sender of webhooks should, and what frees it. The given client stays as it is.
func webhookClient(given *http.Client) (*http.Client, func()) {
	client := &http.Client{}
	release := func() {}
	if given != nil {
		*client = *given
	} else {
		transport := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}
		client.Transport = transport
		release = transport.CloseIdleConnections
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client, release
}

// Close stops all webhooks, answers whoever hangs in hosted/generate, and waits
// until no goroutine of the emulator is left or ctx ends, whose error it then
// returns. It can be repeated. Requests that come later are refused where they
// would send a webhook.
func (v *VerifyHuman) Close(ctx context.Context) error {
	v.closeOnce.Do(func() { close(v.closing) })
	err := v.sender.close(ctx)
	v.release()
	return err
}

// ServeHTTP implements http.Handler.
func (v *VerifyHuman) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	// There is no form-action: browsers apply it to the redirects that follow a
	// form, and an app's custom scheme behind a return leg cannot be listed.
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "+
		"connect-src 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	// An app may open the page in a window of its own, and wants to hear from it.
	h.Set("Cross-Origin-Opener-Policy", "unsafe-none")
	h.Set("Cache-Control", "no-store")
	v.mux.ServeHTTP(w, r)
}

func (v *VerifyHuman) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /hosted/generate", v.api(v.private(v.generate)))
	mux.HandleFunc("GET /hosted/v/{token}", v.page(v.showSession))
	mux.HandleFunc("POST /hosted/complete/{token}", v.either(v.completeSession))
	mux.HandleFunc("GET /flow/{slug}", v.page(v.showFlow))
	mux.HandleFunc("POST /flow/{slug}/complete", v.either(v.completeFlow))
	for name, contentType := range assetTypes() {
		mux.HandleFunc("GET /assets/"+name, asset(name, contentType))
	}
	mux.HandleFunc("GET /api/mobile/v1/{product}/status/{id}", v.api(v.mobileStatus))

	mux.HandleFunc("POST /test-ping", v.api(v.private(v.sendPing)))
	mux.HandleFunc("GET /control/faults", v.api(v.private(v.showFaults)))
	mux.HandleFunc("PUT /control/faults", v.api(v.private(v.replaceFaults)))
	mux.HandleFunc("PUT /control/sessions/{token}/faults", v.api(v.private(v.overrideFaults)))
	mux.HandleFunc("POST /control/mobile-sessions", v.api(v.private(v.addMobileSession)))
	mux.HandleFunc("PUT /control/mobile-sessions/{product}/{id}", v.api(v.private(v.setMobileSession)))
	return mux
}

// handler is an http.HandlerFunc that returns what went wrong.
type handler func(w http.ResponseWriter, r *http.Request) error

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

// refusalOf keeps errors that were not written for the caller in the log.
func (v *VerifyHuman) refusalOf(err error) *refusal {
	if no, ok := errors.AsType[*refusal](err); ok {
		return no
	}
	v.options.Log.Error("sandbox: request failed", slog.Any("error", err))
	return &refusal{status: http.StatusInternalServerError, message: "Internal error"}
}

// private lets only the API key through. The seed document sends it as a bearer
// token, VerifyHuman's API reference in X-API-Key; both are good.
func (v *VerifyHuman) private(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		bearer := credential(r, "Bearer")
		if !same(bearer, v.options.APIKey) && !same(r.Header.Get("X-Api-Key"), v.options.APIKey) {
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

// same compares in a time that tells nothing about the key, not even its length.
func same(given string, key secret.Value) bool {
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(key.Reveal()))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}
