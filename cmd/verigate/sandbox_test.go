package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/sandbox"
	"github.com/verigate/verigate/server/secret"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

const sandboxKey = "vhk_test_key"

// withSandbox mounts the real sandbox, a return leg and a receiver of webhooks
// on the bench's server.
func (b *bench) withSandbox() (hooks chan []byte) {
	b.t.Helper()
	const mount = "/sandbox/verifyhuman"
	hooks = make(chan []byte, 16)
	emulator, err := sandbox.NewVerifyHuman(sandbox.Options{
		BaseURL: b.url + mount, APIKey: secret.New(sandboxKey),
		WebhookURL: b.url + "/webhooks/verifyhuman-sandbox", WebhookSecret: secret.New("whsec_sandbox_verifyhuman"),
		Flows: []sandbox.Flow{{Slug: "age-gate", Product: "verifyage", RedirectURL: "myapp://adult"}},
		Now:   testTime, WebhookDelay: -1,
		Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		if err := emulator.Close(context.WithoutCancel(b.t.Context())); err != nil {
			b.t.Errorf("Close: %v", err)
		}
	})
	b.mux.Handle(mount+"/", http.StripPrefix(mount, emulator))
	b.mux.HandleFunc("POST /webhooks/verifyhuman-sandbox", func(_ http.ResponseWriter, r *http.Request) {
		var body json.RawMessage
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			b.t.Errorf("webhook: %v", err)
		}
		hooks <- body
	})
	b.mux.HandleFunc("GET /return/good", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			b.t.Error("the return leg got the credential")
		}
		http.Redirect(w, r, "myapp://verify-complete?x=1&y=2", http.StatusSeeOther)
	})
	b.mux.HandleFunc("GET /return/stay", func(http.ResponseWriter, *http.Request) {})
	return hooks
}

// hosted makes a hosted page and lets get show it.
func (b *bench) hosted(redirect string) {
	b.t.Helper()
	request, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.url+"/sandbox/verifyhuman/hosted/generate",
		strings.NewReader(`{"product":"verifyidentity","redirect_url":"`+redirect+`"}`))
	if err != nil {
		b.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+sandboxKey)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var made struct {
		HostedURL string `json:"hosted_url"`
	}
	if err := json.NewDecoder(response.Body).Decode(&made); err != nil || made.HostedURL == "" {
		b.t.Fatalf("generate: %d %v", response.StatusCode, err)
	}
	b.shows(made.HostedURL)
}

// shows lets get answer with a hosted page.
func (b *bench) shows(hosted string) {
	b.service.get = func(*verigatev1.GetVerificationRequest) (*verigatev1.Verification, error) {
		v := pendingVerification()
		v.HostedUrl = hosted
		return v, nil
	}
}

func TestSandboxCompletePlaysThePerson(t *testing.T) {
	t.Parallel()

	t.Run("and comes back through the gateway", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		hooks := b.withSandbox()
		b.hosted(b.url + "/return/good")
		code := b.run("sandbox", "complete", testID, "--outcome", "pass", "--fault", "shape=envelope")
		for _, part := range []string{"answered PASS", "came back through the gateway", "myapp://verify-complete?x=1&y=2\n", "verigate watch " + testID} {
			b.want(exitPass, code, part, "")
		}
		if hook := string(<-hooks); !strings.Contains(hook, `"data"`) {
			t.Errorf("the fault did not arrive: %s", hook)
		}
	})

	t.Run("in JSON", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.withSandbox()
		b.hosted(b.url + "/return/stay")
		b.want(exitPass, b.run("sandbox", "complete", testID, "--outcome", "pass", "--json"),
			`{"verificationId":"`+testID+`","outcome":"pass","status":"PASS","returned":true,"appUrl":""}`+"\n", "")
	})

	t.Run("on a stable page, which leads to the app itself", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		hooks := b.withSandbox()
		b.shows(b.url + "/sandbox/verifyhuman/flow/age-gate")
		b.want(exitPass, b.run("sandbox", "complete", testID, "--outcome", "pass"), "opened at myapp://adult\n", "")
		if strings.Contains(b.out.String(), "came back") {
			t.Errorf("out:\n%s", b.out.String())
		}
		<-hooks
	})

	t.Run("who leaves without finishing", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.withSandbox()
		b.hosted(b.url + "/return/good")
		b.want(exitPass, b.run("sandbox", "complete", testID, "--outcome", "abandon"), "answered ABANDONED", "")
		if strings.Contains(b.out.String(), "came back") {
			t.Errorf("out:\n%s", b.out.String())
		}
	})
}

func TestSandboxCompleteSaysWhyNot(t *testing.T) {
	t.Parallel()

	t.Run("when the page was used before", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.withSandbox()
		b.hosted("myapp://done")
		b.want(exitPass, b.run("sandbox", "complete", testID, "--outcome", "deny"), "DENIED", "")
		b.want(exitRefused, b.run("sandbox", "complete", testID, "--outcome", "pass"), "", "409: This token was already used")
	})

	t.Run("when a fault is wrong", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.withSandbox()
		b.hosted("myapp://done")
		b.want(exitUsage, b.run("sandbox", "complete", testID, "--outcome", "pass", "--fault", "dupliacte=2"), "", "faults.dupliacte: unknown field")
	})

	t.Run("when the return leg is not known", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.withSandbox()
		b.hosted(b.url + "/return/unknown")
		b.want(exitNotFound, b.run("sandbox", "complete", testID, "--outcome", "pass"), "", "return leg answered 404")
	})

	t.Run("when the hosted page is not shown to this credential", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.want(exitRefused, b.run("sandbox", "complete", testID, "--outcome", "pass"), "", "Use an API key, not a client token")
	})

	t.Run("when the verification is over", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.service.get = func(*verigatev1.GetVerificationRequest) (*verigatev1.Verification, error) {
			v := pendingVerification()
			v.State, v.Result = stateApproved, verigatev1.VerificationResult_VERIFICATION_RESULT_PASS
			return v, nil
		}
		b.want(exitRefused, b.run("sandbox", "complete", testID, "--outcome", "pass"), "", "is over (approved)")
	})

	for name, page := range map[string]string{
		"when the page is a real provider's": "https://app.verifyhuman.io/hosted/v/tok",
		"when it only looks like a sandbox":  "https://app.verifyhuman.io/sandbox/verifyhuman/hosted/v/tok",
		"when it is another part of here":    "/demo",
		"when its form is not known":         "/sandbox/other/page/1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			if strings.HasPrefix(page, "/") {
				page = b.url + page
			}
			b.shows(page)
			b.want(exitRefused, b.run("sandbox", "complete", testID, "--outcome", "pass"), "", "browser")
		})
	}
}

func TestFaultsKeepTheirTypes(t *testing.T) {
	t.Parallel()
	got, err := faultsJSON([]string{"duplicate=2", "wrong-secret", "reorder=false", "delay=2s", `deny_status="7"`, "shape=envelope"})
	want := `{"delay":"2s","deny_status":"7","duplicate":2,"reorder":false,"shape":"envelope","wrong_secret":true}`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v", got, err)
	}
	if _, err := (sandbox.Faults{}).With(got); err != nil {
		t.Errorf("the sandbox refuses them: %v", err)
	}
}

func TestTheOwnMachineHasSeveralNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		base, page string
		same       bool
	}{
		{"http://localhost:8080", "http://127.0.0.1:8080/sandbox/v/hosted/v/t", true},
		{"http://[::1]:8080", "http://LOCALHOST:8080/sandbox/v/hosted/v/t", true},
		{"https://gate.example", "https://gate.example:443/sandbox/v/hosted/v/t", true},
		{"http://localhost:8080", "http://127.0.0.1:8081/sandbox/v/hosted/v/t", false},
		{"http://localhost:8080", "https://localhost:8080/sandbox/v/hosted/v/t", false},
		{"http://gate.example", "http://gate.example.evil.test/sandbox/v/hosted/v/t", false},
	} {
		base, err := parseAddress(c.base)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := completionURL(base, c.page); (err == nil) != c.same {
			t.Errorf("%s and %s: %v", c.base, c.page, err)
		}
	}
}
