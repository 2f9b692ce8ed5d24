package server_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/verigate/verigate/server"
	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/pgdev/pgtest"
)

// preflight asks whether a page of an origin may call.
func preflight(g *gateway, origin string) answer {
	g.t.Helper()
	return g.call(http.MethodOptions, service+"WatchStatus", "", "Origin: "+origin,
		"Access-Control-Request-Method: POST",
		"Access-Control-Request-Headers: authorization,connect-protocol-version,content-type,x-request-id")
}

func TestAConfiguredOriginMayCall(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	a := preflight(g, "https://app.example.com")
	if a.header.Get("Access-Control-Allow-Origin") != "https://app.example.com" {
		t.Errorf("the preflight was answered %d with %v", a.status, a.header)
	}
	allowed := strings.ToLower(a.header.Get("Access-Control-Allow-Headers"))
	for _, name := range []string{"authorization", "connect-protocol-version", "content-type", "x-request-id"} {
		if !strings.Contains(allowed, name) {
			t.Errorf("the header %s is not allowed by %q", name, allowed)
		}
	}
	a = g.call(http.MethodPost, service+"ListVerifications", "{}", "Origin: https://app.example.com",
		"Content-Type: application/json", "Authorization: Bearer "+g.key)
	exposed := strings.ToLower(a.header.Get("Access-Control-Expose-Headers"))
	if a.status != http.StatusOK || a.header.Get("Access-Control-Allow-Origin") != "https://app.example.com" ||
		!strings.Contains(exposed, "grpc-status") || !strings.Contains(exposed, "x-request-id") {
		t.Errorf("the call was answered %d with %v", a.status, a.header)
	}
	if a.header.Get("Access-Control-Allow-Credentials") != "" {
		t.Error("cookies of the page are let in")
	}
	if allowed := a.header.Get("Timing-Allow-Origin"); allowed != "https://app.example.com" {
		t.Errorf("Timing-Allow-Origin is %q: the page cannot see which HTTP version it got", allowed)
	}
}

// wantNoOrigin fails if a browser page of the origin may call.
func wantNoOrigin(t *testing.T, g *gateway, origin string) {
	t.Helper()
	for _, a := range []answer{preflight(g, origin), g.call(http.MethodPost, service+"ListVerifications", "{}", "Origin: "+origin,
		"Content-Type: application/json", "Authorization: Bearer "+g.key)} {
		for name := range a.header {
			if strings.HasPrefix(name, "Access-Control-") || name == "Timing-Allow-Origin" {
				t.Errorf("%s was told %s: %q", origin, name, a.header.Values(name))
			}
		}
	}
}

func TestNoOtherOriginMayCallAndEachRefusalIsCounted(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	for _, origin := range []string{
		"https://evil.test", "http://app.example.com", "https://app.example.com.evil.test", "https://app.example.com:8443",
		"null", "http://localhost:3000", "http://127.0.0.1", "https://APP.example.com.", "*", "https://*.example.com",
	} {
		before := g.metric("verigate_origins_refused_total")
		wantNoOrigin(t, g, origin)
		if n := g.metric("verigate_origins_refused_total") - before; n < 2 {
			t.Errorf("%s was refused twice and counted %v times", origin, n)
		}
	}
}

func TestWithoutConfiguredOriginsNoPageMayCall(t *testing.T) {
	t.Parallel()
	g := open(t, func(c *config.Config) { c.Origins = nil })
	for _, origin := range []string{"https://app.example.com", "null", "http://localhost", g.url} {
		wantNoOrigin(t, g, origin)
	}
}

func TestPagesOfThisMachineMayCallInDevelopmentOnly(t *testing.T) {
	t.Parallel()
	g := openWith(t, pgtest.New(t), nil, func(o *server.Options) { o.Development = true })
	for _, origin := range []string{"http://localhost:5173", "http://127.0.0.1:3000", "http://[::1]:3000"} {
		if got := preflight(g, origin).header.Get("Access-Control-Allow-Origin"); got != origin {
			t.Errorf("%s was told %q", origin, got)
		}
	}
	for _, origin := range []string{"http://localhost.evil.test", "https://evil.test", "http://127.0.0.1.evil.test", "http://evil.test#localhost"} {
		wantNoOrigin(t, g, origin)
	}
}

func TestNoPageMayCallTheOperatorsOrTheProvidersPort(t *testing.T) {
	t.Parallel()
	g := open(t, apart)
	for _, url := range []string{g.operator + "/verigate.v1.OperatorService/ListApiKeys", g.operator + "/metrics", g.webhooks + "/webhooks/fake"} {
		for _, method := range []string{http.MethodOptions, http.MethodPost} {
			a := callAt(t, newHTTPClient(t, false, ""), method, url, "", "Origin: https://app.example.com", "Access-Control-Request-Method: POST")
			if allowed := a.header.Get("Access-Control-Allow-Origin"); allowed != "" {
				t.Errorf("%s %s tells the page %q", method, url, allowed)
			}
		}
	}
}
