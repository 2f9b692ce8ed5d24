package receiver_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/verigate/verigate/docs/receiver"
	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/contract"
	"github.com/verigate/verigate/server/verification"
)

const testSecret = "whsec_c2FuZGJveC1jYWxsYmFjay1zZWNyZXQtMzItYnl0ZXM="

// message is a callback that was signed in one language and must verify in the
// others: the TypeScript tests read the same file.
type message struct {
	Name      string `json:"name"`
	SignedBy  string `json:"signedBy"`
	Secret    string `json:"secret"`
	ID        string `json:"id"`
	Timestamp int64  `json:"timestamp"`
	Signature string `json:"signature"`
	Body      string `json:"body"`
}

func messages(t *testing.T) []message {
	t.Helper()
	text, err := os.ReadFile("testdata/messages.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []message
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	for _, language := range []string{"go", "typescript"} {
		if !slices.ContainsFunc(all, func(m message) bool { return m.SignedBy == language }) {
			t.Errorf("no message is signed by %s", language)
		}
	}
	return all
}

func (m *message) header() http.Header {
	h := http.Header{}
	h.Set(standardwebhooks.HeaderWebhookID, m.ID)
	h.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(m.Timestamp, 10))
	h.Set(standardwebhooks.HeaderWebhookSignature, m.Signature)
	return h
}

func TestMessagesThatWereSignedInOtherLanguagesVerify(t *testing.T) {
	t.Parallel()
	for _, m := range messages(t) {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			verifier, err := standardwebhooks.NewWebhook(m.Secret)
			if err != nil {
				t.Fatal(err)
			}
			if err := verifier.VerifyIgnoringTimestamp([]byte(m.Body), m.header()); err != nil {
				t.Errorf("it does not verify: %v", err)
			}
			if verifier.VerifyIgnoringTimestamp([]byte(m.Body+" "), m.header()) == nil {
				t.Error("a changed body verifies too")
			}
			signed, err := verifier.Sign(m.ID, time.Unix(m.Timestamp, 0), []byte(m.Body))
			if err != nil || !slices.Contains(strings.Fields(m.Signature), signed) {
				t.Errorf("signed again it is %s, %v", signed, err)
			}
		})
	}
}

// The page shows this message, so it must be one that the gateway would send.
func TestTheFirstMessageIsWhatTheGatewayWrites(t *testing.T) {
	t.Parallel()
	record := &verification.Record{Flow: "kyc", Transition: verification.Transition{
		VerificationID: uuid.MustParse("0197a3c2-7c11-7d3e-9a52-0d4f6f1b2c3d"), Version: 5,
		Scope: verification.Scope{Project: "acme", Environment: verification.Live},
		From:  verification.Processing, To: verification.Approved, Event: verification.Passed,
		Source: verification.SourceProvider, Match: verification.Exact,
		CreateTime: time.Date(2026, time.May, 17, 10, 30, 0, 123456000, time.UTC),
	}}
	text, err := protojson.Marshal(contract.Event(record))
	if err != nil {
		t.Fatal(err)
	}
	var body bytes.Buffer
	if err := json.Compact(&body, text); err != nil {
		t.Fatal(err)
	}
	if first := messages(t)[0]; body.String() != first.Body || record.EventID() != first.ID {
		t.Errorf("the gateway would write\n%s\nof %s", body.String(), record.EventID())
	}
	page, err := os.ReadFile("../callbacks.md")
	if err != nil {
		t.Fatal(err)
	}
	var shown bytes.Buffer
	if err := json.Indent(&shown, body.Bytes(), "", "  "); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "```json\n"+shown.String()+"\n```") {
		t.Errorf("docs/callbacks.md does not show\n%s", shown.String())
	}
}

// send delivers a message that is signed now, as changed, and returns the
// answer's status.
func send(t *testing.T, handler http.Handler, body string, change func(http.Header)) int {
	t.Helper()
	signer, err := standardwebhooks.NewWebhook(testSecret)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	signature, err := signer.Sign("an-id.1", now, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	m := message{ID: "an-id.1", Timestamp: now.Unix(), Signature: signature}
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/callbacks", strings.NewReader(body))
	request.Header = m.header()
	if change != nil {
		change(request.Header)
	}
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, request)
	return answer.Code
}

func TestTheHandlerAnswersAsAGatewayExpects(t *testing.T) {
	t.Parallel()
	good := `{"id":"an-id.1","kind":"EVENT_KIND_PASSED","version":"1","fieldOfTomorrow":1}`
	for _, c := range []struct {
		name    string
		body    string
		change  func(http.Header)
		fails   error
		status  int
		handled int
	}{
		{name: "a verified event is taken", body: good, status: http.StatusNoContent, handled: 1},
		{name: "an event that cannot be handled is asked for again", body: good, fails: errors.New("busy"), status: http.StatusInternalServerError, handled: 1},
		{
			name: "another signature is refused", body: good, status: http.StatusUnauthorized,
			change: func(h http.Header) { h.Set("webhook-signature", "v1,"+strings.Repeat("A", 43)+"=") },
		},
		{
			name: "another id than the signed one is refused", body: good, status: http.StatusUnauthorized,
			change: func(h http.Header) { h.Set("webhook-id", "an-id.2") },
		},
		{
			name: "an old message is refused", body: good, status: http.StatusUnauthorized,
			change: func(h http.Header) { h.Set("webhook-timestamp", "1779013800") },
		},
		{
			name: "a message without headers is refused", body: good, status: http.StatusUnauthorized,
			change: func(h http.Header) { clear(h) },
		},
		{name: "a message that is too large is refused", body: strings.Repeat("x", 1<<20+1), status: http.StatusUnauthorized},
		{name: "a verified text that is no event is refused", body: `[]`, status: http.StatusBadRequest},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var seen []*verigatev1.Event
			handler, err := receiver.Handler(testSecret, func(e *verigatev1.Event) error {
				seen = append(seen, e)
				return c.fails
			})
			if err != nil {
				t.Fatal(err)
			}
			if status := send(t, handler, c.body, c.change); status != c.status || len(seen) != c.handled {
				t.Fatalf("answered %d after %d events, want %d after %d", status, len(seen), c.status, c.handled)
			}
			if c.handled == 1 && (seen[0].GetKind() != verigatev1.EventKind_EVENT_KIND_PASSED || seen[0].GetVersion() != 1) {
				t.Errorf("handled %v", seen[0])
			}
		})
	}
}

func TestASecretThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := receiver.Handler("whsec_not base64", nil); err == nil {
		t.Error("the secret is taken")
	}
}
