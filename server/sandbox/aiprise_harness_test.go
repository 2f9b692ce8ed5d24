package sandbox_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/sandbox"
	"github.com/verigate/verigate/server/secret"
)

const (
	aipriseKey    = "demo-aiprise-key"
	aipriseHeader = "X-API-KEY: " + aipriseKey
	template      = "4f1d2c3b-0000-4000-8000-0000000000aa"
	createPath    = "/api/v1/verify/get_user_verification_url"
	resultPath    = "/api/v1/verify/get_user_verification_result/"
	completePath  = "/verify/complete"
)

// aiLab is an AiPrise emulator behind a mount prefix, and a receiver for each of
// its channels.
type aiLab struct {
	*lab

	emulator  *sandbox.AiPrise
	callbacks *receiver
	events    *receiver
}

// openAiPrise starts a lab whose workflows take no time; change adjusts that.
func openAiPrise(t *testing.T, change func(*sandbox.AiPriseOptions)) *aiLab {
	t.Helper()
	l := &aiLab{
		lab: &lab{
			t: t, attempts: make(chan sandbox.Delivery, 4096), client: newClient(t),
			clock: &clock{now: time.Date(2026, time.May, 17, 10, 30, 0, 0, time.UTC)},
		},
		callbacks: newReceiver(t), events: newReceiver(t),
	}
	server := httptest.NewUnstartedServer(nil)
	l.url = "http://" + server.Listener.Addr().String() + prefix
	options := sandbox.AiPriseOptions{
		BaseURL: l.url + "/", APIKey: secret.New(aipriseKey), WebhookDelay: -1, Now: l.clock.read,
		OnDelivery: func(d sandbox.Delivery) { l.attempts <- d },
		Wait:       func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	}
	if change != nil {
		change(&options)
	}
	emulator, err := sandbox.NewAiPrise(options)
	if err != nil {
		t.Fatalf("NewAiPrise: %v", err)
	}
	l.emulator = emulator
	server.Config.Handler = http.StripPrefix(prefix, emulator)
	server.Start()
	t.Cleanup(func() {
		if err := emulator.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("Close: %v", err)
		}
		server.Close()
	})
	return l
}

// control calls a route that needs the API key.
func (l *aiLab) control(method, path, body string) answer {
	l.t.Helper()
	return l.call(method, path, body, aipriseHeader, asJSON)
}

// request is the body of a create call that names both channels; the fields
// replace and add to it, and a null takes away.
func (l *aiLab) request(fields string) string {
	l.t.Helper()
	all := make(map[string]json.RawMessage)
	for name, value := range map[string]string{
		"redirect_uri": "https://gateway.example/return/nonce?leg=1", "template_id": template,
		"client_reference_id": "sess_demo_1", "callback_url": l.callbacks.url, "events_callback_url": l.events.url,
	} {
		all[name] = json.RawMessage(strconv.Quote(value))
	}
	if fields != "" {
		if err := json.Unmarshal([]byte(fields), &all); err != nil {
			l.t.Fatalf("fields: %v", err)
		}
	}
	body, err := json.Marshal(all)
	if err != nil {
		l.t.Fatalf("encode: %v", err)
	}
	return string(body)
}

// session makes a session and returns its id.
func (l *aiLab) session(fields string) string {
	l.t.Helper()
	a := l.control(http.MethodPost, createPath, l.request(fields))
	if a.status != http.StatusOK {
		l.t.Fatalf("create: %d %s", a.status, a.body)
	}
	var made struct {
		ID string `json:"verification_session_id"`
	}
	a.decode(l.t, &made)
	return made.ID
}

// submit ends a session's run; more is further JSON fields with their comma.
func (l *aiLab) submit(id, more string) answer {
	l.t.Helper()
	return l.call(http.MethodPost, completePath, fmt.Sprintf(`{"verification_session_id":%q%s}`, id, more), asJSON)
}

// pass makes a session and submits it as passed, with faults.
func (l *aiLab) pass(faults string) string {
	l.t.Helper()
	id := l.session("")
	if a := l.submit(id, `,"outcome":"pass","faults":`+faults); a.status != http.StatusOK {
		l.t.Fatalf("complete: %d %s", a.status, a.body)
	}
	return id
}

// poll reads the result of a session.
func (l *aiLab) poll(id string) answer {
	l.t.Helper()
	return l.call(http.MethodGet, resultPath+id, "", aipriseHeader)
}

// wantPoll compares status and verification_result of a poll.
func (l *aiLab) wantPoll(id, status, result string) {
	l.t.Helper()
	a := l.poll(id)
	h := hook{body: a.body}
	if a.status != http.StatusOK || h.field(l.t, "status") != status ||
		h.field(l.t, "aiprise_summary", "verification_result") != result {
		l.t.Errorf("want %s %s, got %d %s", status, result, a.status, a.body)
	}
}

// eventTypes takes so many events and returns them by type.
func (l *aiLab) eventTypes(count int) map[string]hook {
	l.t.Helper()
	events := make(map[string]hook, count)
	for range count {
		h := take(l.t, l.events.hooks)
		events[h.field(l.t, "event_type")] = h
	}
	return events
}

func (l *aiLab) close() {
	l.t.Helper()
	if err := l.emulator.Close(l.t.Context()); err != nil {
		l.t.Fatalf("Close: %v", err)
	}
}

// aipriseSigned computes a signature header from scratch.
func aipriseSigned(key, body string) string {
	mac := hmac.New(sha256.New, []byte(key))
	_, _ = io.WriteString(mac, body)
	return hex.EncodeToString(mac.Sum(nil))
}

// message is the text of a refusal.
func message(t *testing.T, a answer) string {
	t.Helper()
	var fields map[string]string
	a.decode(t, &fields)
	if len(fields) != 1 {
		t.Errorf("a refusal has %d fields: %s", len(fields), a.body)
	}
	return strings.TrimSpace(fields["message"])
}
