package sandbox_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/sandbox"
)

func TestAiPrisePoll(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, faults                         string
		made, opened, submitted, done, final string
	}{
		{
			"follows the run in the OpenAPI document's words", `{}`,
			"NOT_STARTED", "NOT_STARTED", "RUNNING", "COMPLETED", "DECLINED",
		},
		{
			"follows the run in the callbacks page's words", `{"old_statuses":true}`,
			"NOT_STARTED", "COLLECTING", "PROCESSING", "COMPLETED", "DECLINED",
		},
		{
			"tells of a workflow that failed only when it did", `{"workflow_failed":true}`,
			"NOT_STARTED", "NOT_STARTED", "RUNNING", "FAILED", "UNKNOWN",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := newGate()
			l := openAiPrise(t, func(o *sandbox.AiPriseOptions) { o.Wait, o.WebhookDelay = g.wait, 10*time.Second })
			id := l.session("")
			if a := l.control(http.MethodPut, "/control/sessions/"+id+"/faults", c.faults); a.status != http.StatusOK {
				t.Fatalf("faults: %d %s", a.status, a.body)
			}
			l.wantPoll(id, c.made, "UNKNOWN")
			l.call(http.MethodGet, verifyPath+id, "")
			l.wantPoll(id, c.opened, "UNKNOWN")
			l.submit(id, `,"outcome":"fail"`)
			l.clock.add(10*time.Second - time.Millisecond)
			l.wantPoll(id, c.submitted, "UNKNOWN")
			if a := l.poll(id); !strings.Contains(a.body, `"id_info":null`) {
				t.Errorf("before the result: %s", a.body)
			}
			l.clock.add(time.Millisecond)
			l.wantPoll(id, c.done, c.final)
		})
	}

	t.Run("is ahead of webhooks that a fault delays", func(t *testing.T) {
		t.Parallel()
		g := newGate()
		l := openAiPrise(t, func(o *sandbox.AiPriseOptions) { o.Wait = g.wait })
		l.wantPoll(l.pass(`{"delay":"1h"}`), "COMPLETED", "APPROVED")
		none(t, l.callbacks.hooks)
	})

	t.Run("tells what the webhook told, but for pre-signed URLs", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, nil)
		id := l.pass(`{}`)
		told, polled := take(t, l.callbacks.hooks), l.poll(id)
		if unsigned(compacted(t, told.body)) != unsigned(polled.body) {
			t.Errorf("told\n%s\npolled\n%s", told.body, polled.body)
		}
		if compacted(t, told.body) == polled.body || polled.body == l.poll(id).body {
			t.Error("pre-signed URLs are the same")
		}
	})

	t.Run("fails with the status of the fault, 208 among them", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, nil)
		for fault, want := range map[string]int{
			`{"result_status":208}`: 208, `{"result_status":429}`: 429, `{"result_status":500}`: 500,
		} {
			if a := l.poll(l.pass(fault)); a.status != want || message(t, a) == "" {
				t.Errorf("%s: got %d %s", fault, a.status, a.body)
			}
		}
	})

	t.Run("refuses what is no session, and other keys", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, nil)
		if a := l.poll("nonsense"); a.status != http.StatusBadRequest || !strings.Contains(message(t, a), "must be a UUID") {
			t.Errorf("no UUID: got %d %s", a.status, a.body)
		}
		if a := l.poll(template); a.status != http.StatusNotFound || message(t, a) != "Unknown verification session" {
			t.Errorf("unknown: got %d %s", a.status, a.body)
		}
		if a := l.call(http.MethodGet, resultPath+l.session(""), ""); a.status != http.StatusUnauthorized {
			t.Errorf("no key: got %d %s", a.status, a.body)
		}
	})

	t.Run("forgets the oldest sessions", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, func(o *sandbox.AiPriseOptions) { o.MaxSessions = 2 })
		first := l.session("")
		second := l.session("")
		l.session("")
		if a := l.poll(first); a.status != http.StatusNotFound {
			t.Errorf("the oldest: got %d", a.status)
		}
		if a := l.poll(second); a.status != http.StatusOK {
			t.Errorf("the second: got %d", a.status)
		}
	})
}
