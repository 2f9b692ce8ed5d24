package server_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/verification"
)

// lines returns the log lines with a message.
func (l *logs) lines(t *testing.T, message string) []map[string]any {
	t.Helper()
	var found []map[string]any
	for text := range strings.Lines(l.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("a line is not JSON: %s", text)
		}
		if line["msg"] == message {
			found = append(found, line)
		}
	}
	return found
}

func TestEveryCallIsOneLineWithItsRequestAndVerification(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	started := g.start(g.api(g.key))
	id := started.GetVerification().GetId()
	api := g.api(started.GetClientToken())
	for _, request := range walk(started.GetVerification()) {
		// What a token may not do is a call too.
		_ = send(t.Context(), api, request)
	}
	g.decide(id, verification.Passed)
	const calls = 6
	eventually(t, "every call is logged", func() bool { return len(g.logs.lines(t, "call")) == calls })
	seen := map[string]bool{}
	for _, line := range g.logs.lines(t, "call") {
		request, _ := line["request_id"].(string)
		if request == "" || seen[request] {
			t.Errorf("the request id is missing or repeated: %v", line)
		}
		seen[request] = true
		procedure, _ := line["procedure"].(string)
		if line["code"] == "ok" && line["verification_id"] != id {
			t.Errorf("%s: the verification is missing: %v", procedure, line)
		}
	}
	settled := g.logs.lines(t, "delivery settled")
	if len(settled) != 1 || settled[0]["verification_id"] != id || settled[0]["request_id"] == nil {
		t.Errorf("the delivery was logged as %v", settled)
	}
}

func TestNothingPersonalAndNoSecretIsEverLogged(t *testing.T) {
	t.Parallel()
	line := newCable(t, pgtest.New(t))
	g := openOn(t, line.dsn, nil)
	api := g.api(g.key)
	request := &verigatev1.StartVerificationRequest{
		Flow: "identity", Subject: "marked-subject", Reference: "marked-reference", IdempotencyKey: "marked-idempotency",
		RedirectUrl: "myapp://marked-redirect", PageTitle: "marked-title", Metadata: map[string]string{"marked-key": "marked-value"},
	}
	started, err := api.StartVerification(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	v := started.GetVerification()
	request.Subject = "marked-other"
	_ = send(t.Context(), api, request)
	request.RedirectUrl = "https://marked.evil.test"
	request.IdempotencyKey = ""
	_ = send(t.Context(), api, request)
	_ = send(t.Context(), api, &verigatev1.GetVerificationRequest{Reference: "marked-reference"})
	_ = send(t.Context(), api, &verigatev1.ListVerificationsRequest{Subject: "marked-subject", PageToken: "marked-page-token"})
	_ = send(t.Context(), g.api("marked-credential"), &verigatev1.ListVerificationsRequest{})
	_ = send(t.Context(), g.api("vg_test_0011223344556677_marked-guess"), &verigatev1.ListVerificationsRequest{})
	_ = send(t.Context(), g.api(started.GetClientToken()), &verigatev1.WatchStatusRequest{Id: v.GetId()})
	leg := strings.TrimPrefix(g.provider.startOf(v.GetId()).ReturnURL, g.url)
	g.call(http.MethodGet, leg+"?name=marked-query", "")
	g.call(http.MethodGet, "/return/marked-nonce", "")
	named, err := json.Marshal(fakeHook{ID: "1", Kind: "passed", For: v.GetId(), Name: "marked-name"})
	if err != nil {
		t.Fatal(err)
	}
	g.deliver("fake", string(named))
	g.deliver("fake", `{"marked-unreadable":`)
	g.call(http.MethodPost, "/webhooks/fake", `{"name":"marked-unsigned"}`, "Content-Type: application/json", fakeHeader+": marked-signature")
	_ = send(t.Context(), api, &verigatev1.CancelVerificationRequest{Id: v.GetId(), Reason: "marked-reason"})
	line.cut()
	g.deliver("fake", hook(verification.Passed, v.GetId()))
	_ = send(t.Context(), api, &verigatev1.GetVerificationRequest{Reference: "marked-reference"})
	g.call(http.MethodGet, leg, "")
	line.mend()
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	text := g.logs.String()
	if !strings.Contains(text, v.GetId()) {
		t.Fatal("the log says nothing of the run, so it proves nothing")
	}
	nonce := strings.TrimPrefix(leg, "/return/")
	keyParts := strings.SplitN(g.key, "_", 4)
	for _, secret := range []string{"marked", nonce, started.GetClientToken(), keyParts[3], fakeSecret, tokenSecret, "postgres://"} {
		if at := strings.Index(text, secret); at >= 0 {
			t.Errorf("the log holds %q: …%s…", secret, text[max(0, at-200):min(len(text), at+100)])
		}
	}
}
