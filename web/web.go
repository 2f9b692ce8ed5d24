// Package web is the first page of `verigate dev`: it starts a verification,
// opens the hosted page and shows the stream live.
//
//	browser                          this package             the gateway
//	GET  /                  ──────▶  the page
//	POST /demo/start        ──────▶  adds the API key  ────▶  StartVerification
//	                        ◀──────  hosted URL, client token
//	WatchStatus, with the client token  ───────────────────▶  rpc
//	GET  /demo/returned     ──────▶  "you are back"
//
// The handler plays the integrator's backend: it holds the API key, and the
// browser never sees it. The page plays the integrator's app: it holds a client
// token for one verification and speaks the Connect protocol by itself, without
// a library or a build step.
//
// It is for development on one machine. Whoever reaches it may start
// verifications, so it answers loopback addresses and its own page only. It
// imports the generated client and nothing of the server.
package web

import (
	"bytes"
	"embed"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
)

// files are the pages and what they load.
//
//go:embed index.html returned.html style.css icon.svg app.js view.js words.js curl.js stream.js envelope.js returned.js
var files embed.FS

const (
	returnedPath = "/demo/returned"
	htmlType     = "text/html; charset=utf-8"
	textType     = "text/plain; charset=utf-8"
	scriptType   = "text/javascript; charset=utf-8"
	styleType    = "text/css; charset=utf-8"
	iconType     = "image/svg+xml"
)

// contentPolicy lets the page load its own scripts and styles, talk to its own
// origin, and nothing else.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
	"img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// Flow is one choice on the page.
type Flow struct {
	// Name is the flow's name in the gateway's configuration.
	Name string
	// Title is what a person reads.
	Title string
	// Description is one sentence on what the flow asks of the person.
	Description string
}

// Options is what Handler needs. All fields are required.
type Options struct {
	// Client calls the gateway and already carries an API key.
	Client verigatev1connect.VerificationServiceClient
	// Flows are offered in this order; the first is chosen at first. Others
	// cannot be started from the page.
	Flows []Flow
	// Log gets what the page's visitor is not told. It never gets subjects,
	// references, tokens or hosted URLs.
	Log *slog.Logger
}

// demo serves the page and starts verifications for it.
type demo struct {
	options Options
	page    *template.Template
}

// Handler returns the demo: GET / and GET /demo/returned (the pages), GET
// /demo/{asset} (what they load) and POST /demo/start. Anything else is 404, and
// any request that does not name a loopback address as its host is 421: a name
// that somebody else's DNS points here must not reach the API key.
func Handler(o Options) http.Handler {
	d := &demo{options: o, page: template.Must(template.ParseFS(files, "index.html"))}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", d.showPage)
	mux.HandleFunc("GET "+returnedPath, d.showFile("returned.html", htmlType))
	mux.HandleFunc("GET /demo/style.css", d.showFile("style.css", styleType))
	mux.HandleFunc("GET /demo/icon.svg", d.showFile("icon.svg", iconType))
	for _, script := range []string{"app.js", "view.js", "words.js", "curl.js", "stream.js", "envelope.js", "returned.js"} {
		mux.HandleFunc("GET /demo/"+script, d.showFile(script, scriptType))
	}
	mux.HandleFunc("POST /demo/start", d.start)
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

func (d *demo) showPage(w http.ResponseWriter, r *http.Request) {
	var page bytes.Buffer
	if err := d.page.Execute(&page, d.options.Flows); err != nil {
		d.options.Log.ErrorContext(r.Context(), "could not render the demo page", "error", err)
		say(w, http.StatusInternalServerError, "The page could not be made; the gateway's log says why.")
		return
	}
	w.Header().Set("Content-Type", htmlType)
	_, _ = page.WriteTo(w)
}

func (d *demo) showFile(name, contentType string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		content, err := files.ReadFile(name)
		if err != nil {
			d.options.Log.ErrorContext(r.Context(), "could not read an asset of the demo page", "asset", name, "error", err)
			say(w, http.StatusInternalServerError, "The file could not be read; the gateway's log says why.")
			return
		}
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write(content)
	}
}

// say answers with one line of plain text.
func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", textType)
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}
