package sandbox_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/verigate/verigate/server/sandbox"
	"github.com/verigate/verigate/server/secret"
)

func TestControlFaults(t *testing.T) {
	t.Parallel()

	t.Run("shows what it was given and takes that back", func(t *testing.T) {
		t.Parallel()
		want := sandbox.Faults{
			Duplicate: 2, Reorder: true, Delay: new(sandbox.Duration(1500 * time.Millisecond)), Drop: true, WrongSecret: true,
			StaleTimestamp: true, Mismatch: true, UnknownEvent: true, UnknownStatus: true, Shape: sandbox.ShapeEnvelope,
			Signature: sandbox.SignatureTimestampBody, LinkField: true, DenyStatus: "DENIED", GenerateStatus: 402,
			GenerateHang: true,
		}
		l := open(t, func(o *sandbox.Options) { o.Faults = want })
		shown := l.control(http.MethodGet, "/control/faults", "")
		if !strings.Contains(shown.body, `"delay":"1.5s"`) || strings.Count(shown.body, `":`) != 15 {
			t.Errorf("shown: %s", shown.body)
		}
		if err := l.emulator.SetFaults(sandbox.Faults{}); err != nil {
			t.Fatalf("SetFaults: %v", err)
		}
		put := l.control(http.MethodPut, "/control/faults", shown.body)
		got, err := json.Marshal(l.emulator.Faults())
		if err != nil || put.status != http.StatusOK || put.body != shown.body || string(got) != shown.body {
			t.Errorf("put: %d %s, faults %s, %v", put.status, put.body, got, err)
		}
		if err := l.emulator.SetFaults(sandbox.Faults{Shape: "round"}); err == nil {
			t.Errorf("a wrong shape: %v", err)
		}
		if a := l.control(http.MethodPut, "/control/faults", `{}`); a.body != `{}` || l.emulator.Faults() != (sandbox.Faults{}) {
			t.Errorf("cleared: %d %s", a.status, a.body)
		}
	})

	t.Run("names every mistake and changes nothing", func(t *testing.T) {
		t.Parallel()
		l := open(t, func(o *sandbox.Options) { o.Faults.Drop = true })
		for body, wants := range map[string][]string{
			`{"duplicate":-1}`:                    {"faults.duplicate: must be a whole number from 0 to 10"},
			`{"duplicate":11}`:                    {"faults.duplicate: must be"},
			`{"duplicate":1.5}`:                   {"faults.duplicate: must be"},
			`{"drop":"yes","shapes":1}`:           {"faults.drop: must be true or false", "faults.shapes: unknown field"},
			`{"delay":2}`:                         {"faults.delay: must be a duration in quotes"},
			`{"delay":"soon"}`:                    {"faults.delay: must be a duration in quotes"},
			`{"delay":"-1s"}`:                     {"faults.delay: must be a duration from"},
			`{"delay":"2h"}`:                      {"faults.delay: must be a duration from"},
			`{"delay":null}`:                      {"faults.delay: must be"},
			`{"shape":"round","signature":"ink"}`: {"faults.shape: must be", "faults.signature: must be"},
			`{"generate_status":200}`:             {"faults.generate_status: must be an HTTP status"},
			`{"deny_status":"` + strings.Repeat("x", 65) + `"}`: {"faults.deny_status: must be"},
			`3`: {"faults: must be one JSON object"},
		} {
			a := l.control(http.MethodPut, "/control/faults", body)
			var problem struct{ Error string }
			a.decode(t, &problem)
			for _, want := range wants {
				if a.status != http.StatusBadRequest || !strings.Contains(problem.Error, want) {
					t.Errorf("%s: %d %s", body, a.status, a.body)
				}
			}
		}
		if l.emulator.Faults() != (sandbox.Faults{Drop: true}) {
			t.Errorf("faults = %+v", l.emulator.Faults())
		}
	})

	t.Run("of a session that is unknown or over are refused", func(t *testing.T) {
		t.Parallel()
		l := open(t, nil)
		token := l.token(identity)
		path := "/control/sessions/" + token + "/faults"
		if a := l.control(http.MethodPut, path, `{"generate_status":500}`); a.status != http.StatusBadRequest {
			t.Errorf("sandbox fault: %d %s", a.status, a.body)
		}
		if a := l.control(http.MethodPut, path, `{"x":1}`); a.status != http.StatusBadRequest {
			t.Errorf("unknown fault: %d %s", a.status, a.body)
		}
		if a := l.control(http.MethodPut, "/control/sessions/none/faults", `{}`); a.status != http.StatusNotFound {
			t.Errorf("unknown token: %d %s", a.status, a.body)
		}
		l.complete(token, "pass", "")
		if a := l.control(http.MethodPut, path, `{}`); a.status != http.StatusConflict {
			t.Errorf("used token: %d %s", a.status, a.body)
		}
	})
}

func TestControlNeedsTheAPIKey(t *testing.T) {
	t.Parallel()
	l := open(t, nil)
	for _, route := range []string{
		"GET /control/faults", "PUT /control/faults", "PUT /control/sessions/x/faults",
		"POST /control/mobile-sessions", "PUT /control/mobile-sessions/verifyage/msess_1", "POST /test-ping",
	} {
		method, path, _ := strings.Cut(route, " ")
		if a := l.call(method, path, `{}`, asJSON, asClient); a.status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", route, a.status, a.body)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	good := func() sandbox.Options {
		return sandbox.Options{
			BaseURL: "http://127.0.0.1:8080/sandbox", APIKey: secret.New("k"), WebhookSecret: secret.New("w"),
			WebhookURL: "https://gateway.example/webhooks/x?y=z", Now: time.Now,
		}
	}
	for _, c := range []struct {
		want   string
		change func(*sandbox.Options)
	}{
		{"BaseURL: must be", func(o *sandbox.Options) { o.BaseURL = "/sandbox" }},
		{"BaseURL: must be", func(o *sandbox.Options) { o.BaseURL = "http://a/?b" }},
		{"WebhookURL: must be", func(o *sandbox.Options) { o.WebhookURL = "" }},
		{"APIKey: must not be empty", func(o *sandbox.Options) { o.APIKey = secret.Value{} }},
		{"WebhookSecret: must not be empty", func(o *sandbox.Options) { o.WebhookSecret = secret.Value{} }},
		{"Environment: must be", func(o *sandbox.Options) { o.Environment = "staging" }},
		{"Now: must be set", func(o *sandbox.Options) { o.Now = nil }},
		{"MaxSessions: must not", func(o *sandbox.Options) { o.MaxSessions = -1 }},
		{"Retry.Attempts: must be", func(o *sandbox.Options) { o.Retry.Attempts = 21 }},
		{"Retry.Base: must not", func(o *sandbox.Options) { o.Retry.Base = -1 }},
		{"Retry.Timeout: must not", func(o *sandbox.Options) { o.Retry.Timeout = -1 }},
		{"faults.duplicate: must be", func(o *sandbox.Options) { o.Faults.Duplicate = 99 }},
		{"Flows[0].Slug: must be", func(o *sandbox.Options) { o.Flows = []sandbox.Flow{{Slug: "A/b", Product: "verifyage"}} }},
		{"Flows[0].Product: must be", func(o *sandbox.Options) { o.Flows = []sandbox.Flow{{Slug: "a"}} }},
		{`Flows[1].Slug: "a" is used twice`, func(o *sandbox.Options) {
			o.Flows = []sandbox.Flow{{Slug: "a", Product: "verifyage"}, {Slug: "a", Product: "verifyage"}}
		}},
		{"Flows[0].RedirectURL: has a scheme", func(o *sandbox.Options) {
			o.Flows = []sandbox.Flow{{Slug: "a", Product: "verifyage", RedirectURL: "javascript:x"}}
		}},
		{"Flows[0].FailureRedirectURL: is plain http", func(o *sandbox.Options) {
			o.Flows = []sandbox.Flow{{Slug: "a", Product: "verifyage", FailureRedirectURL: "http://a.example"}}
		}},
	} {
		o := good()
		c.change(&o)
		if _, err := sandbox.NewVerifyHuman(o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("want %q, got %v", c.want, err)
		}
	}

	t.Run("and all reported at once", func(t *testing.T) {
		t.Parallel()
		_, err := sandbox.NewVerifyHuman(sandbox.Options{})
		for _, want := range []string{"BaseURL", "WebhookURL", "APIKey", "WebhookSecret", "Now"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("no %s in %v", want, err)
			}
		}
	})
}

func TestClientKeyDefaultsToTheAPIKey(t *testing.T) {
	t.Parallel()
	l := open(t, func(o *sandbox.Options) { o.ClientKey = secret.Value{} })
	id, err := l.emulator.AddMobileSession("verifyage", sandbox.Pass)
	if err != nil {
		t.Fatalf("AddMobileSession: %v", err)
	}
	if a := l.call(http.MethodGet, statusPath("verifyage", id), "", "X-Client-Key: "+apiKey); a.status != http.StatusOK {
		t.Errorf("got %d %s", a.status, a.body)
	}
}

// log collects lines of several goroutines.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func TestLogHasNoSecretsAndNoTokens(t *testing.T) {
	t.Parallel()
	lines := &log{}
	l := open(t, func(o *sandbox.Options) {
		o.Log = slog.New(slog.NewTextHandler(lines, &slog.HandlerOptions{Level: slog.LevelDebug}))
		o.Retry.Attempts = 1
	})
	l.receiver.answerWith(http.StatusInternalServerError)
	token := l.token(`{"product":"verifyage","redirect_url":"myapp://nonce-1234"}`)
	l.complete(token, "pass", "")
	h := take(t, l.receiver.hooks)
	take(t, l.attempts)
	lines.mu.Lock()
	defer lines.mu.Unlock()
	text := lines.text.String()
	if !strings.Contains(text, "webhook given up") {
		t.Errorf("log = %s", text)
	}
	for _, no := range []string{
		apiKey, clientKey, webhookSecret, token, "nonce-1234", h.header.Get("X-VerifyHuman-Signature"),
	} {
		if strings.Contains(text, no) {
			t.Errorf("log holds %q: %s", no, text)
		}
	}
}
