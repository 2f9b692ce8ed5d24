package sandbox_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/sandbox"
)

func TestAiPriseSignedIsRight(t *testing.T) {
	t.Parallel()
	// The first is the seed document's, the others were computed outside of Go.
	const spaced = `{"verification_session_id": "4f1d2c3b-0000-4000-8000-000000000001", ` +
		`"template_id": "4f1d2c3b-0000-4000-8000-0000000000aa", "client_reference_id": "sess_demo_1", ` +
		`"aiprise_summary": {"verification_result": "APPROVED"}, "status": "COMPLETED", "created_at": 1779013800000}`
	for _, c := range []struct{ key, body, want string }{
		{
			"abcdef12-pqrs-abcd-pqrs-abcde0123456",
			`{"verification_session_id": "123408f2-2bbb-415f-aafc-92212341234", ` +
				`"template_id": "123456-3434-2342-3453-b4218a4fb333", "client_reference_id": null, ` +
				`"aiprise_summary": {"tags": [], "reasons": [], "notes": [], "verification_result": "APPROVED"}, ` +
				`"created_at": 1668974142818}`,
			"f8bf141ba610974d65f5dd603f7388474c366d1b95a13799748f92261610ba86",
		},
		{aipriseKey, spaced, "3c53f37674c6f37b19f9fa9d9a08633177fa5a3a337c14ac5b2d530c09613ac8"},
		{aipriseKey, compacted(t, spaced), "b8179a7954e5364d6c2a9618e25dc90ddddc19c5c1e37c1f1f7134073b6a09b1"},
	} {
		if got := aipriseSigned(c.key, c.body); got != c.want {
			t.Errorf("%s: %s", c.body, got)
		}
	}
}

func compacted(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.Compact(&out, []byte(text)); err != nil {
		t.Fatalf("compact %s: %v", text, err)
	}
	return out.String()
}

// unsigned replaces what is new in each pre-signed URL.
func unsigned(body string) string {
	return regexp.MustCompile(`signature=[A-Z2-7]+`).ReplaceAllString(body, "signature=S")
}

// goldenResult is what Python's json.dumps writes for the result of %[1]s, whose
// reference is %[2]s.
const goldenResult = `"verification_session_id": "%[1]s", "template_id": "4f1d2c3b-0000-4000-8000-0000000000aa", ` +
	`"client_reference_id": %[2]s, "client_reference_data": {"flow": "kyc", "odd": "a:b,\"c\\\", \u00e9 \ud83d\ude00 <&>\u007f\u0001/\t", "list": [true, null, -1.5, {}, []]}, ` +
	`"aiprise_summary": {"verification_result": "APPROVED"}, "status": "COMPLETED", "status_reasons": [], ` +
	`"created_at": 1779013800000, "environment": "SANDBOX", ` +
	`"user_input": {"user_data": {"first_name": "Ren\u00e9e"}, "additional_user_info": []}, ` +
	`"id_info": {"file_urls": ["https://files.aiprise.invalid/%[1]s/id-front.jpg?signature=S", ` +
	`"https://files.aiprise.invalid/%[1]s/id-back.jpg?signature=S"], "first_name": "Specimen", ` +
	`"id_number": "SPECIMEN-000000", "last_name": "Sandbox", "result": "APPROVED"}, ` +
	`"face_match_info": {"face_match_score": 97, "result": "APPROVED"}, "face_liveness_info": {"result": "APPROVED", ` +
	`"selfie_url": "https://files.aiprise.invalid/%[1]s/selfie.jpg?signature=S"}, ` +
	`"aml_info": {"num_hits": 0, "result": "NOT_FOUND"}, "fraud_insights": {"ip_address": "192.0.2.1", "result": "UNKNOWN"}, ` +
	`"phone_insights": {"carrier": "Specimen Telecom", "result": "FOUND"}, "lookup_info": [], ` +
	`"additional_info": [{"additional_info_type": "x", "additional_info_data": 1.5}], "risk_info": {"risk_score": 0}, ` +
	`"aml_monitoring_info": [], "time_elapsed_to_process": "0.000", "time_elapsed_to_complete_session": "75.000"}`

func TestAiPriseWebhooksAreSpacedAndSigned(t *testing.T) {
	t.Parallel()
	l := openAiPrise(t, nil)
	id := l.session(`{"client_reference_data":{"flow":"kyc","odd":"a:b,\"c\\\", é 😀 <&>\u007f\u0001\/\t","list":[true,null,-1.5,{},[]]},` +
		`"user_data":{"first_name":"Renée"},"additional_info":[{"additional_info_type":"x","additional_info_data":1.5}]}`)
	l.call(http.MethodGet, "/verify?verification_session_id="+id, "")
	l.clock.add(75 * time.Second)
	l.submit(id, "")
	final, events := take(t, l.callbacks.hooks), l.eventTypes(3)

	const event = `{"event_type": %q, "verification_session_id": %q, "client_reference_id": "sess_demo_1", ` +
		`"client_reference_data": {"flow": "kyc", "odd": "a:b,\"c\\\", \u00e9 \ud83d\ude00 <&>\u007f\u0001/\t", "list": [true, null, -1.5, {}, []]}}`
	for kind, want := range map[string]string{
		"VERIFICATION_SESSION_STARTED":    fmt.Sprintf(event, "VERIFICATION_SESSION_STARTED", id),
		"VERIFICATION_REQUEST_SUBMITTED":  fmt.Sprintf(event, "VERIFICATION_REQUEST_SUBMITTED", id),
		"VERIFICATION_SESSION_COMPLETION": golden(`{"event_type": "VERIFICATION_SESSION_COMPLETION", `, id),
	} {
		if got := unsigned(events[kind].body); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", kind, got, want)
		}
	}
	if got, want := unsigned(final.body), golden("{", id); got != want {
		t.Errorf("final:\n%s\nwant\n%s", got, want)
	}

	for _, h := range append(slices.Collect(mapValues(events)), final) {
		signature := h.header.Get("X-HMAC-SIGNATURE")
		if signature != aipriseSigned(aipriseKey, h.body) || h.header.Get("Content-Type") != "application/json" {
			t.Errorf("headers = %v", h.header)
		}
		if signature == aipriseSigned(aipriseKey, compacted(t, h.body)) {
			t.Errorf("encoding anew loses nothing: %s", h.body)
		}
	}
}

// golden is the result of the session after a beginning.
func golden(begin, id string) string { return begin + fmt.Sprintf(goldenResult, id, `"sess_demo_1"`) }

func mapValues[K comparable, V any](m map[K]V) func(yield func(V) bool) {
	return func(yield func(V) bool) {
		for _, v := range m {
			if !yield(v) {
				return
			}
		}
	}
}

func TestAiPriseChannels(t *testing.T) {
	t.Parallel()

	t.Run("lead where the request says, and nowhere without an address", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, nil)
		for _, fields := range []string{`{"callback_url":null}`, `{"events_callback_url":null}`} {
			l.submit(l.session(fields), `,"outcome":"pass"`)
		}
		channels := map[sandbox.Channel]int{}
		for range 3 {
			channels[take(t, l.attempts).Channel]++
		}
		if channels[sandbox.ChannelCallback] != 1 || channels[sandbox.ChannelEvents] != 2 {
			t.Errorf("channels = %v", channels)
		}
		l.close()
		none(t, l.attempts)
		if h := take(t, l.callbacks.hooks); h.field(t, "event_type") != "" || strings.Contains(h.body, "event_type") {
			t.Errorf("the final result has an event type: %s", h.body)
		}
	})

	t.Run("carry null where the request had nothing", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, nil)
		l.submit(l.session(`{"client_reference_id":null}`), `,"outcome":"review"`)
		h := take(t, l.callbacks.hooks)
		for _, want := range []string{
			`"client_reference_id": null, "client_reference_data": null`, `"user_data": null`, `"additional_info": [], `,
		} {
			if !strings.Contains(h.body, want) {
				t.Errorf("no %s in %s", want, h.body)
			}
		}
	})

	t.Run("become one in profile mode", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, func(o *sandbox.AiPriseOptions) { o.Faults.ProfileMode = true })
		l.pass(`{}`)
		events := l.eventTypes(2)
		if h := events["VERIFICATION_SESSION_COMPLETION"]; h.field(t, "status") != "COMPLETED" {
			t.Errorf("events = %v", events)
		}
		l.close()
		none(t, l.callbacks.hooks)
	})

	for _, c := range []struct {
		fault                string
		dropped              int
		callbacks, eventsGot int
	}{
		{"drop_callback", 1, 0, 2}, {"drop_events", 2, 1, 0}, {"drop", 3, 0, 0},
	} {
		t.Run("lose what "+c.fault+" says, and polling finds it", func(t *testing.T) {
			t.Parallel()
			l := openAiPrise(t, nil)
			id := l.pass(`{"` + c.fault + `":true}`)
			dropped := 0
			for range 3 {
				if d := take(t, l.attempts); d.Dropped {
					dropped++
				}
			}
			l.close()
			if dropped != c.dropped || len(l.callbacks.hooks) != c.callbacks || len(l.events.hooks) != c.eventsGot {
				t.Errorf("%d dropped, %d callbacks, %d events", dropped, len(l.callbacks.hooks), len(l.events.hooks))
			}
			l.wantPoll(id, "COMPLETED", "APPROVED")
		})
	}
}

func TestAiPriseWebhookFaults(t *testing.T) {
	t.Parallel()

	t.Run("wrong_secret signs with another key", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, nil)
		l.pass(`{"wrong_secret":true}`)
		h := take(t, l.callbacks.hooks)
		got := h.header.Get("X-HMAC-SIGNATURE")
		if len(got) != 64 || got == aipriseSigned(aipriseKey, h.body) {
			t.Errorf("signature = %q", got)
		}
	})

	t.Run("compact leaves the spaces out and signs that", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, nil)
		l.pass(`{"compact":true}`)
		h := take(t, l.callbacks.hooks)
		if h.body != compacted(t, h.body) || h.header.Get("X-HMAC-SIGNATURE") != aipriseSigned(aipriseKey, h.body) {
			t.Errorf("%v %s", h.header, h.body)
		}
	})

	t.Run("wrong_reference is somebody else's everywhere but in polls", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, nil)
		id := l.pass(`{"wrong_reference":true}`)
		hooks := append(slices.Collect(mapValues(l.eventTypes(2))), take(t, l.callbacks.hooks))
		for _, h := range hooks {
			if got := h.field(t, "client_reference_id"); len(got) != 36 || h.field(t, "verification_session_id") != id {
				t.Errorf("body = %s", h.body)
			}
		}
		if a := l.poll(id); !strings.Contains(a.body, `"client_reference_id":"sess_demo_1"`) {
			t.Errorf("poll = %s", a.body)
		}
	})

	t.Run("no_reference is null", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, nil)
		l.pass(`{"no_reference":true}`)
		hooks := append(slices.Collect(mapValues(l.eventTypes(2))), take(t, l.callbacks.hooks))
		for _, h := range hooks {
			if !strings.Contains(h.body, `"client_reference_id": null, `) {
				t.Errorf("body = %s", h.body)
			}
		}
	})

	for fault, want := range map[string][2]string{
		"unknown_status":  {"SANDBOX_UNKNOWN", "APPROVED"},
		"unknown_result":  {"COMPLETED", "SANDBOX_UNKNOWN"},
		"workflow_failed": {"FAILED", "UNKNOWN"},
	} {
		t.Run(fault+" changes webhooks and polls alike", func(t *testing.T) {
			t.Parallel()
			l := openAiPrise(t, nil)
			id := l.pass(`{"` + fault + `":true}`)
			for _, h := range []hook{
				take(t, l.callbacks.hooks), l.eventTypes(2)["VERIFICATION_SESSION_COMPLETION"], {body: l.poll(id).body},
			} {
				if h.field(t, "status") != want[0] || h.field(t, "aiprise_summary", "verification_result") != want[1] {
					t.Errorf("body = %s", h.body)
				}
			}
		})
	}

	t.Run("unknown_event replaces the types of events, and gives the final result none", func(t *testing.T) {
		t.Parallel()
		l := openAiPrise(t, nil)
		l.pass(`{"unknown_event":true}`)
		for range 2 {
			if h := take(t, l.events.hooks); h.field(t, "event_type") != "SANDBOX_UNKNOWN_EVENT" {
				t.Errorf("event = %s", h.body)
			}
		}
		if h := take(t, l.callbacks.hooks); strings.Contains(h.body, "event_type") {
			t.Errorf("final = %s", h.body)
		}
	})
}
