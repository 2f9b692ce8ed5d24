// Package web is the first page of `verigate dev`: it starts a verification,
// opens the hosted page, and shows the stream and the callbacks live.
//
//	browser                          this package             the gateway
//	GET  /                  ──────▶  the page
//	GET  /demo/flows        ──────▶  what may be started
//	POST /demo/start        ──────▶  adds the API key  ────▶  StartVerification
//	                        ◀──────  hosted URL, client token, run
//	WatchStatus, with the client token  ───────────────────▶  rpc
//	                                 POST /demo/callbacks ◀─  signed callbacks
//	GET  /demo/callbacks    ◀──────  server-sent events
//	GET  /demo/returned     ──────▶  the page: "you are back"
//
// The handler plays the integrator's backend: it holds the API key, which the
// browser never sees, and receives the callbacks. The page plays the
// integrator's app: it holds a client token for one verification and watches it
// with the package @verigate/client. Its sources are in src; `vite build` makes
// dist of them, which is committed and embedded, so that Go alone builds the
// gateway.
//
// It is for development on one machine. Whoever reaches it may start
// verifications, so it answers loopback addresses and its own page only. It
// imports the generated client and nothing of the server.
package web

import (
	"embed"
	"encoding/json"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
)

// dist is what `vite build` made of the page's sources.
//
//go:embed dist
var dist embed.FS

const (
	assetsPath   = "/demo/assets/"
	returnedPath = "/demo/returned"
	jsonType     = "application/json"
	textType     = "text/plain; charset=utf-8"
)

// contentTypes are those of the files that dist holds, by their ending. The
// machine's own tables may differ.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".svg":  "image/svg+xml",
	".md":   "text/markdown; charset=utf-8",
}

// contentPolicy lets the page load its own scripts and styles, talk to its own
// origin, and nothing else.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
	"img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// Flow is one choice on the page.
type Flow struct {
	// Name is the flow's name in the gateway's configuration.
	Name string `json:"name"`
	// Title is what a person reads.
	Title string `json:"title"`
	// Description is one sentence on what the flow asks of the person.
	Description string `json:"description"`
}

// Verifier proves that a callback is the gateway's. The Standard Webhooks
// library's Webhook is one.
type Verifier interface {
	// Verify fails when the headers do not sign exactly this body.
	Verify(body []byte, header http.Header) error
}

// Options is what Handler needs. All fields are required.
type Options struct {
	// Client calls the gateway and already carries an API key.
	Client verigatev1connect.VerificationServiceClient
	// Flows are offered in this order; the first is chosen at first. Others
	// cannot be started from the page.
	Flows []Flow
	// URL is where the gateway reaches this handler, such as
	// http://127.0.0.1:8080: callbacks go there, under whatever name the page was
	// opened.
	URL string
	// Callbacks checks the signatures of callbacks.
	Callbacks Verifier
	// Done is closed when the server begins to stop: pages that listen for
	// callbacks are let go.
	Done <-chan struct{}
	// Now tells the time at which a callback arrived.
	Now func() time.Time
	// Log gets what the page's visitor is not told. It never gets subjects,
	// references, tokens or hosted URLs.
	Log *slog.Logger
}

// demo serves the page, starts verifications for it and hears of them.
type demo struct {
	options Options
	inbox   *inbox
}

// Handler returns the demo: GET / and GET /demo/returned (the page), GET
// /demo/assets/{file} and /demo/licenses.md (what it is made of), GET /demo/flows,
// POST /demo/start, and /demo/callbacks (POST for the gateway, GET for the page).
// Anything else is 404, and any request that does not name a loopback address as
// its host is 421: a name that somebody else's DNS points here must not reach the
// API key.
func Handler(o Options) http.Handler {
	d := &demo{options: o, inbox: newInbox()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", d.showFile("index.html"))
	mux.HandleFunc("GET "+returnedPath, d.showFile("index.html"))
	mux.HandleFunc("GET /demo/licenses.md", d.showFile("licenses.md"))
	mux.HandleFunc("GET "+assetsPath+"{file}", func(w http.ResponseWriter, r *http.Request) {
		d.showFile("assets/"+r.PathValue("file"))(w, r)
	})
	mux.HandleFunc("GET /demo/flows", d.listFlows)
	mux.HandleFunc("POST /demo/start", d.start)
	mux.HandleFunc("POST "+callbacksPath, d.receiveCallback)
	mux.HandleFunc("GET "+callbacksPath, d.tellCallbacks)
	return guarded(mux)
}

// guarded sets the headers that every answer carries and turns away requests
// under a foreign name.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", contentPolicy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cache-Control", "no-store")
		if !isLoopbackHost(r.Host) {
			say(w, http.StatusMisdirectedRequest,
				"The demo page answers on loopback addresses only. Open it as http://localhost or http://127.0.0.1, with the gateway's port.")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isLoopbackHost reports whether a Host header is a loopback address, with or
// without a port, and nothing more: it becomes part of a URL.
func isLoopbackHost(host string) bool {
	u, err := url.Parse("http://" + host)
	if err != nil || u.Host != host || u.User != nil {
		return false
	}
	if strings.EqualFold(u.Hostname(), "localhost") {
		return true
	}
	ip := net.ParseIP(u.Hostname())
	return ip != nil && ip.IsLoopback()
}

// checkSource refuses other origins' pages. Browsers set both headers and pages
// cannot change them; programs without a browser send neither. Another port of
// the same host is another origin.
func checkSource(r *http.Request, text string) *refusal {
	site, origin := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin")
	sameSite := site == "" || site == "same-origin" || site == "none"
	if sameSite && (origin == "" || strings.EqualFold(origin, "http://"+r.Host)) {
		return nil
	}
	return &refusal{http.StatusForbidden, text}
}

// showFile answers with a file of dist; one that is not there is 404.
func (d *demo) showFile(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		kind, known := contentTypes[path.Ext(name)]
		content, err := fs.ReadFile(dist, "dist/"+name)
		if err != nil || !known {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(content)
	}
}

func (d *demo) listFlows(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", jsonType)
	if err := json.NewEncoder(w).Encode(d.options.Flows); err != nil {
		d.options.Log.InfoContext(r.Context(), "the demo page hung up before its flows", "error", err)
	}
}

// say answers with one line of plain text.
func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", textType)
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}
