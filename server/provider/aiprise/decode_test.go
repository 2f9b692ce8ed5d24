package aiprise_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/verification"
)

func TestEvents(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]verification.EventKind{
		"VERIFICATION_SESSION_STARTED":   verification.SessionOpened,
		"VERIFICATION_REQUEST_SUBMITTED": verification.PersonSubmitted,
		"AML_MONITORING_UPDATE":          verification.Noted,
		"SECTION_INFO_UPDATE":            verification.Noted,
		"COMMENT":                        verification.Noted,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := decodeBody(t, open(t), event(name, `"created_at":"then"`, `"client_reference_id":"`+ourID+`"`, `"template_id":"`+templateID+`"`))
			wanted := verification.Event{Kind: want, VerificationID: ourID, Keys: []string{sessionRef}, Product: templateID}
			if n.Kind != provider.NoticeEvent || n.ProviderEvent != name || !reflect.DeepEqual(n.Event, wanted) || n.ProviderStatus != "" {
				t.Errorf("got %+v, want %+v", n, wanted)
			}
		})
	}
	t.Run("a completion says what the final result says", func(t *testing.T) {
		t.Parallel()
		final := decodeBody(t, open(t), demoBody)
		for _, key := range []string{`"event_type": "VERIFICATION_SESSION_COMPLETION"`, `"user_profile_event_type": "RUN_USER_VERIFICATION"`} {
			n := decodeBody(t, open(t), "{"+key+", "+demoBody[1:])
			if !reflect.DeepEqual(n.Event, final.Event) || n.ProviderStatus != final.ProviderStatus || n.DedupeKey == final.DedupeKey {
				t.Errorf("got %+v, want the event of %+v under another dedupe key", n, final)
			}
		}
	})
	t.Run("the other events of a profile tell of no session", func(t *testing.T) {
		t.Parallel()
		n := decodeBody(t, open(t), `{"user_profile_event_type":"ADD_ADDITIONAL_MEDIA","user_profile_id":"p1","author_id":"a1"}`)
		if n.Kind != provider.NoticeUnknown || n.ProviderEvent != "ADD_ADDITIONAL_MEDIA" || !reflect.DeepEqual(n.Event, verification.Event{}) || n.UnknownFields != nil {
			t.Errorf("got %+v", n)
		}
	})
	for name, body := range map[string]string{
		"an event that nobody knows":                    event("NEW_EVENT", `"status":"COMPLETED"`, `"aiprise_summary":{"verification_result":"APPROVED"}`),
		"an event in another letter case":               event("case_status_update", `"verification_result":"APPROVED"`),
		"a profile's event name as an event of a case":  event("RUN_USER_VERIFICATION", `"status":"COMPLETED"`, `"aiprise_summary":{"verification_result":"APPROVED"}`),
		"a session's event name as an event of profile": `{"user_profile_event_type":"CASE_STATUS_UPDATE","verification_session_id":"vs_1","verification_result":"APPROVED"}`,
		"an event that names no session":                `{"event_type":"NEW_EVENT"}`,
	} {
		t.Run(name+" is unknown", func(t *testing.T) {
			t.Parallel()
			n := decodeBody(t, open(t), body)
			if n.Kind != provider.NoticeUnknown || n.ProviderEvent == "" || n.DedupeKey == "" || !reflect.DeepEqual(n.Event, verification.Event{}) {
				t.Errorf("got %+v", n)
			}
		})
	}
	t.Run("an event type that is null is none", func(t *testing.T) {
		t.Parallel()
		n := decodeBody(t, open(t), result(`"COMPLETED"`, `"APPROVED"`, `"event_type":null`, `"user_profile_event_type":null`))
		if n.Event.Kind != verification.Passed || n.ProviderEvent != "" {
			t.Errorf("got %+v", n)
		}
	})
}

func TestLinks(t *testing.T) {
	t.Parallel()
	upper := strings.ToUpper(templateID)
	for name, c := range map[string]struct {
		body                        string
		session, product, reference string
	}{
		"the seed document's example":        {seedBody, "123408f2-2bbb-415f-aafc-92212341234", "123456-3434-2342-3453-b4218a4fb333", ""},
		"ids at the top":                     {demoBody, sessionID, templateID, "sess_demo_1"},
		"ids under data":                     {`{"event_type":"AML_MONITORING_UPDATE","data":{"verification_session_id":"vs_1","template_id":"t","aml_monitoring_update":{}}}`, "vs_1", "t", ""},
		"ids in both, the same":              {event("COMMENT", `"template_id":"t"`, `"data":{"verification_session_id":"`+sessionID+`","template_id":"t"}`), sessionID, "t", ""},
		"nulls in one place":                 {`{"event_type":"COMMENT","verification_session_id":null,"data":{"verification_session_id":"vs_1"}}`, "vs_1", "", ""},
		"data that is a list":                {event("SECTION_INFO_UPDATE", `"data":[{"template_id":"t"}]`), sessionID, "", ""},
		"data that is null":                  {event("SECTION_INFO_UPDATE", `"data":null`), sessionID, "", ""},
		"data in a final result":             {result(`"RUNNING"`, "", `"data":{"verification_session_id":"other","template_id":"t"}`), sessionID, "", ""},
		"a template id in upper case":        {result(`"RUNNING"`, "", `"template_id":"`+upper+`"`), sessionID, templateID, ""},
		"a template that is no UUID":         {result(`"RUNNING"`, "", `"template_id":"Template"`), sessionID, "Template", ""},
		"a template that is a UUID in words": {result(`"RUNNING"`, "", `"template_id":"urn:uuid:`+upper+`"`), sessionID, "urn:uuid:" + upper, ""},
		"an empty reference":                 {result(`"RUNNING"`, "", `"client_reference_id":""`), sessionID, "", ""},
		"a reference of somebody else's":     {result(`"RUNNING"`, "", `"client_reference_id":"user 12345"`), sessionID, "", "user 12345"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := decodeBody(t, open(t), c.body).Event
			if !slices.Equal(e.Keys, []string{"session:" + c.session}) || e.Refs != nil || e.Product != c.product || e.VerificationID != c.reference {
				t.Errorf("got %+v", e)
			}
		})
	}
}

func TestUnreadableBodies(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"nothing":                               "",
		"a text":                                `"APPROVED"`,
		"a list":                                `[` + demoBody + `]`,
		"null":                                  "null",
		"an empty object":                       "{}",
		"two objects":                           demoBody + demoBody,
		"an object cut short":                   demoBody[:len(demoBody)-1],
		"a missing comma":                       strings.Replace(demoBody, `", "`, `" "`, 1),
		"both kinds of event":                   event("COMMENT", `"user_profile_event_type":"USER_PROFILE_CREATE"`),
		"an event type that is empty":           result(`"COMPLETED"`, `"APPROVED"`, `"event_type":""`),
		"an event type that is a number":        result(`"COMPLETED"`, `"APPROVED"`, `"event_type":1`),
		"an event type with a NUL":              event("COM\x00MENT"),
		"an event type that is too long":        event(strings.Repeat("E", 201)),
		"a profile event type that is a list":   `{"user_profile_event_type":["RUN_USER_VERIFICATION"]}`,
		"no session":                            `{"status":"COMPLETED","aiprise_summary":{"verification_result":"APPROVED"}}`,
		"an event without a session":            `{"event_type":"COMMENT"}`,
		"a session that is null":                `{"event_type":"COMMENT","verification_session_id":null}`,
		"a session that is empty":               `{"event_type":"COMMENT","verification_session_id":""}`,
		"a session that is a number":            `{"event_type":"COMMENT","verification_session_id":4711}`,
		"a session with a NUL":                  `{"event_type":"COMMENT","verification_session_id":"vs\u0000"}`,
		"a session that is too long":            `{"event_type":"COMMENT","verification_session_id":"` + strings.Repeat("v", 201) + `"}`,
		"two sessions":                          event("COMMENT", `"data":{"verification_session_id":"vs_other"}`),
		"two sessions in letter case":           `{"event_type":"COMMENT","verification_session_id":"vs_1","data":{"verification_session_id":"VS_1"}}`,
		"two templates":                         event("COMMENT", `"template_id":"a"`, `"data":{"template_id":"b"}`),
		"an odd session under data":             event("COMMENT", `"data":{"verification_session_id":1}`),
		"a key twice under data":                event("COMMENT", `"data":{"a":1,"a":2}`),
		"a template that is a number":           result(`"RUNNING"`, "", `"template_id":1`),
		"a reference that is a number":          result(`"RUNNING"`, "", `"client_reference_id":1`),
		"a reference with a NUL":                result(`"RUNNING"`, "", `"client_reference_id":"a\u0000"`),
		"a reference that is too long":          result(`"RUNNING"`, "", `"client_reference_id":"`+strings.Repeat("r", 201)+`"`),
		"neither status nor result":             result("", ""),
		"neither status nor result, by nulls":   result("null", "null"),
		"a completion without either":           event("VERIFICATION_SESSION_COMPLETION"),
		"a profile's completion without either": `{"user_profile_event_type":"RUN_USER_VERIFICATION","verification_session_id":"vs_1"}`,
		"a status that is true":                 result(`true`, `"APPROVED"`),
		"a result that is true":                 result(`"COMPLETED"`, `true`),
		"a result that is a list":               result(`"COMPLETED"`, `["APPROVED"]`),
		"a summary that is a text":              result(`"COMPLETED"`, "", `"aiprise_summary":"APPROVED"`),
		"a case update to a number":             event("CASE_STATUS_UPDATE", `"verification_result":1`),
		"a status twice":                        result(`"FAILED"`, `"APPROVED"`, `"status":"COMPLETED"`),
		"a status twice by escape":              result(`"FAILED"`, `"APPROVED"`, `"st\u0061tus":"COMPLETED"`),
		"a result twice":                        result(`"COMPLETED"`, "", `"aiprise_summary":{"verification_result":"DECLINED","verification_result":"APPROVED"}`),
		"a summary twice":                       result(`"COMPLETED"`, `"DECLINED"`, `"aiprise_summary":{"verification_result":"APPROVED"}`),
		"a session twice":                       result(`"COMPLETED"`, `"APPROVED"`, `"verification_session_id":"vs_other"`),
		"keys in another letter case":           strings.ReplaceAll(demoBody, "verification_session_id", "Verification_Session_Id"),
	} {
		t.Run(name+" cannot be read", func(t *testing.T) {
			t.Parallel()
			n, err := open(t).Decode(webhook(body))
			if err == nil || !reflect.DeepEqual(n, provider.Notice{}) {
				t.Fatalf("Decode: got %+v, %v, want an error alone", n, err)
			}
			for _, value := range []string{"vs_", "APPROVED", sessionID, "4711", "COMMENT"} {
				if strings.Contains(err.Error(), value) {
					t.Errorf("the error repeats %q: %v", value, err)
				}
			}
		})
	}
}

func TestDedupeKeys(t *testing.T) {
	t.Parallel()
	key := func(body string) string { return decodeBody(t, open(t), body).DedupeKey }
	with := func(value string) string { return result(`"RUNNING"`, "", `"callback_uuid":`+value) }
	t.Run("the callback's own id is one", func(t *testing.T) {
		t.Parallel()
		if got := key(with(`"11111111-2222-4333-8444-555555555555"`)); got != "callback_uuid:11111111-2222-4333-8444-555555555555::RUNNING/" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("another decision under the same id is another", func(t *testing.T) {
		t.Parallel()
		revised := func(to string) string {
			return key(event("CASE_STATUS_UPDATE", `"verification_result":"`+to+`"`, `"callback_uuid":"u1"`))
		}
		final := func(to string) string { return key(result(`"COMPLETED"`, `"`+to+`"`, `"callback_uuid":"u1"`)) }
		keys := map[string]bool{revised("DECLINED"): true, revised("APPROVED"): true, final("DECLINED"): true, final("APPROVED"): true}
		if len(keys) != 4 || !keys[revised("DECLINED")] {
			t.Errorf("got %v", keys)
		}
	})
	t.Run("without it, it is the hash of the body", func(t *testing.T) {
		t.Parallel()
		if got := key(demoBody); got != demoDedupeKey {
			t.Errorf("got %q", got)
		}
	})
	for _, value := range []string{`null`, `""`, `7`, `"a\u0000"`, `{}`} {
		t.Run("the callback id "+value+" is none", func(t *testing.T) {
			t.Parallel()
			if got := key(with(value)); !strings.HasPrefix(got, "sha256:") {
				t.Errorf("got %q", got)
			}
		})
	}
	t.Run("a retry has the same, another body another", func(t *testing.T) {
		t.Parallel()
		first, again, other := key(demoBody), key(demoBody), key(demoBody+"\n")
		if first != again || first == other {
			t.Error("the dedupe key does not follow the body")
		}
	})
}

func TestProviderTime(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, time.May, 17, 10, 30, 0, 0, time.UTC)
	for value, want := range map[string]time.Time{
		`1779013800000`:                 at,
		`1779013800123`:                 at.Add(123 * time.Millisecond),
		`"2026-05-17T10:30:00Z"`:        at,
		`"2026-05-17T12:30:00.5+02:00"`: at.Add(500 * time.Millisecond),
		`253402300799999`:               time.UnixMilli(253402300799999).UTC(),
		`253402300800000`:               {},
		`0`:                             {},
		`-1`:                            {},
		`1.5`:                           {},
		`1e30`:                          {},
		`"yesterday"`:                   {},
		`null`:                          {},
		`{}`:                            {},
	} {
		t.Run("a comment's created_at "+value, func(t *testing.T) {
			t.Parallel()
			if got := decodeBody(t, open(t), event("COMMENT", `"created_at":`+value)).Event.ProviderTime; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
	t.Run("the created_at of everything else is the session's", func(t *testing.T) {
		t.Parallel()
		for _, body := range []string{
			demoBody, event("CASE_STATUS_UPDATE", `"created_at":1779013800000`), event("AML_MONITORING_UPDATE", `"created_at":1779013800000`),
		} {
			if got := decodeBody(t, open(t), body).Event.ProviderTime; !got.IsZero() {
				t.Errorf("%s: got %s", body, got)
			}
		}
	})
}

func TestUnknownFields(t *testing.T) {
	t.Parallel()
	t.Run("are named at the top, without values, sorted", func(t *testing.T) {
		t.Parallel()
		n := decodeBody(t, open(t), result(`"RUNNING"`, "", `"zip":"secret"`, `"Status":"x"`, `"new_info":{"name":"secret"}`))
		if want := []string{"Status", "new_info", "zip"}; !slices.Equal(n.UnknownFields, want) {
			t.Errorf("got %v, want %v", n.UnknownFields, want)
		}
	})
	t.Run("are none in the documented payloads", func(t *testing.T) {
		t.Parallel()
		for _, body := range []string{
			seedBody,
			result(`"COMPLETED"`, `"APPROVED"`, `"template_id":"t"`, `"client_reference_id":"r"`, `"client_reference_data":{}`, `"status_reasons":[]`,
				`"created_at":1`, `"environment":"SANDBOX"`, `"user_input":{}`, `"id_info":{}`, `"face_match_info":{}`, `"face_liveness_info":{}`,
				`"aml_info":{}`, `"fraud_insights":{}`, `"phone_insights":{}`, `"lookup_info":[]`, `"additional_info":[]`, `"risk_info":{}`,
				`"aml_monitoring_info":[]`, `"time_elapsed_to_process":"1"`, `"time_elapsed_to_complete_session":"1"`, `"callback_uuid":"u"`),
			event("CASE_STATUS_UPDATE", `"verification_result":"DECLINED"`, `"reason":{}`, `"author":{"email":"reviewer@example.test"}`),
			event("AML_MONITORING_UPDATE", `"aml_monitoring_update":{}`),
			event("COMMENT", `"comment":"c"`, `"author":{}`, `"created_at":1`),
			`{"user_profile_event_type":"USER_PROFILE_CREATE","user_profile_id":"p","author_id":"a"}`,
		} {
			if n := decodeBody(t, open(t), body); len(n.UnknownFields) > 0 {
				t.Errorf("%s: got %v", body, n.UnknownFields)
			}
		}
	})
	t.Run("lose what is not plain, and are bounded", func(t *testing.T) {
		t.Parallel()
		n := decodeBody(t, open(t), result(`"RUNNING"`, "", `"a b\u0000ü-c.d_e":1`, `"ü":1`, `"`+strings.Repeat("k", 65)+`":1`))
		if want := []string{"ab-c.d_e", strings.Repeat("k", 64)}; !slices.Equal(n.UnknownFields, want) {
			t.Errorf("got %v, want %v", n.UnknownFields, want)
		}
		var more []string
		for i := range 30 {
			more = append(more, fmt.Sprintf(`"x%02d":1`, i))
		}
		if n := decodeBody(t, open(t), result(`"RUNNING"`, "", more...)); len(n.UnknownFields) != 20 || n.UnknownFields[19] != "x19" {
			t.Errorf("got %v", n.UnknownFields)
		}
	})
}

// What a reviewer is called and writes is personal.
func TestNothingPersonalIsKept(t *testing.T) {
	t.Parallel()
	personal := []string{`"author":{"email":"reviewer@example.test"}`, `"comment":"Jane looks odd"`, `"user_input":{"user_data":{"first_name":"Jane"}}`}
	for _, body := range []string{
		event("COMMENT", personal...),
		event("CASE_STATUS_UPDATE", append(personal, `"verification_result":"DECLINED"`, `"reason":{"code":"Jane","message":"Jane"}`)...),
		result(`"COMPLETED"`, `"DECLINED"`, append(personal, `"status_reasons":[{"code":"Jane","message":"Jane"}]`)...),
		result(`7`, `"DECLINED"`, personal...),
	} {
		n, err := open(t).Decode(webhook(body))
		text := fmt.Sprintf("%+v %v", n, err)
		if strings.Contains(text, "Jane") || strings.Contains(text, "reviewer") {
			t.Errorf("Decode(%s) keeps %s", body, text)
		}
	}
}
