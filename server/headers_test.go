package server_test

import (
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/verification"
)

// protections are the headers that every answer has. The way back says some of
// them itself: it may run in a window that the app opened.
func protections(wayBack bool) map[string]string {
	headers := map[string]string{
		"X-Content-Type-Options":       "nosniff",
		"Referrer-Policy":              "no-referrer",
		"X-Frame-Options":              "DENY",
		"Content-Security-Policy":      "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Permissions-Policy":           "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
	}
	if wayBack {
		headers["Content-Security-Policy"] = "default-src 'none'; frame-ancestors 'none'"
		headers["Cross-Origin-Opener-Policy"] = "unsafe-none"
		headers["Cache-Control"] = "no-store"
	}
	return headers
}

// page is some answer, good or bad.
type page struct {
	name, method, url, body string
	lines                   []string
	status                  int
	wayBack                 bool
}

// pages are an answer of each kind that the ports can give.
func pages(g *gateway, leg string) []page {
	const get, post, isJSON = http.MethodGet, http.MethodPost, "Content-Type: application/json"
	ping := hook("ping", "")
	key := "Authorization: Bearer " + g.key
	list := g.url + service + "ListVerifications"
	all := []page{
		{"the way back", get, g.url + leg, "", nil, http.StatusSeeOther, true},
		{"a preview of it", http.MethodHead, g.url + leg, "", nil, http.StatusNoContent, true},
		{"an unknown way back", get, g.url + "/return/nobodys", "", nil, http.StatusNotFound, true},
		{"a call", post, list, "{}", []string{isJSON, key}, http.StatusOK, false},
		{"a call by nobody", post, list, "{}", []string{isJSON}, http.StatusUnauthorized, false},
		{"a bad call", post, list, `{"page_size":-1}`, []string{isJSON, key}, http.StatusBadRequest, false},
		{"an unknown call", post, g.url + service + "Nothing", "{}", []string{isJSON, key}, http.StatusNotImplemented, false},
		{"a call of another type", post, list, "", []string{"Content-Type: text/html", key}, http.StatusUnsupportedMediaType, false},
		{"a preflight", http.MethodOptions, list, "", []string{"Origin: https://app.example.com", "Access-Control-Request-Method: POST"}, http.StatusNoContent, false},
		{"a webhook", post, g.webhooks + "/webhooks/fake", ping, []string{isJSON, fakeHeader + ": " + fakeSignature([]byte(ping))}, http.StatusOK, false},
		{"a forged webhook", post, g.webhooks + "/webhooks/fake", ping, []string{isJSON}, http.StatusUnauthorized, false},
		{"a webhook for nobody", post, g.webhooks + "/webhooks/nobody", ping, []string{isJSON}, http.StatusNotFound, false},
		{"a look at a webhook", get, g.webhooks + "/webhooks/fake", "", nil, http.StatusMethodNotAllowed, false},
		{"metrics", get, g.operator + "/metrics", "", nil, http.StatusOK, false},
		{"an operator's call by nobody", post, g.operator + "/verigate.v1.OperatorService/ListApiKeys", "{}", []string{isJSON}, http.StatusUnauthorized, false},
	}
	for port, url := range map[string]string{"public": g.url, "webhooks": g.webhooks, "operator": g.operator} {
		all = append(all,
			page{port + " livez", get, url + "/livez", "", nil, http.StatusOK, false},
			page{port + " readyz", get, url + "/readyz", "", nil, http.StatusOK, false},
			page{port + " nothing", get, url + "/nothing", "", nil, http.StatusNotFound, false},
			page{port + " another method", post, url + "/livez", "", nil, http.StatusMethodNotAllowed, false})
	}
	return all
}

func TestEveryAnswerOfEveryPortHasTheSecurityHeaders(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ publicURL, strict string }{
		"behind https": {"https://gateway.test", "max-age=31536000"}, "behind plain http": {"http://gateway.test", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := open(t, func(cfg *config.Config) {
				apart(cfg)
				cfg.PublicURL = c.publicURL
			})
			id := g.start(g.api(g.key)).GetVerification().GetId()
			leg := strings.TrimPrefix(g.provider.startOf(id).ReturnURL, c.publicURL)
			client := newHTTPClient(t, false, "")
			for _, p := range pages(g, leg) {
				a := callAt(t, client, p.method, p.url, p.body, p.lines...)
				if a.status != p.status {
					t.Errorf("%s is answered with %d %s, want %d", p.name, a.status, a.body, p.status)
				}
				for header, want := range protections(p.wayBack) {
					if got := a.header.Values(header); len(got) != 1 || got[0] != want {
						t.Errorf("%s: %s is %q, want %q", p.name, header, got, want)
					}
				}
				if got := a.header.Get("Strict-Transport-Security"); got != c.strict {
					t.Errorf("%s: Strict-Transport-Security is %q, want %q", p.name, got, c.strict)
				}
				if a.header.Get("Server") != "" || a.header.Get("Set-Cookie") != "" {
					t.Errorf("%s tells its server or sets a cookie: %v", p.name, a.header)
				}
			}
		})
	}
}

func TestNoAnswerThatHoldsDataIsCached(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	started := g.start(g.api(g.key))
	for _, path := range []string{
		service + "ListVerifications", service + "GetVerification", "/verigate.v1.OperatorService/ListApiKeys",
	} {
		for _, credential := range []string{g.key, g.newOperatorKey(shopTest()), started.GetClientToken(), "nobody"} {
			a := g.call(http.MethodPost, path, `{"id":"`+started.GetVerification().GetId()+`"}`, "Content-Type: application/json", "Authorization: Bearer "+credential)
			if !strings.Contains(a.header.Get("Cache-Control"), "no-store") {
				t.Errorf("%s: %d with Cache-Control %q", path, a.status, a.header.Get("Cache-Control"))
			}
		}
	}
}

func TestAPanicIsAnsweredWithoutItsTextAndTheNodeLivesOn(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	id := g.start(g.api(g.key)).GetVerification().GetId()
	g.provider.panicWith("marked-panic-value")
	err := send(t.Context(), g.api(g.key), begin(func(*verigatev1.StartVerificationRequest) {}))
	wantError(t, err, connect.CodeInternal, "INTERNAL", false)
	a := g.deliver("fake", hook(verification.Passed, id))
	if a.status != http.StatusInternalServerError || strings.Contains(a.body, "marked") || a.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("the webhook was answered %d %s with %v", a.status, a.body, a.header)
	}
	g.provider.panicWith(nil)
	g.decide(id, verification.Passed)
	if text := g.logs.String(); strings.Contains(text, "marked-panic-value") || !strings.Contains(text, "panic in a handler") {
		t.Error("the log holds the panic's value, or does not tell of it")
	}
}
