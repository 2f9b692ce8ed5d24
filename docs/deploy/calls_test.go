package deploy_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/durationpb"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

// calls starts, reads and is refused, over one wire.
func calls(t *testing.T, s *site, w wire) {
	t.Helper()
	api := s.api(t, w, s.key)
	id := start(t, api, "open")
	got, err := api.GetVerification(t.Context(), &verigatev1.GetVerificationRequest{Id: id})
	if err != nil || got.GetVerification().GetId() != id {
		t.Errorf("GetVerification: %v, %v", got, err)
	}
	_, err = api.StartVerification(t.Context(), &verigatev1.StartVerificationRequest{Flow: "nothing", Subject: "s"})
	if connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("a flow that does not exist: %v", err)
	}
}

// longPoll waits as long as a caller may, 60 s shrunk, for nothing.
func longPoll(t *testing.T, s *site) {
	t.Helper()
	const wait = time.Minute / shrink
	tests := map[string]func(t *testing.T){}
	for _, w := range wires() {
		tests[w.name] = func(t *testing.T) {
			api := s.api(t, w, s.key)
			r := &verigatev1.GetVerificationRequest{Id: start(t, api, "open")}
			before, err := api.GetVerification(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			r.AfterVersion, r.Wait = before.GetVerification().GetVersion(), durationpb.New(wait)
			began := time.Now()
			after, err := api.GetVerification(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took < wait || after.GetVerification().GetVersion() != r.GetAfterVersion() {
				t.Errorf("answered %v after %s, want the same after %s", after, took, wait)
			}
		}
	}
	together(t, tests)
}

// preflight is what a browser sends before a call from another origin.
func preflight(t *testing.T, s *site) {
	t.Helper()
	for _, version := range []int{http1, http2} {
		for origin, allowed := range map[string]string{"https://app.example.com": "https://app.example.com", "https://evil.example.com": ""} {
			a := s.send(t, version, http.MethodOptions, callersHost, "/verigate.v1.VerificationService/WatchStatus", "",
				"Origin: "+origin, "Access-Control-Request-Method: POST",
				"Access-Control-Request-Headers: authorization,connect-protocol-version,content-type")
			if got := a.header.Get("Access-Control-Allow-Origin"); a.status != http.StatusNoContent || got != allowed {
				t.Errorf("HTTP %d from %s: %d, allowed %q", version, origin, a.status, got)
			}
		}
	}
}

// webhooks sends one whose signature covers bytes that nobody would write twice
// the same way: spaces, a line break, an escape, a letter outside ASCII. The
// verification that it decides says that it arrived.
func webhooks(t *testing.T, s *site) {
	t.Helper()
	const path = "/webhooks/hooked"
	id := start(t, s.direct(t), "hooked")
	watched, err := watch(t, s.direct(t), id)
	if err != nil {
		t.Fatal(err)
	}
	body := "{ \"event\" : \"verification.completed\",\r\n\t\"verification_id\":\"vh_1\" , \"status\":\"PASS\"," +
		"\"product\":\"verifyhuman\", \"environment\":\"live\", \"note\":\"\\u00e9 é  \" }  \n"
	signature := "X-VerifyHuman-Signature: sha256=" + signed(body)
	for name, c := range map[string]struct {
		body   string
		status int
	}{
		"rewritten":          {strings.Join(strings.Fields(body), ""), http.StatusUnauthorized},
		"as large as it may": {body + strings.Repeat(" ", 1<<20-len(body)), http.StatusUnauthorized},
		"too large":          {body + strings.Repeat(" ", 1<<20), http.StatusRequestEntityTooLarge},
	} {
		if a := s.send(t, http1, http.MethodPost, providersHost, path, c.body, "Content-Type: application/json", signature); a.status != c.status {
			t.Errorf("%s: %d %s, want %d", name, a.status, a.body, c.status)
		}
	}
	a := s.send(t, http1, http.MethodPost, providersHost, path, body, "Content-Type: application/json", signature)
	if a.status != http.StatusOK {
		t.Fatalf("the webhook was answered %d %s\n%s", a.status, a.body, s.node.output)
	}
	if err := watched.ends(); err != nil {
		t.Error(err)
	}
}

func signed(body string) string {
	mac := hmac.New(sha256.New, []byte(webhookSecret))
	_, _ = mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

// routes asks each name for what is on the other ports.
func routes(t *testing.T, s *site) {
	t.Helper()
	for _, version := range []int{http1, http2} {
		for _, c := range []struct {
			host, path string
			status     int
		}{
			{callersHost, "/readyz", http.StatusOK},
			{callersHost, "/webhooks/hooked", http.StatusNotFound},
			{callersHost, "/metrics", http.StatusNotFound},
			{callersHost, "/verigate.v1.OperatorService/ListApiKeys", http.StatusNotFound},
			{providersHost, "/webhooks/hooked", http.StatusMethodNotAllowed},
			{providersHost, "/metrics", http.StatusNotFound},
			{providersHost, "/readyz", http.StatusNotFound},
			{providersHost, "/verigate.v1.VerificationService/GetVerification", http.StatusNotFound},
		} {
			if a := s.send(t, version, http.MethodGet, c.host, c.path, ""); a.status != c.status {
				t.Errorf("HTTP %d: GET %s%s: %d %s, want %d", version, c.host, c.path, a.status, a.body, c.status)
			}
		}
	}
}

// callersAddress is refused over every wire and looks up in the gateway's log
// where it came from.
func callersAddress(t *testing.T, s *site) error {
	t.Helper()
	for _, w := range wires() {
		_, err := s.api(t, w, "nobody's").GetVerification(t.Context(), &verigatev1.GetVerificationRequest{Reference: "x"})
		if connect.CodeOf(err) != connect.CodeUnauthenticated {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	await(t, s.node, func() error {
		if n := len(refusals(s)); n < len(wires()) {
			return fmt.Errorf("the log has %d refusals", n)
		}
		return nil
	})
	for _, line := range refusals(s) {
		if !strings.Contains(line, `"address":"`+callerAddress+`"`) {
			return fmt.Errorf("not from %s: %s", callerAddress, line)
		}
	}
	return nil
}

func refusals(s *site) []string {
	var found []string
	for line := range strings.Lines(s.node.output.String()) {
		if strings.Contains(line, `"msg":"credential refused"`) {
			found = append(found, line)
		}
	}
	return found
}
