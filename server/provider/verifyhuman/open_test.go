package verifyhuman_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/provider/verifyhuman"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/verification"
)

// The golden vectors: two bodies of ours in VerifyHuman's two shapes, without a
// final newline, and their signatures as computed by another program.
const (
	goldenSecret = "whsec_demo_verifyhuman"
	goldenUnix   = 1779013800
	goldenTime   = "1779013800"

	envelopeBody = `{"id":"11111111-2222-4333-8444-555555555555","type":"verification.completed","created":"2026-05-17T10:30:00.000000Z","environment":"test","data":{"verification_id":"ver_demo0001","status":"PASS","confidence":92.5,"product":"verifyidentity"}}`
	flatBody     = `{"event":"verification.completed","verification_id":"ver_demo0001","status":"PASS","product":"verifyidentity","environment":"test","timestamp":"2026-05-17T10:30:00Z"}`
	pingBody     = `{"id":"22222222-2222-4333-8444-555555555555","type":"test.ping","created":"2026-05-17T10:30:00.000000Z","environment":"test","data":{}}`

	envelopeSignedBody = "80f8b0a27731015dc84a1189e1f2706b813e1b2cd4b1fe9d5d48180a66776e2c"
	envelopeSignedBoth = "53cab09ade51f036a7d3eb1903fa65071d101b534f4df233875bf8a0a0a7ba91"
	flatSignedBody     = "3f8bb6bf108f1ec194e4d615657c09da945378e0577708035f78e9cdf201539d"
	flatSignedBoth     = "e22d181cf55d08a44945f5ee47611990b8ba12b756eeaffeee0c3cfff8dc6cdf"
)

const (
	apiKey    = "vhsk-test-private-key"
	clientKey = "vhk_test_publishable_key"
)

func goldenArrival() time.Time { return time.Unix(goldenUnix, 0) }

// good returns settings that are complete.
func good() *verifyhuman.Settings {
	s, _ := verifyhuman.New().(*verifyhuman.Settings)
	s.APIKey = secret.New(apiKey)
	s.ClientKey = secret.New(clientKey)
	s.WebhookSecrets = []secret.Value{secret.New(goldenSecret)}
	s.Environment = verification.Test
	return s
}

// open opens good settings after the changes.
func open(tb testing.TB, change ...func(*verifyhuman.Settings)) provider.Provider {
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

func deps() provider.Deps {
	return provider.Deps{HTTP: http.DefaultClient, Log: slog.New(slog.DiscardHandler), Now: time.Now}
}

func withMode(mode verifyhuman.SignatureMode) func(*verifyhuman.Settings) {
	return func(s *verifyhuman.Settings) { s.SignatureMode = mode }
}

func mac(key, message string) string {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(message))
	return "sha256=" + hex.EncodeToString(h.Sum(nil))
}

// signed is a webhook as VerifyHuman's webhooks page describes it, with the
// signature over the timestamp and the body.
func signed(body, key string, at time.Time) http.Header {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	header := http.Header{}
	header.Set("X-VerifyHuman-Signature", mac(key, timestamp+"."+body))
	header.Set("X-VerifyHuman-Timestamp", timestamp)
	return header
}

// webhook returns the body signed alone, with more headers in pairs.
func webhook(body string, pairs ...string) provider.Webhook {
	header := http.Header{}
	header.Set("X-VerifyHuman-Signature", mac(goldenSecret, body))
	for pair := range slices.Chunk(pairs, 2) {
		header.Add(pair[0], pair[1])
	}
	return provider.Webhook{Header: header, Body: []byte(body), ReceiveTime: goldenArrival()}
}
