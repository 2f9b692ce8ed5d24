package server_test

import (
	"net/http"
	"strings"
	"testing"
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
}

func TestNoOtherOriginMayCall(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	for _, origin := range []string{
		"https://evil.test", "http://app.example.com", "https://app.example.com.evil.test", "https://app.example.com:8443",
		"null", "http://localhost:3000", "http://127.0.0.1", "https://APP.example.com.",
	} {
		for _, a := range []answer{preflight(g, origin), g.call(http.MethodPost, service+"ListVerifications", "{}", "Origin: "+origin,
			"Content-Type: application/json", "Authorization: Bearer "+g.key)} {
			if allowed := a.header.Get("Access-Control-Allow-Origin"); allowed != "" {
				t.Errorf("%s was told %q", origin, allowed)
			}
		}
	}
}
