package verifyhuman_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/provider/providertest"
	"github.com/verigate/verigate/server/provider/verifyhuman"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/verification"
)

// tokenRef is what the token "tok-demo-1" becomes: its SHA-256 by sha256sum.
const tokenRef = "token:82878dddbc0de005984db082a0fb5d2c0a63f1e4697d3ca94a794ed980d5738d"

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, mode := range []verifyhuman.SignatureMode{
		verifyhuman.SignatureAuto, verifyhuman.SignatureTimestampBody,
	} {
		t.Run("signature mode "+string(mode), func(t *testing.T) {
			t.Parallel()
			providertest.Run(t, harness(mode))
		})
	}
}

func harness(mode verifyhuman.SignatureMode) providertest.Harness {
	return providertest.Harness{
		Open: func(t *testing.T, o providertest.Options) provider.Provider {
			t.Helper()
			s := good()
			s.BaseURL, s.Timeout, s.SignatureMode, s.WebhookSecrets = o.BaseURL, o.Timeout, mode, nil
			for _, text := range o.Secrets {
				s.WebhookSecrets = append(s.WebhookSecrets, secret.New(text))
			}
			p, err := s.Open(o.Deps)
			if err != nil {
				t.Fatalf("Open: %v", err)
			}
			return p
		},
		Sign: func(body []byte, key string, at time.Time) http.Header {
			return signed(string(body), key, at)
		},
		SignatureHeader: "X-VerifyHuman-Signature",
		MalformedSignatures: []string{
			"sha256=", "sha256", "=", strings.Repeat("0", 64), "sha256=" + strings.Repeat("g", 64),
			"sha1=" + strings.Repeat("0", 64), "sha256= " + strings.Repeat("0", 64), "sha256=" + strings.Repeat("00", 64),
		},
		ReplayWindow: verifyhuman.DefaultTimestampTolerance,
		Fixtures:     fixtures(),
		Start:        startSession(),
		Answer: func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"hosted_url":"https://app.verifyhuman.io/hosted/v/tok-demo-1","token":"tok-demo-1","expires_at":"2026-05-17T11:30:00Z"}`)
		},
		CheckStart: checkStart,
		Session: verification.Session{
			HostedURL:  "https://app.verifyhuman.io/hosted/v/tok-demo-1",
			Refs:       []string{tokenRef},
			ExpireTime: time.Date(2026, time.May, 17, 11, 30, 0, 0, time.UTC),
		},
	}
}

func fixtures() []providertest.Fixture {
	passed := verification.Event{
		Kind:         verification.Passed,
		ProviderTime: time.Date(2026, time.May, 17, 10, 30, 0, 0, time.UTC),
		Refs:         []string{"verification:ver_demo0001"},
		Product:      "verifyidentity",
	}
	return []providertest.Fixture{
		{Name: "the envelope with a pass", Body: []byte(envelopeBody), Notice: provider.Notice{
			Kind:          provider.NoticeEvent,
			DedupeKey:     "id:11111111-2222-4333-8444-555555555555",
			ProviderEvent: "verification.completed",
			Event:         passed,
		}},
		{Name: "the flat shape with a pass", Body: []byte(flatBody), Notice: provider.Notice{
			Kind:          provider.NoticeEvent,
			DedupeKey:     "sha256:80529784b25e45ffb1c6865c8303116c4c6671869f6fd7a599454a1875fb5708",
			ProviderEvent: "verification.completed",
			Event:         passed,
		}},
		{Name: "the test message", Body: []byte(pingBody), Notice: provider.Notice{
			Kind:          provider.NoticePing,
			DedupeKey:     "id:22222222-2222-4333-8444-555555555555",
			ProviderEvent: "test.ping",
		}},
	}
}

func startSession() verification.StartSession {
	now := time.Date(2026, time.May, 17, 10, 30, 0, 0, time.UTC)
	return verification.StartSession{
		VerificationID:   uuid.MustParse("0198c0de-0000-7000-8000-000000000001"),
		Product:          "verifyidentity",
		ReturnURL:        "https://gateway.example/return/nonce?a=1&b=2",
		FailureReturnURL: "https://gateway.example/return/nonce/failed",
		Now:              now,
		ExpireTime:       now.Add(90 * time.Minute),
		PageTitle:        "Identity check",
		SuccessMessage:   "Done. Returning…",
		FailureMessage:   "Please try again.",
	}
}

// checkStart compares the whole request with the seed document's.
func checkStart(t *testing.T, r *http.Request, body []byte) {
	t.Helper()
	if r.Method != http.MethodPost || r.URL.RequestURI() != "/hosted/generate" {
		t.Errorf("got %s %s, want POST /hosted/generate", r.Method, r.URL.RequestURI())
	}
	for name, want := range map[string]string{
		"Authorization": "Bearer " + apiKey, "X-Api-Key": "", "Content-Type": "application/json", "Accept": "application/json",
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("header %s: got %q, want %q", name, got, want)
		}
	}
	want := map[string]any{
		"product":              "verifyidentity",
		"redirect_url":         "https://gateway.example/return/nonce?a=1&b=2",
		"failure_redirect_url": "https://gateway.example/return/nonce/failed",
		"expires_in_hours":     float64(2),
		"page_title":           "Identity check",
		"success_message":      "Done. Returning…",
		"failure_message":      "Please try again.",
	}
	checkBody(t, body, want)
}

func checkBody(t *testing.T, body []byte, want map[string]any) {
	t.Helper()
	var got map[string]any
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatalf("the request body is not JSON: %v", err)
	}
	if !maps.Equal(got, want) {
		t.Errorf("request body:\n got %v\nwant %v", got, want)
	}
}
