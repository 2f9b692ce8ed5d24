package aiprise_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/provider/aiprise"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/verification"
)

// The golden vectors: the seed document's example with its own key, and a body
// of ours in the same spaced form, signed by another program.
const (
	seedKey       = "abcdef12-pqrs-abcd-pqrs-abcde0123456"
	seedBody      = `{"verification_session_id": "123408f2-2bbb-415f-aafc-92212341234", "template_id": "123456-3434-2342-3453-b4218a4fb333", "client_reference_id": null, "aiprise_summary": {"tags": [], "reasons": [], "notes": [], "verification_result": "APPROVED"}, "created_at": 1668974142818}`
	seedSignature = "f8bf141ba610974d65f5dd603f7388474c366d1b95a13799748f92261610ba86"

	demoKey          = "demo-aiprise-key"
	demoBody         = `{"verification_session_id": "4f1d2c3b-0000-4000-8000-000000000001", "template_id": "4f1d2c3b-0000-4000-8000-0000000000aa", "client_reference_id": "sess_demo_1", "aiprise_summary": {"verification_result": "APPROVED"}, "status": "COMPLETED", "created_at": 1779013800000}`
	demoSignature    = "3c53f37674c6f37b19f9fa9d9a08633177fa5a3a337c14ac5b2d530c09613ac8"
	compactSignature = "b8179a7954e5364d6c2a9618e25dc90ddddc19c5c1e37c1f1f7134073b6a09b1"
)

// The SHA-256 of the two bodies, by another program.
const (
	seedDedupeKey = "sha256:5f630dd5077d25f487b34b27c03cff1d47d364037348828e784e94bd23048115"
	demoDedupeKey = "sha256:583303fd56819dbbcd6c8aa2e234ab2af0d8c015784b1235715336a279092862"
)

// The ids of the demo body and of every other body here.
const (
	sessionID  = "4f1d2c3b-0000-4000-8000-000000000001"
	sessionRef = "session:" + sessionID
	templateID = "4f1d2c3b-0000-4000-8000-0000000000aa"
	ourID      = "0198c0de-0000-7000-8000-000000000001"
)

const previousKey = "previous-aiprise-key"

// providerText stands for what AiPrise may write about a failure.
const providerText = "text of the provider"

func now() time.Time { return time.Date(2026, time.May, 17, 10, 30, 0, 0, time.UTC) }

// good returns settings that are complete, of a test connection.
func good() *aiprise.Settings {
	s, _ := aiprise.New().(*aiprise.Settings)
	s.APIKeys = []secret.Value{secret.New(demoKey), secret.New(previousKey)}
	s.Environment = verification.Test
	return s
}

// open opens good settings after the changes.
func open(tb testing.TB, change ...func(*aiprise.Settings)) provider.Provider {
	tb.Helper()
	s := good()
	for _, c := range change {
		c(s)
	}
	p, err := s.Open(deps())
	if err != nil {
		tb.Fatalf("Open: %v", err)
	}
	return p
}

func live(s *aiprise.Settings) { s.Environment = verification.Live }

func deps() provider.Deps {
	return provider.Deps{HTTP: http.DefaultClient, Log: slog.New(slog.DiscardHandler), Now: now}
}

func mac(key, message string) string {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(message))
	return hex.EncodeToString(h.Sum(nil))
}

// webhook returns the body with the signatures, one by the demo key if none is
// given.
func webhook(body string, signatures ...string) provider.Webhook {
	if len(signatures) == 0 {
		signatures = []string{mac(demoKey, body)}
	}
	header := http.Header{}
	for _, signature := range signatures {
		header.Add("X-HMAC-SIGNATURE", signature)
	}
	return provider.Webhook{Header: header, Body: []byte(body), ReceiveTime: now()}
}

// result returns a final result with a status and a result, each a JSON value,
// "" to leave its key out, and more members.
func result(status, decided string, more ...string) string {
	members := []string{fmt.Sprintf(`"verification_session_id":%q`, sessionID)}
	if status != "" {
		members = append(members, `"status":`+status)
	}
	if decided != "" {
		members = append(members, `"aiprise_summary":{"verification_result":`+decided+`}`)
	}
	return "{" + strings.Join(append(members, more...), ",") + "}"
}

// event returns an event with its type and more members.
func event(name string, more ...string) string {
	members := []string{fmt.Sprintf(`"event_type":%q`, name), fmt.Sprintf(`"verification_session_id":%q`, sessionID)}
	return "{" + strings.Join(append(members, more...), ",") + "}"
}

func decodeBody(t *testing.T, p provider.Provider, body string) provider.Notice {
	t.Helper()
	n, err := p.Decode(webhook(body))
	if err != nil {
		t.Fatalf("Decode(%s): %v", body, err)
	}
	return n
}

func startSession() verification.StartSession {
	return verification.StartSession{
		VerificationID:   uuid.MustParse(ourID),
		Product:          templateID,
		AnyReturnURL:     "https://gateway.example/return/nonce?a=1&b=2",
		WebhookURL:       "https://gateway.example/webhooks/aiprise",
		EventsWebhookURL: "https://gateway.example/webhooks/aiprise/events",
		Flow:             "kyc",
		Now:              now(),
		ExpireTime:       now().Add(time.Hour),
	}
}
