package sandbox_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/sandbox"
	"github.com/verigate/verigate/server/secret"
)

func TestAiPriseControlFaults(t *testing.T) {
	t.Parallel()

	t.Run("shows what it was given and takes that back", func(t *testing.T) {
		t.Parallel()
		want := sandbox.AiPriseFaults{
			Duplicate: 2, Reorder: true, Delay: new(sandbox.Duration(1500 * time.Millisecond)), Drop: true, WrongSecret: true,
			DropCallback: true, DropEvents: true, ProfileMode: true, Compact: true, WrongReference: true,
			ChangedURLs: new(false), UnknownStatus: true, UnknownResult: true, UnknownEvent: true, OldStatuses: true,
			WorkflowFailed: true, AMLInData: true, ResultStatus: 208, CreateStatus: 429, CreateHang: true, NoSessionField: true,
		}
		l := openAiPrise(t, func(o *sandbox.AiPriseOptions) { o.Faults = want })
		shown := l.control(http.MethodGet, "/control/faults", "")
		// no_reference is the only one that cannot be with the others.
		if fields := reflect.TypeFor[sandbox.AiPriseFaults]().NumField(); strings.Count(shown.body, `":`) != fields-1 {
			t.Errorf("shown: %s", shown.body)
		}
		if err := l.emulator.SetFaults(sandbox.AiPriseFaults{}); err != nil {
			t.Fatalf("SetFaults: %v", err)
		}
		put := l.control(http.MethodPut, "/control/faults", shown.body)
		got, err := json.Marshal(l.emulator.Faults())
		if err != nil || put.status != http.StatusOK || put.body != shown.body || string(got) != shown.body {
			t.Errorf("put: %d %s, faults %s, %v", put.status, put.body, got, err)
		}
		if err := l.emulator.SetFaults(sandbox.AiPriseFaults{Duplicate: -1}); err == nil {
			t.Error("a negative number of copies was taken")
		}
		a := l.control(http.MethodPut, "/control/faults", `{"no_reference":true}`)
		if a.body != `{"no_reference":true}` || l.emulator.Faults() != (sandbox.AiPriseFaults{NoReference: true}) {
			t.Errorf("replaced: %d %s", a.status, a.body)
		}
	})

	t.Run("names every mistake and changes nothing", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, func(o *sandbox.AiPriseOptions) { o.Faults.Compact = true })
		for body, wants := range map[string][]string{
			`{"duplicate":11}`:                             {"faults.duplicate: must be a whole number from 0 to 10"},
			`{"delay":"2h"}`:                               {"faults.delay: must be a duration from"},
			`{"compact":"yes","shape":"flat"}`:             {"faults.compact: must be true or false", "faults.shape: unknown field"},
			`{"changed_urls":null}`:                        {"faults.changed_urls: must be true or false"},
			`{"create_status":200}`:                        {"faults.create_status: must be an HTTP status from 400 to 599, 208"},
			`{"create_status":399,"result_status":600}`:    {"faults.create_status: must be", "faults.result_status: must be"},
			`{"wrong_reference":true,"no_reference":true}`: {"faults.wrong_reference, faults.no_reference: exclude each other"},
			`[]`: {"faults: must be one JSON object"},
		} {
			a := l.control(http.MethodPut, "/control/faults", body)
			for _, want := range wants {
				if a.status != http.StatusBadRequest || !strings.Contains(message(t, a), want) {
					t.Errorf("%s: %d %s", body, a.status, a.body)
				}
			}
		}
		if l.emulator.Faults() != (sandbox.AiPriseFaults{Compact: true}) {
			t.Errorf("faults = %+v", l.emulator.Faults())
		}
	})
}

func TestAiPriseFaultsOfOneSession(t *testing.T) {
	t.Parallel()

	t.Run("combine from run to session to completion", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, func(o *sandbox.AiPriseOptions) {
			o.Faults = sandbox.AiPriseFaults{Compact: true, UnknownStatus: true, NoReference: true}
		})
		id := l.session("")
		a := l.control(http.MethodPut, "/control/sessions/"+id+"/faults", `{"unknown_status":false,"unknown_event":true}`)
		if a.status != http.StatusOK || a.body != `{"compact":true,"no_reference":true,"unknown_event":true}` {
			t.Fatalf("override: %d %s", a.status, a.body)
		}
		l.submit(id, `,"outcome":"pass","faults":{"compact":false}`)
		if h := take(t, l.callbacks.hooks); h.field(t, "status") != "COMPLETED" || !strings.Contains(h.body, `_id": null,`) {
			t.Errorf("final = %s", h.body)
		}
		for range 2 {
			if h := take(t, l.events.hooks); h.field(t, "event_type") != "SANDBOX_UNKNOWN_EVENT" {
				t.Errorf("event = %s", h.body)
			}
		}
		l.pass(`{}`)
		if h := take(t, l.callbacks.hooks); h.field(t, "status") != "SANDBOX_UNKNOWN" || h.body != compacted(t, h.body) {
			t.Errorf("another run: %s", h.body)
		}
	})

	t.Run("of a completion end with new ones of the session", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, nil)
		id := l.pass(`{"drop":true,"result_status":500}`)
		if a := l.poll(id); a.status != http.StatusInternalServerError {
			t.Errorf("poll: got %d", a.status)
		}
		l.control(http.MethodPut, "/control/sessions/"+id+"/faults", `{}`)
		l.wantPoll(id, "COMPLETED", "APPROVED")
	})

	t.Run("that came to contradict each other are named wherever they count", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, nil)
		fresh, done := l.session(""), l.pass(`{}`)
		for _, id := range []string{fresh, done} {
			l.control(http.MethodPut, "/control/sessions/"+id+"/faults", `{"no_reference":true}`)
		}
		l.control(http.MethodPut, "/control/faults", `{"wrong_reference":true}`)
		for name, a := range map[string]answer{
			"page":     l.call(http.MethodGet, verifyPath+fresh, ""),
			"complete": l.submit(fresh, `,"outcome":"pass"`),
			"poll":     l.poll(done),
			"case":     l.control(http.MethodPost, "/control/sessions/"+done+"/case", `{"verification_result":"REVIEW"}`),
		} {
			if a.status != http.StatusBadRequest || !strings.Contains(a.body, "exclude each other") {
				t.Errorf("%s: got %d %s", name, a.status, a.body)
			}
		}
	})

	t.Run("of a session are refused where they make no sense", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, nil)
		path := "/control/sessions/" + l.session("") + "/faults"
		for _, fault := range []string{`{"create_status":500}`, `{"create_hang":true}`, `{"no_session_field":true}`, `{"x":1}`} {
			if a := l.control(http.MethodPut, path, fault); a.status != http.StatusBadRequest {
				t.Errorf("%s: %d %s", fault, a.status, a.body)
			}
		}
		if a := l.control(http.MethodPut, "/control/sessions/none/faults", `{}`); a.status != http.StatusNotFound {
			t.Errorf("unknown session: %d %s", a.status, a.body)
		}
	})
}

func TestAiPriseControlNeedsTheAPIKey(t *testing.T) {
	t.Parallel()
	l := openAiPrise(t, nil)
	for _, route := range []string{
		"GET /control/faults", "PUT /control/faults", "PUT /control/sessions/x/faults",
		"POST /control/sessions/x/case", "POST /control/sessions/x/event",
	} {
		method, path, _ := strings.Cut(route, " ")
		if a := l.call(method, path, `{}`, asJSON, bearer); a.status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", route, a.status, a.body)
		}
	}
}

func TestAiPriseOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		want   string
		change func(*sandbox.AiPriseOptions)
	}{
		{"BaseURL: must be", func(o *sandbox.AiPriseOptions) { o.BaseURL = "/sandbox" }},
		{"APIKey: must not be empty", func(o *sandbox.AiPriseOptions) { o.APIKey = secret.Value{} }},
		{"Now: must be set", func(o *sandbox.AiPriseOptions) { o.Now = nil }},
		{"MaxSessions: must not", func(o *sandbox.AiPriseOptions) { o.MaxSessions = -1 }},
		{"SessionLifetime: must not", func(o *sandbox.AiPriseOptions) { o.SessionLifetime = -1 }},
		{"Retry.Attempts: must be", func(o *sandbox.AiPriseOptions) { o.Retry.Attempts = 21 }},
		{"faults.create_status: must be", func(o *sandbox.AiPriseOptions) { o.Faults.CreateStatus = 99 }},
	} {
		o := sandbox.AiPriseOptions{BaseURL: "http://127.0.0.1:8080/sandbox", APIKey: secret.New("k"), Now: time.Now}
		c.change(&o)
		if _, err := sandbox.NewAiPrise(o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("want %q, got %v", c.want, err)
		}
	}
	_, err := sandbox.NewAiPrise(sandbox.AiPriseOptions{})
	for _, want := range []string{"sandbox aiprise: ", "BaseURL", "APIKey", "Now"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %s in %v", want, err)
		}
	}
}

func TestAiPriseLogHasNoSecretsAndNoPeople(t *testing.T) {
	t.Parallel()
	lines := &log{}
	l := openAiPrise(t, func(o *sandbox.AiPriseOptions) {
		o.Log = slog.New(slog.NewTextHandler(lines, &slog.HandlerOptions{Level: slog.LevelDebug}))
		o.Retry.Attempts = 1
	})
	l.callbacks.answerWith(http.StatusInternalServerError)
	id := l.session(`{"user_data":{"first_name":"Wilhelmina"}}`)
	l.submit(id, `,"last_name":"Murray"`)
	h := take(t, l.callbacks.hooks)
	for range 3 {
		take(t, l.attempts)
	}
	lines.mu.Lock()
	defer lines.mu.Unlock()
	text := lines.text.String()
	if !strings.Contains(text, "webhook given up") || !strings.Contains(text, "webhook delivered") {
		t.Errorf("log = %s", text)
	}
	for _, no := range []string{
		aipriseKey, id, "nonce", "sess_demo_1", "Wilhelmina", "Murray", h.header.Get("X-HMAC-SIGNATURE"),
	} {
		if strings.Contains(text, no) {
			t.Errorf("log holds %q: %s", no, text)
		}
	}
}
