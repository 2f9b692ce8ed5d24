package verifyhuman_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/provider/verifyhuman"
	"github.com/verigate/verigate/server/secret"
)

const (
	auto     = verifyhuman.SignatureAuto
	bodyOnly = verifyhuman.SignatureBody
	both     = verifyhuman.SignatureTimestampBody
)

func TestGoldenVectors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body, digits, timestamp string
		passes                  []verifyhuman.SignatureMode
	}{
		"the envelope, its body signed":                         {envelopeBody, envelopeSignedBody, "", []verifyhuman.SignatureMode{auto, bodyOnly}},
		"the envelope, its body signed, with a timestamp":       {envelopeBody, envelopeSignedBody, goldenTime, []verifyhuman.SignatureMode{auto, bodyOnly}},
		"the envelope, timestamp and body signed":               {envelopeBody, envelopeSignedBoth, goldenTime, []verifyhuman.SignatureMode{auto, both}},
		"the envelope, timestamp and body signed, no timestamp": {envelopeBody, envelopeSignedBoth, "", nil},
		"the flat shape, its body signed":                       {flatBody, flatSignedBody, "", []verifyhuman.SignatureMode{auto, bodyOnly}},
		"the flat shape, timestamp and body signed":             {flatBody, flatSignedBoth, goldenTime, []verifyhuman.SignatureMode{auto, both}},
		"the flat shape with the envelope's signature":          {flatBody, envelopeSignedBody, "", nil},
		"upper-case digits":                                     {flatBody, strings.ToUpper(flatSignedBody), "", []verifyhuman.SignatureMode{auto, bodyOnly}},
	} {
		for _, mode := range []verifyhuman.SignatureMode{auto, bodyOnly, both} {
			t.Run(name+", in mode "+string(mode), func(t *testing.T) {
				t.Parallel()
				header := http.Header{}
				header.Set("X-VerifyHuman-Signature", "sha256="+c.digits)
				if c.timestamp != "" {
					header.Set("X-VerifyHuman-Timestamp", c.timestamp)
				}
				err := open(t, withMode(mode)).Authenticate(provider.Webhook{
					Header: header, Body: []byte(c.body), ReceiveTime: goldenArrival(),
				})
				want := false
				for _, m := range c.passes {
					want = want || m == mode
				}
				if got := err == nil; got != want || (err != nil && !errors.Is(err, provider.ErrUnauthentic)) {
					t.Errorf("Authenticate: %v, want it to pass: %t", err, want)
				}
			})
		}
	}
	if n := len(envelopeBody); n != 241 {
		t.Errorf("the golden envelope has %d bytes, want 241", n)
	}
}

func TestTimestampHeader(t *testing.T) {
	t.Parallel()
	for _, value := range []string{
		"", " ", "-1", "+1779013800", "1779013800.5", "1779013800000", "9223372036854775807", "99999999999999999999",
		"2026-05-17T10:30:00Z", "0x6a09a1a8", "1_779_013_800", "1779013499", "1779014101", "0",
	} {
		for _, mode := range []verifyhuman.SignatureMode{auto, bodyOnly, both} {
			t.Run("the timestamp "+value+" is refused in mode "+string(mode), func(t *testing.T) {
				t.Parallel()
				w := webhook(flatBody, "X-VerifyHuman-Timestamp", value)
				if mode == both {
					w.Header.Set("X-VerifyHuman-Signature", mac(goldenSecret, value+"."+flatBody))
				}
				refused(t, open(t, withMode(mode)).Authenticate(w), "X-VerifyHuman-Timestamp")
			})
		}
	}
	t.Run("two timestamps are refused", func(t *testing.T) {
		t.Parallel()
		w := webhook(flatBody, "X-VerifyHuman-Timestamp", goldenTime, "X-VerifyHuman-Timestamp", goldenTime)
		refused(t, open(t).Authenticate(w), "more than once")
	})
	t.Run("the tolerance is the setting's", func(t *testing.T) {
		t.Parallel()
		p := open(t, func(s *verifyhuman.Settings) { s.TimestampTolerance = time.Minute })
		w := webhook(flatBody, "X-VerifyHuman-Timestamp", goldenTime)
		w.ReceiveTime = goldenArrival().Add(time.Minute)
		if err := p.Authenticate(w); err != nil {
			t.Errorf("Authenticate on the edge: %v", err)
		}
		w.ReceiveTime = w.ReceiveTime.Add(time.Nanosecond)
		refused(t, p.Authenticate(w), "timestamp_tolerance")
	})
}

func TestReasonsForTheOperator(t *testing.T) {
	t.Parallel()
	for reason, header := range map[string]http.Header{
		"is missing":                 {},
		"more than once":             {"X-Verifyhuman-Signature": {"sha256=" + flatSignedBody, "sha256=" + flatSignedBody}},
		"does not begin with":        {"X-Verifyhuman-Signature": {flatSignedBody}},
		"does not hold 64 hex":       {"X-Verifyhuman-Signature": {"sha256=" + flatSignedBody + "00"}},
		"no webhook secret matches":  {"X-Verifyhuman-Signature": {"sha256=" + envelopeSignedBody}},
		"not a time in Unix seconds": {"X-Verifyhuman-Signature": {"sha256=" + flatSignedBody}, "X-Verifyhuman-Timestamp": {"now"}},
	} {
		t.Run("the reason says that it "+reason, func(t *testing.T) {
			t.Parallel()
			refused(t, open(t).Authenticate(provider.Webhook{
				Header: header, Body: []byte(flatBody), ReceiveTime: goldenArrival(),
			}), reason)
		})
	}
	t.Run("a signature over a dot and the body does not stand in for a timestamp", func(t *testing.T) {
		t.Parallel()
		w := webhook(flatBody)
		w.Header.Set("X-VerifyHuman-Signature", mac(goldenSecret, "."+flatBody))
		refused(t, open(t, withMode(both)).Authenticate(w), "ts_dot_body needs it")
		refused(t, open(t).Authenticate(w), "no webhook secret matches")
	})
}

func refused(t *testing.T, err error, reason string) {
	t.Helper()
	if !errors.Is(err, provider.ErrUnauthentic) || !strings.Contains(err.Error(), reason) {
		t.Errorf("Authenticate: got %v, want ErrUnauthentic with a reason that mentions %q", err, reason)
	}
}

func TestAgreement(t *testing.T) {
	t.Parallel()
	envelope := []string{
		"X-VerifyHuman-Event", "verification.completed", "X-VerifyHuman-Event-Id", "11111111-2222-4333-8444-555555555555",
		"X-VerifyHuman-Environment", "test", "X-VerifyHuman-Delivery-Id", "anything",
	}
	for name, w := range map[string]provider.Webhook{
		"all headers that say the same":         webhook(envelopeBody, envelope...),
		"the same headers twice":                webhook(envelopeBody, append(envelope, envelope...)...),
		"no headers beside the signature":       webhook(envelopeBody),
		"an event id that the flat shape lacks": webhook(flatBody, "X-VerifyHuman-Event-Id", "any"),
		"a body that is not JSON":               webhook("hello", "X-VerifyHuman-Event", "test.ping"),
		"a body without an environment":         webhook(`{"event":"test.ping"}`),
	} {
		t.Run(name+" is authentic", func(t *testing.T) {
			t.Parallel()
			if err := open(t).Authenticate(w); err != nil {
				t.Errorf("Authenticate: %v", err)
			}
		})
	}
	for name, w := range map[string]provider.Webhook{
		"another event id":                    webhook(envelopeBody, "X-VerifyHuman-Event-Id", "33333333-2222-4333-8444-555555555555"),
		"an empty event id":                   webhook(envelopeBody, "X-VerifyHuman-Event-Id", ""),
		"a second event id that differs":      webhook(envelopeBody, append(envelope, "X-VerifyHuman-Event-Id", "x")...),
		"another event":                       webhook(envelopeBody, "X-VerifyHuman-Event", "test.ping"),
		"another event in the flat shape":     webhook(flatBody, "X-VerifyHuman-Event", "test.ping"),
		"another environment in the header":   webhook(envelopeBody, "X-VerifyHuman-Environment", "live"),
		"another environment, body not JSON":  webhook("hello", "X-VerifyHuman-Environment", "live"),
		"another environment in the body":     webhook(strings.Replace(envelopeBody, `"test"`, `"live"`, 1)),
		"another environment in a flat body":  webhook(strings.Replace(flatBody, `"test"`, `"live"`, 1)),
		"an environment in other letter case": webhook(strings.Replace(flatBody, `"test"`, `"TEST"`, 1)),
		"an environment that is null":         webhook(strings.Replace(flatBody, `"test"`, `null`, 1)),
		"an environment that is a number":     webhook(strings.Replace(flatBody, `"test"`, `1`, 1)),
		"an id that is a number":              webhook(`{"id":1,"type":"test.ping","environment":"test"}`, "X-VerifyHuman-Event-Id", "1"),
	} {
		t.Run(name+" is refused", func(t *testing.T) {
			t.Parallel()
			refused(t, open(t).Authenticate(w), "")
		})
	}
	t.Run("a test webhook is refused on a live connection, though its signature is right", func(t *testing.T) {
		t.Parallel()
		p := open(t, func(s *verifyhuman.Settings) { s.SetEnvironment("live") })
		refused(t, p.Authenticate(webhook(envelopeBody)), "environment")
		refused(t, p.Authenticate(webhook(flatBody)), "environment")
	})
}

func TestAutoLogsTheModeThatMatched(t *testing.T) {
	t.Parallel()
	for mode, header := range map[verifyhuman.SignatureMode]http.Header{
		bodyOnly: webhook(flatBody).Header,
		both:     signed(flatBody, goldenSecret, goldenArrival()),
	} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			d := deps()
			d.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			s := good()
			s.WebhookSecrets = append(s.WebhookSecrets, secret.New("whsec_next"))
			p, err := s.Open(d)
			if err != nil {
				t.Fatalf("Open: %v", err)
			}
			if err := p.Authenticate(provider.Webhook{Header: header, Body: []byte(flatBody), ReceiveTime: goldenArrival()}); err != nil {
				t.Fatalf("Authenticate: %v", err)
			}
			if !strings.Contains(log.String(), "signature_mode="+string(mode)+"\n") {
				t.Errorf("the log does not name the mode: %s", log.String())
			}
		})
	}
}
