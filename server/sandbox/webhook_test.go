package sandbox_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/sandbox"
)

// stamp is the lab's clock as a timestamp header.
const stamp = "1779013800"

func TestSignedIsRight(t *testing.T) {
	t.Parallel()
	// The expected values were computed outside of Go.
	const body = `{"event":"verification.completed","verification_id":"ver_demo0001","status":"PASS",` +
		`"product":"verifyidentity","environment":"test","timestamp":"2026-05-17T10:30:00Z"}`
	if got, want := signed("", body),
		"sha256=3f8bb6bf108f1ec194e4d615657c09da945378e0577708035f78e9cdf201539d"; got != want {
		t.Errorf("body: %s", got)
	}
	if got, want := signed(stamp, body),
		"sha256=e22d181cf55d08a44945f5ee47611990b8ba12b756eeaffeee0c3cfff8dc6cdf"; got != want {
		t.Errorf("timestamp and body: %s", got)
	}
}

func TestWebhookShapes(t *testing.T) {
	t.Parallel()
	flatBody := func(id string) string {
		return fmt.Sprintf(`{"event":"verification.completed","verification_id":%q,"status":"PASS",`+
			`"product":"verifyidentity","environment":"test","timestamp":"2026-05-17T10:30:00Z"}`, id)
	}
	envelopeBody := func(event, id string) string {
		return fmt.Sprintf(`{"id":%q,"type":"verification.completed","created":"2026-05-17T10:30:00.000000Z",`+
			`"environment":"test","data":{"verification_id":%q,"status":"PASS","confidence":92.5,`+
			`"product":"verifyidentity"}}`, event, id)
	}

	t.Run("flat and signed over the body is the default, with the signature header alone", func(t *testing.T) {
		t.Parallel()
		l := open(t, nil)
		h := l.run("pass", "")
		id := h.field(t, "verification_id")
		if !strings.HasPrefix(id, "ver_") || h.body != flatBody(id) {
			t.Errorf("body = %s", h.body)
		}
		if d := take(t, l.attempts); d.VerificationID != id || !d.OK() || d.Attempt != 1 {
			t.Errorf("delivery = %+v", d)
		}
		wantHeaders(t, h, map[string]string{"Signature": signed("", h.body)})
	})

	t.Run("flat and signed with the timestamp needs its header", func(t *testing.T) {
		t.Parallel()
		h := open(t, nil).run("pass", `{"signature":"ts_dot_body"}`)
		wantHeaders(t, h, map[string]string{"Signature": signed(stamp, h.body), "Timestamp": stamp})
	})

	for signature, timestamp := range map[string]string{"body": "", "ts_dot_body": stamp} {
		t.Run("the envelope signed as "+signature+" has all six headers", func(t *testing.T) {
			t.Parallel()
			l := open(t, nil)
			h := l.run("pass", `{"shape":"envelope","signature":"`+signature+`"}`)
			event := h.field(t, "id")
			if h.body != envelopeBody(event, h.field(t, "data", "verification_id")) {
				t.Errorf("body = %s", h.body)
			}
			d := take(t, l.attempts)
			if d.EventID != event || d.DeliveryID == "" || d.DeliveryID == event {
				t.Errorf("delivery = %+v", d)
			}
			wantHeaders(t, h, map[string]string{
				"Signature": signed(timestamp, h.body), "Timestamp": stamp,
				"Event": "verification.completed", "Event-Id": event, "Delivery-Id": d.DeliveryID, "Environment": "test",
			})
		})
	}

	t.Run("the environment is the account's", func(t *testing.T) {
		t.Parallel()
		l := open(t, func(o *sandbox.Options) { o.Environment = "live" })
		if got := l.run("pass", "").field(t, "environment"); got != "live" {
			t.Errorf("environment = %q", got)
		}
	})
}

// wantHeaders compares all of a webhook's VerifyHuman headers.
func wantHeaders(t *testing.T, h hook, want map[string]string) {
	t.Helper()
	const begin = "X-Verifyhuman-"
	for name, values := range h.header {
		short, ours := strings.CutPrefix(name, begin)
		if ours && (len(values) != 1 || values[0] != want[short]) {
			t.Errorf("%s = %q, want %q", name, values, want[short])
		}
	}
	for name := range want {
		if h.header.Get(begin+name) == "" {
			t.Errorf("%s%s is missing", begin, name)
		}
	}
	if h.header.Get("Content-Type") != "application/json" {
		t.Errorf("Content-Type = %q", h.header.Get("Content-Type"))
	}
}

func TestWebhookStatuses(t *testing.T) {
	t.Parallel()
	l := open(t, nil)
	for _, c := range []struct{ outcome, faults, want string }{
		{"pass", "", "PASS"},
		{"fail", "", "FAIL"},
		{"deny", "", "FAIL"},
		{"deny", `{"deny_status":"DENIED"}`, "DENIED"},
		{"fail", `{"deny_status":"DENIED"}`, "FAIL"},
		{"pass", `{"unknown_status":true}`, "SANDBOX_UNKNOWN"},
	} {
		if got := l.run(c.outcome, c.faults).field(t, "status"); got != c.want {
			t.Errorf("%s with %s: %q, want %q", c.outcome, c.faults, got, c.want)
		}
	}
}

func TestWebhookFaults(t *testing.T) {
	t.Parallel()

	t.Run("wrong_secret signs with another key", func(t *testing.T) {
		t.Parallel()
		h := open(t, nil).run("pass", `{"wrong_secret":true}`)
		got := h.header.Get("X-VerifyHuman-Signature")
		if len(got) != len("sha256=")+64 || got == signed("", h.body) {
			t.Errorf("signature = %q", got)
		}
	})

	t.Run("stale_timestamp is an hour old and signed as such", func(t *testing.T) {
		t.Parallel()
		const old = "1779010200"
		l := open(t, nil)
		for faults, timestamp := range map[string]string{
			`{"stale_timestamp":true}`:                                                  "",
			`{"stale_timestamp":true,"signature":"ts_dot_body"}`:                        old,
			`{"stale_timestamp":true,"shape":"envelope"}`:                               "",
			`{"stale_timestamp":true,"shape":"envelope","signature":"ts_dot_body"}`:     old,
			`{"signature":"ts_dot_body","stale_timestamp":true,"unknown_event":true}`:   old,
			`{"stale_timestamp":true,"shape":"flat","signature":"body","reorder":true}`: "",
		} {
			h := l.run("pass", faults)
			if h.header.Get("X-VerifyHuman-Timestamp") != old ||
				h.header.Get("X-VerifyHuman-Signature") != signed(timestamp, h.body) {
				t.Errorf("%s: %v", faults, h.header)
			}
		}
	})

	t.Run("mismatch contradicts the event id of an envelope", func(t *testing.T) {
		t.Parallel()
		h := open(t, nil).run("pass", `{"mismatch":true,"shape":"envelope"}`)
		if id := h.header.Get("X-VerifyHuman-Event-Id"); id == "" || id == h.field(t, "id") {
			t.Errorf("event id = %q", id)
		}
		if h.header.Get("X-VerifyHuman-Signature") != signed("", h.body) {
			t.Error("the signature is broken too")
		}
	})

	t.Run("mismatch contradicts the environment of a flat body", func(t *testing.T) {
		t.Parallel()
		h := open(t, nil).run("pass", `{"mismatch":true}`)
		if got := h.header.Get("X-VerifyHuman-Environment"); got != "live" || h.field(t, "environment") != "test" {
			t.Errorf("header %q, body %s", got, h.body)
		}
	})

	t.Run("unknown_event names a type that nobody knows, in header and body", func(t *testing.T) {
		t.Parallel()
		l := open(t, nil)
		const unknown = "verification.sandbox_unknown"
		if got := l.run("pass", `{"unknown_event":true}`).field(t, "event"); got != unknown {
			t.Errorf("flat: %q", got)
		}
		h := l.run("pass", `{"unknown_event":true,"shape":"envelope"}`)
		if h.field(t, "type") != unknown || h.header.Get("X-VerifyHuman-Event") != unknown {
			t.Errorf("envelope: %s", h.body)
		}
	})

	t.Run("link_field adds the token where each shape would have it", func(t *testing.T) {
		t.Parallel()
		l := open(t, nil)
		for faults, path := range map[string][]string{
			`{"link_field":true}`: {"token"}, `{"link_field":true,"shape":"envelope"}`: {"data", "token"},
		} {
			token := l.token(identity)
			l.complete(token, "pass", faults)
			if h := take(t, l.receiver.hooks); h.field(t, path...) != token {
				t.Errorf("%s: %s", faults, h.body)
			}
		}
	})
}

func TestFaultsCombineFromRunToSessionToCompletion(t *testing.T) {
	t.Parallel()
	l := open(t, func(o *sandbox.Options) {
		o.Faults = sandbox.Faults{Shape: sandbox.ShapeEnvelope, UnknownStatus: true, LinkField: true}
	})
	token := l.token(identity)
	a := l.control(http.MethodPut, "/control/sessions/"+token+"/faults", `{"unknown_status":false,"unknown_event":true}`)
	if a.status != http.StatusOK || a.body != `{"unknown_event":true,"shape":"envelope","link_field":true}` {
		t.Fatalf("override: %d %s", a.status, a.body)
	}
	l.complete(token, "pass", `{"link_field":false}`)
	h := take(t, l.receiver.hooks)
	if h.field(t, "type") != "verification.sandbox_unknown" || h.field(t, "data", "status") != "PASS" ||
		h.field(t, "data", "token") != "" {
		t.Errorf("this run: %s", h.body)
	}
	other := l.run("pass", "")
	if other.field(t, "type") != "verification.completed" || other.field(t, "data", "status") != "SANDBOX_UNKNOWN" {
		t.Errorf("another run: %s", other.body)
	}
}

func TestPing(t *testing.T) {
	t.Parallel()

	t.Run("is a signed test.ping in either shape", func(t *testing.T) {
		t.Parallel()
		l := open(t, nil)
		if a := l.control(http.MethodPost, "/test-ping", ""); a.status != http.StatusAccepted {
			t.Fatalf("got %d %s", a.status, a.body)
		}
		h := take(t, l.receiver.hooks)
		if h.body != `{"event":"test.ping","environment":"test","timestamp":"2026-05-17T10:30:00Z"}` ||
			h.header.Get("X-VerifyHuman-Signature") != signed("", h.body) {
			t.Errorf("flat: %v %s", h.header, h.body)
		}
		if err := l.emulator.SetFaults(sandbox.Faults{Shape: sandbox.ShapeEnvelope}); err != nil {
			t.Fatalf("SetFaults: %v", err)
		}
		var sent struct {
			EventID string `json:"event_id"`
		}
		l.control(http.MethodPost, "/test-ping", "").decode(t, &sent)
		h = take(t, l.receiver.hooks)
		if h.field(t, "type") != "test.ping" || h.field(t, "id") != sent.EventID || !strings.Contains(h.body, `"data":{}`) {
			t.Errorf("envelope: %s", h.body)
		}
	})

	t.Run("needs the API key", func(t *testing.T) {
		t.Parallel()
		l := open(t, nil)
		if a := l.call(http.MethodPost, "/test-ping", ""); a.status != http.StatusUnauthorized {
			t.Errorf("got %d", a.status)
		}
	})
}

func TestEachAttemptIsSignedAtItsOwnTime(t *testing.T) {
	t.Parallel()
	g := newGate()
	l := open(t, func(o *sandbox.Options) {
		o.Wait = g.wait
		o.Faults = sandbox.Faults{Shape: sandbox.ShapeEnvelope, Signature: sandbox.SignatureTimestampBody}
	})
	l.receiver.answerWith(http.StatusInternalServerError)
	first := l.run("pass", "")
	p := take(t, g.calls)
	l.clock.add(7 * time.Second)
	close(p.ended)
	second := take(t, l.receiver.hooks)
	if first.body != second.body {
		t.Errorf("bodies differ: %s %s", first.body, second.body)
	}
	if got := second.header.Get("X-VerifyHuman-Timestamp"); got != "1779013807" ||
		second.header.Get("X-VerifyHuman-Signature") != signed(got, second.body) {
		t.Errorf("second attempt: %v", second.header)
	}
	if first.header.Get("X-VerifyHuman-Delivery-Id") == second.header.Get("X-VerifyHuman-Delivery-Id") ||
		first.header.Get("X-VerifyHuman-Event-Id") != second.header.Get("X-VerifyHuman-Event-Id") {
		t.Errorf("ids: %v %v", first.header, second.header)
	}
}
