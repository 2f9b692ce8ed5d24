package aiprise_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/provider/aiprise"
	"github.com/verigate/verigate/server/secret"
)

func withKeys(keys ...string) func(*aiprise.Settings) {
	return func(s *aiprise.Settings) {
		s.APIKeys = nil
		for _, key := range keys {
			s.APIKeys = append(s.APIKeys, secret.New(key))
		}
	}
}

func TestGoldenSignatures(t *testing.T) {
	t.Parallel()
	t.Run("the seed document's example passes with its key", func(t *testing.T) {
		t.Parallel()
		if err := open(t, withKeys(seedKey)).Authenticate(webhook(seedBody, seedSignature)); err != nil {
			t.Errorf("Authenticate: %v", err)
		}
	})
	t.Run("a spaced body passes with the signature of its exact bytes", func(t *testing.T) {
		t.Parallel()
		if err := open(t).Authenticate(webhook(demoBody, demoSignature)); err != nil {
			t.Errorf("Authenticate: %v", err)
		}
	})
	t.Run("a spaced body fails with the signature of its compact form", func(t *testing.T) {
		t.Parallel()
		checkUnauthentic(t, open(t).Authenticate(webhook(demoBody, compactSignature)))
	})
	t.Run("a compact body passes with its own and fails with the spaced one's", func(t *testing.T) {
		t.Parallel()
		var compact bytes.Buffer
		if err := json.Compact(&compact, []byte(demoBody)); err != nil {
			t.Fatal(err)
		}
		if err := open(t).Authenticate(webhook(compact.String(), compactSignature)); err != nil {
			t.Errorf("Authenticate: %v", err)
		}
		checkUnauthentic(t, open(t).Authenticate(webhook(compact.String(), demoSignature)))
	})
}

// Each of these bodies changes when it is parsed and written again: the order
// of keys, a number's form, an escape, a space, a final newline.
func TestSignatureIsOverTheExactBytes(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"keys that are not sorted":   `{"verification_session_id":"vs_1","status":"RUNNING","aiprise_summary":{}}`,
		"a number with an exponent":  `{"created_at":1.0E3,"status":"RUNNING","verification_session_id":"vs_1"}`,
		"an escaped letter":          `{"status":"RUN\u004eING","verification_session_id":"vs_1"}`,
		"an escaped slash":           `{"note":"a\/b","status":"RUNNING","verification_session_id":"vs_1"}`,
		"letters outside ASCII":      `{"note":"é<&>","status":"RUNNING","verification_session_id":"vs_1"}`,
		"spaces and a final newline": "{ \"status\" : \"RUNNING\",\t\"verification_session_id\":\"vs_1\" }\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var parsed any
			if err := json.Unmarshal([]byte(body), &parsed); err != nil {
				t.Fatal(err)
			}
			again, err := json.Marshal(parsed)
			if err != nil || string(again) == body {
				t.Fatalf("writing it again gives %s, %v; the test needs a body that changes", again, err)
			}
			if err := open(t).Authenticate(webhook(body)); err != nil {
				t.Errorf("Authenticate: %v", err)
			}
			checkUnauthentic(t, open(t).Authenticate(webhook(body, mac(demoKey, string(again)))))
		})
	}
}

func checkUnauthentic(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, provider.ErrUnauthentic) {
		t.Fatalf("Authenticate: got %v, want ErrUnauthentic", err)
	}
	for _, text := range []string{demoKey, previousKey, demoSignature, "APPROVED", sessionID} {
		if strings.Contains(err.Error(), text) {
			t.Errorf("the error repeats %q: %v", text, err)
		}
	}
}

func TestSignatureHeader(t *testing.T) {
	t.Parallel()
	t.Run("digits in upper case pass", func(t *testing.T) {
		t.Parallel()
		if err := open(t).Authenticate(webhook(demoBody, strings.ToUpper(demoSignature))); err != nil {
			t.Errorf("Authenticate: %v", err)
		}
	})
	t.Run("every key in force passes, another fails", func(t *testing.T) {
		t.Parallel()
		p := open(t, withKeys("key-new", "key-old", "key-oldest"))
		for _, key := range []string{"key-new", "key-old", "key-oldest"} {
			if err := p.Authenticate(webhook(demoBody, mac(key, demoBody))); err != nil {
				t.Errorf("%s: %v", key, err)
			}
		}
		checkUnauthentic(t, p.Authenticate(webhook(demoBody, mac("key-foreign", demoBody))))
	})
	for name, signatures := range map[string][]string{
		"a prefix":                  {"sha256=" + demoSignature},
		"a space in front":          {" " + demoSignature},
		"a space behind":            {demoSignature + " "},
		"base64 instead of hex":     {"PFPzdnTG83sZ+fqdmghjMXf6WjozfBSsWy1TDAlhOsg="},
		"too few digits":            {demoSignature[2:]},
		"too many digits":           {demoSignature + "00"},
		"the same header twice":     {demoSignature, demoSignature},
		"an empty value":            {""},
		"all zeros":                 {strings.Repeat("0", 64)},
		"letters that are no digit": {strings.Repeat("g", 64)},
	} {
		t.Run(name+" fails", func(t *testing.T) {
			t.Parallel()
			checkUnauthentic(t, open(t).Authenticate(webhook(demoBody, signatures...)))
		})
	}
	t.Run("a missing header fails, and says which", func(t *testing.T) {
		t.Parallel()
		err := open(t).Authenticate(provider.Webhook{Body: []byte(demoBody)})
		checkUnauthentic(t, err)
		if !strings.Contains(err.Error(), "X-HMAC-SIGNATURE is missing") {
			t.Errorf("got %v", err)
		}
	})
}

func TestRotationIsLogged(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	d := deps()
	d.Log = slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug}))
	p, err := good().Open(d)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Authenticate(webhook(demoBody, mac(previousKey, demoBody))); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "api_keys_index=1") || strings.Contains(text.String(), previousKey) {
		t.Errorf("the log says %q", text.String())
	}
}

func TestEnvironments(t *testing.T) {
	t.Parallel()
	environment := func(value string) string { return result(`"COMPLETED"`, `"APPROVED"`, `"environment":`+value) }
	absent := result(`"COMPLETED"`, `"APPROVED"`)
	for name, c := range map[string]struct {
		body       string
		test, live bool
	}{
		"no environment":                      {absent, true, true},
		"the environment SANDBOX":             {environment(`"SANDBOX"`), true, false},
		"the environment SANDBOX, by escapes": {environment(`"SANDBO\u0058"`), true, false},
		"the environment null":                {environment(`null`), false, true},
		"the environment sandbox":             {environment(`"sandbox"`), false, false},
		"the environment PRODUCTION":          {environment(`"PRODUCTION"`), false, false},
		"an empty environment":                {environment(`""`), false, false},
		"an environment that is a number":     {environment(`1`), false, false},
		"an environment that is a list":       {environment(`["SANDBOX"]`), false, false},
		"an event with SANDBOX":               {event("COMMENT", `"environment":"SANDBOX"`), true, false},
		"an event with SANDBOX under data":    {event("COMMENT", `"data":{"environment":"SANDBOX"}`), true, false},
		"an event with null under data":       {event("COMMENT", `"data":{"environment":null}`), false, true},
		"an unknown event with SANDBOX":       {event("NEW", `"environment":"SANDBOX"`), true, false},
		"a profile event with SANDBOX":        {`{"user_profile_event_type":"USER_PROFILE_CREATE","environment":"SANDBOX"}`, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for p, want := range map[provider.Provider]bool{open(t): c.test, open(t, live): c.live} {
				w := webhook(c.body)
				_, decodeErr := p.Decode(w)
				if err := p.Authenticate(w); (err == nil) != want || (decodeErr == nil) != want {
					t.Errorf("got %v and %v, want accepted %t", err, decodeErr, want)
				} else if err != nil {
					checkUnauthentic(t, err)
				}
			}
		})
	}
	t.Run("a signed body that is no JSON is Decode's to refuse", func(t *testing.T) {
		t.Parallel()
		w := webhook(`environment=SANDBOX`)
		if err := open(t, live).Authenticate(w); err != nil {
			t.Errorf("Authenticate: %v", err)
		}
		if _, err := open(t, live).Decode(w); err == nil {
			t.Error("Decode took it")
		}
	})
	t.Run("two environments in one body are refused by Decode", func(t *testing.T) {
		t.Parallel()
		w := webhook(result(`"COMPLETED"`, `"APPROVED"`, `"environment":null`, `"environment":"SANDBOX"`))
		for _, p := range []provider.Provider{open(t), open(t, live)} {
			if _, err := p.Decode(w); err == nil {
				t.Error("Decode took it")
			}
		}
	})
}
