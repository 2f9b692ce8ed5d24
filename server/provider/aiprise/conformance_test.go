package aiprise_test

import (
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/provider/providertest"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/verification"
)

const caseBody = `{"event_type": "CASE_STATUS_UPDATE", "verification_session_id": "4f1d2c3b-0000-4000-8000-000000000001", "client_reference_id": "sess_demo_1", "verification_result": "DECLINED", "reason": {"code": "FAKE_ID", "message": "document rejected"}, "author": {"email": "reviewer@example.test"}, "callback_uuid": "cb-1"}`

// demoPage is the page of goodAnswer.
const demoPage = "https://verify-sandbox.aiprise.com/?verification_session_id=" + sessionID

const goodAnswer = `{"message":"ok","verification_url":"` + demoPage + `","verification_session_id":"` + sessionID + `","session_expiry_time":"2026-05-17T11:15:00Z"}`

func TestConformance(t *testing.T) {
	t.Parallel()
	providertest.Run(t, harness())
}

func harness() providertest.Harness {
	return providertest.Harness{
		Open: func(t *testing.T, o providertest.Options) provider.Provider {
			t.Helper()
			s := good()
			s.BaseURL, s.Timeout, s.APIKeys = o.BaseURL, o.Timeout, nil
			for _, text := range o.Secrets {
				s.APIKeys = append(s.APIKeys, secret.New(text))
			}
			p, err := s.Open(o.Deps)
			if err != nil {
				t.Fatalf("Open: %v", err)
			}
			return p
		},
		Sign: func(body []byte, key string, _ time.Time) http.Header {
			return webhook(string(body), mac(key, string(body))).Header
		},
		SignatureHeader: "X-HMAC-SIGNATURE",
		MalformedSignatures: []string{
			"sha256=" + strings.Repeat("0", 64), strings.Repeat("g", 64), " " + strings.Repeat("0", 64),
			strings.Repeat("00", 64), "0x" + strings.Repeat("0", 62),
		},
		Fixtures: fixtures(),
		Start:    startSession(),
		Answer: func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, goodAnswer)
		},
		CheckStart: checkStart,
		Session: verification.Session{
			HostedURL:  demoPage,
			Refs:       []string{sessionRef},
			ExpireTime: time.Date(2026, time.May, 17, 11, 15, 0, 0, time.UTC),
		},
	}
}

func fixtures() []providertest.Fixture {
	return []providertest.Fixture{
		{Name: "the seed document's final result", Body: []byte(seedBody), Notice: provider.Notice{
			Kind:           provider.NoticeEvent,
			DedupeKey:      seedDedupeKey,
			ProviderStatus: "-/APPROVED",
			Event: verification.Event{
				Kind:    verification.Passed,
				Keys:    []string{"session:123408f2-2bbb-415f-aafc-92212341234"},
				Product: "123456-3434-2342-3453-b4218a4fb333",
			},
		}},
		{Name: "a final result with a status", Body: []byte(demoBody), Notice: provider.Notice{
			Kind:           provider.NoticeEvent,
			DedupeKey:      demoDedupeKey,
			ProviderStatus: "COMPLETED/APPROVED",
			Event: verification.Event{
				Kind: verification.Passed, VerificationID: "sess_demo_1", Keys: []string{sessionRef}, Product: templateID,
			},
		}},
		{Name: "a reviewer's change of the decision", Body: []byte(caseBody), Notice: provider.Notice{
			Kind:           provider.NoticeEvent,
			DedupeKey:      "callback_uuid:cb-1:CASE_STATUS_UPDATE:/DECLINED",
			ProviderEvent:  "CASE_STATUS_UPDATE",
			ProviderStatus: "-/DECLINED",
			Event: verification.Event{
				Kind: verification.RevisedToRejected, VerificationID: "sess_demo_1", Keys: []string{sessionRef},
				ReasonCodes: []string{"provider_declined", "aiprise_fake_id"},
			},
		}},
	}
}

// checkStart compares the whole request with AiPrise's OpenAPI description.
func checkStart(t *testing.T, r *http.Request, body []byte) {
	t.Helper()
	if r.Method != http.MethodPost || r.URL.RequestURI() != "/verify/get_user_verification_url" {
		t.Errorf("got %s %s, want POST /verify/get_user_verification_url", r.Method, r.URL.RequestURI())
	}
	for name, want := range map[string]string{
		"X-API-KEY": "providertest-current-secret", "Authorization": "", "Content-Type": "application/json", "Accept": "application/json",
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("header %s: got %q, want %q", name, got, want)
		}
	}
	checkBody(t, body, `{
		"template_id": "`+templateID+`",
		"redirect_uri": "https://gateway.example/return/nonce?a=1&b=2",
		"client_reference_id": "`+ourID+`",
		"client_reference_data": {"flow": "kyc"},
		"callback_url": "https://gateway.example/webhooks/aiprise",
		"events_callback_url": "https://gateway.example/webhooks/aiprise/events"
	}`)
}

// checkBody compares two JSON texts by what they say.
func checkBody(t *testing.T, body []byte, want string) {
	t.Helper()
	var got, wanted any
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatalf("the request body is not JSON: %v", err)
	}
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatalf("the expected body is not JSON: %v", err)
	}
	if !reflect.DeepEqual(got, wanted) {
		t.Errorf("request body:\n got %v\nwant %v", got, wanted)
	}
}
