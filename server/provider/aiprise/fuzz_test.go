package aiprise_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/provider/providertest"
	"github.com/verigate/verigate/server/verification"
)

// FuzzSignatureHeader: whatever stands in the header, only a signature of the
// body by a key in force is authentic.
func FuzzSignatureHeader(f *testing.F) {
	for _, signature := range []string{
		demoSignature, strings.ToUpper(demoSignature), compactSignature, mac(previousKey, demoBody), seedSignature,
		"sha256=" + demoSignature, "", " ", strings.Repeat("0", 64),
	} {
		f.Add(signature)
	}
	p := open(f)
	f.Fuzz(func(t *testing.T, signature string) {
		header := http.Header{"X-Hmac-Signature": {signature}}
		err := p.Authenticate(provider.Webhook{Header: header, Body: []byte(demoBody), ReceiveTime: now()})
		if err != nil {
			if !errors.Is(err, provider.ErrUnauthentic) {
				t.Errorf("got %v, want ErrUnauthentic", err)
			}
			return
		}
		if lower := strings.ToLower(signature); lower != mac(demoKey, demoBody) && lower != mac(previousKey, demoBody) {
			t.Errorf("signature %q is authentic", signature)
		}
	})
}

// FuzzDecode: no body makes Decode panic or return what cannot be stored, and
// none passes that does not say APPROVED.
func FuzzDecode(f *testing.F) {
	for _, body := range []string{
		seedBody, demoBody, caseBody, result(`"RUNNING"`, `"UNKNOWN"`), result(`"FAILED"`, `"APPROVED"`),
		event("CASE_STATUS_UPDATE", `"verification_result":"APPROVED"`), event("COMMENT", `"created_at":1779013800000`),
		event("VERIFICATION_SESSION_COMPLETION", `"aiprise_summary":{"verification_result":"APPROVED"}`),
		`{"event_type":"AML_MONITORING_UPDATE","data":{"verification_session_id":"vs_1","template_id":"t"}}`,
		`{"user_profile_event_type":"RUN_USER_VERIFICATION","verification_session_id":"vs_1","status":"COMPLETED"}`,
		result(`"COMPLETED"`, `"DECLINED"`, `"status_reasons":[{"code":"A"}]`, `"environment":"SANDBOX"`),
		`{"event_type":"a\u0000"}`, "", "null", "{}",
	} {
		f.Add([]byte(body))
	}
	p := open(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		providertest.CheckDecode(t, p, body)
		n, err := p.Decode(provider.Webhook{Body: body, ReceiveTime: now()})
		if err != nil {
			return
		}
		passes := n.Event.Kind == verification.Passed || n.Event.Kind == verification.RevisedToPassed
		if passes && !saysApproved(body) {
			t.Errorf("%q passes as %+v", body, n)
		}
		if n.Kind == provider.NoticeEvent && (len(n.Event.Keys) != 1 || !strings.HasPrefix(n.Event.Keys[0], "session:")) {
			t.Errorf("%q is about %v", body, n.Event.Keys)
		}
	})
}
