package sandbox_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/sandbox"
)

func TestAiPriseCase(t *testing.T) {
	t.Parallel()

	t.Run("updates tell the new decision on the events channel, and polls follow", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, nil)
		id := l.pass(`{}`)
		l.eventTypes(2)
		path := "/control/sessions/" + id + "/case"
		const begin = `{"event_type": "CASE_STATUS_UPDATE", "verification_session_id": "%s", ` +
			`"client_reference_id": "sess_demo_1", "client_reference_data": null, "verification_result": "%s", `
		const author = `"author": {"email": "reviewer@aiprise.invalid"}}`
		const reason = `"reason": {"code": "%s", "message": "Declined by a reviewer."}, `
		for _, c := range []struct{ body, result, reason string }{
			{`{"verification_result":"DECLINED","reason_code":"FAKE_ID"}`, "DECLINED", fmt.Sprintf(reason, "FAKE_ID")},
			{`{"verification_result":"APPROVED"}`, "APPROVED", ""},
			{`{"verification_result":"REVIEW"}`, "REVIEW", ""},
			{`{"verification_result":"DECLINED"}`, "DECLINED", fmt.Sprintf(reason, "SANDBOX_DECLINED")},
		} {
			a := l.control(http.MethodPost, path, c.body)
			if a.status != http.StatusAccepted || a.body != `{"event_type":"CASE_STATUS_UPDATE","sent":true}` {
				t.Fatalf("%s: %d %s", c.body, a.status, a.body)
			}
			h := take(t, l.events.hooks)
			if want := fmt.Sprintf(begin, id, c.result) + c.reason + author; h.body != want {
				t.Errorf("got  %s\nwant %s", h.body, want)
			}
			if h.header.Get("X-HMAC-SIGNATURE") != aipriseSigned(aipriseKey, h.body) {
				t.Errorf("headers = %v", h.header)
			}
			l.wantPoll(id, "COMPLETED", c.result)
		}
	})

	t.Run("updates give polls their reason, and end a wait or a failure", func(t *testing.T) {
		t.Parallel()
		g := newGate()
		l := openAiPrise(t, func(o *sandbox.AiPriseOptions) { o.Wait, o.WebhookDelay = g.wait, time.Hour })
		id := l.pass(`{"workflow_failed":true}`)
		l.wantPoll(id, "RUNNING", "UNKNOWN")
		l.control(http.MethodPost, "/control/sessions/"+id+"/case", `{"verification_result":"DECLINED","reason_code":"FAKE_ID"}`)
		l.wantPoll(id, "COMPLETED", "DECLINED")
		if a := l.poll(id); !strings.Contains(a.body, `"status_reasons":[{"code":"FAKE_ID"`) {
			t.Errorf("poll = %s", a.body)
		}
	})

	t.Run("updates can have faults of their own", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, nil)
		id := l.pass(`{"drop":true}`)
		l.control(http.MethodPut, "/control/sessions/"+id+"/faults", `{"unknown_result":true,"compact":true}`)
		l.control(http.MethodPost, "/control/sessions/"+id+"/case", `{"verification_result":"APPROVED"}`)
		if h := take(t, l.events.hooks); !strings.Contains(h.body, `"verification_result":"SANDBOX_UNKNOWN"`) {
			t.Errorf("event = %s", h.body)
		}
	})

	t.Run("updates of a session without an address change polls alone", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, nil)
		id := l.session(`{"events_callback_url":null}`)
		l.submit(id, `,"outcome":"review"`)
		a := l.control(http.MethodPost, "/control/sessions/"+id+"/case", `{"verification_result":"APPROVED"}`)
		if a.status != http.StatusAccepted || a.body != `{"event_type":"CASE_STATUS_UPDATE","sent":false}` {
			t.Errorf("got %d %s", a.status, a.body)
		}
		l.wantPoll(id, "COMPLETED", "APPROVED")
	})

	t.Run("updates that make no sense are refused and change nothing", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, nil)
		id := l.pass(`{}`)
		path := "/control/sessions/" + id + "/case"
		for body, want := range map[string]string{
			`{}`:                                 "verification_result: must be APPROVED, DECLINED or REVIEW",
			`{"verification_result":"approved"}`: "verification_result: must be",
			`{"verification_result":"UNKNOWN"}`:  "verification_result: must be",
			`{"verification_result":"DECLINED","reason_code":"no spaces"}`: "reason_code: must be 1 to 64 capital",
			`{"verification_result":"APPROVED","reason_code":"OK"}`:        "reason_code: belongs to DECLINED",
			`{"verification_result":"APPROVED","x":1}`:                     "x: unknown field",
		} {
			if a := l.control(http.MethodPost, path, body); a.status != http.StatusBadRequest ||
				!strings.Contains(message(t, a), want) {
				t.Errorf("%s: %d %s", body, a.status, a.body)
			}
		}
		good := `{"verification_result":"DECLINED"}`
		if a := l.control(http.MethodPost, "/control/sessions/none/case", good); a.status != http.StatusNotFound {
			t.Errorf("unknown session: %d %s", a.status, a.body)
		}
		fresh := l.session("")
		if a := l.control(http.MethodPost, "/control/sessions/"+fresh+"/case", good); a.status != http.StatusConflict {
			t.Errorf("before the submission: %d %s", a.status, a.body)
		}
		l.wantPoll(id, "COMPLETED", "APPROVED")
	})
}

func TestAiPriseOtherEvents(t *testing.T) {
	t.Parallel()
	const common = `", "verification_session_id": "%s", "client_reference_id": "sess_demo_1", "client_reference_data": null, `
	for _, c := range []struct{ name, event, faults, want string }{
		{
			"a comment has its author and its time", "COMMENT", `{}`,
			`{"event_type": "COMMENT` + common + `"comment": "A note about a specimen.", ` +
				`"author": {"email": "reviewer@aiprise.invalid"}, "created_at": 1779013860000}`,
		},
		{
			"a change of a section has the values before and after", "SECTION_INFO_UPDATE", `{}`,
			`{"event_type": "SECTION_INFO_UPDATE` + common +
				`"data": {"previous": {"last_name": "Sandbox"}, "current": {"last_name": "Sandpit"}}}`,
		},
		{
			"a monitoring hit is at the top level", "AML_MONITORING_UPDATE", `{}`,
			`{"event_type": "AML_MONITORING_UPDATE` + common + `"aml_monitoring_update": {"num_hits": 1}}`,
		},
		{
			"a monitoring hit is under data, as on the older page", "AML_MONITORING_UPDATE", `{"aml_in_data":true}`,
			`{"event_type": "AML_MONITORING_UPDATE", "data": {"verification_session_id": "%s", "template_id": "` +
				template + `", "aml_monitoring_update": {"num_hits": 1}}}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := openAiPrise(t, nil)
			id := l.session("")
			l.clock.add(time.Minute)
			l.control(http.MethodPut, "/control/sessions/"+id+"/faults", c.faults)
			a := l.control(http.MethodPost, "/control/sessions/"+id+"/event", `{"event_type":"`+c.event+`"}`)
			if a.status != http.StatusAccepted || a.body != `{"event_type":"`+c.event+`","sent":true}` {
				t.Fatalf("got %d %s", a.status, a.body)
			}
			if h := take(t, l.events.hooks); h.body != fmt.Sprintf(c.want, id) {
				t.Errorf("got %s", h.body)
			}
			l.wantPoll(id, "NOT_STARTED", "UNKNOWN")
		})
	}

	t.Run("others are refused", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, nil)
		path := "/control/sessions/" + l.session("") + "/event"
		for _, body := range []string{`{}`, `{"event_type":"CASE_STATUS_UPDATE"}`, `{"event_type":1}`} {
			if a := l.control(http.MethodPost, path, body); a.status != http.StatusBadRequest ||
				!strings.Contains(message(t, a), "event_type: must be AML_MONITORING_UPDATE, SECTION_INFO_UPDATE or COMMENT") {
				t.Errorf("%s: %d %s", body, a.status, a.body)
			}
		}
		a := l.control(http.MethodPost, "/control/sessions/none/event", `{"event_type":"COMMENT"}`)
		if a.status != http.StatusNotFound {
			t.Errorf("unknown session: %d %s", a.status, a.body)
		}
	})
}
