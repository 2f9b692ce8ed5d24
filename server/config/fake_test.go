package config_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/verification"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// environment holds the secrets of the tests. Each value is unlike anything in
// a file or a message, so that finding it in an output means a leak.
func environment() map[string]string {
	return map[string]string{
		"VERIGATE_DATABASE_URL":           "postgres://gateway:LEAK-database-password@db.internal/verigate",
		"VERIGATE_LISTENER_DATABASE_URL":  "postgres://gateway:LEAK-listener-password@db.internal/verigate",
		"VERIGATE_NATS_PASSWORD":          "LEAK-nats-password",
		"VERIGATE_NATS_TOKEN":             "LEAK-nats-token",
		"VERIGATE_NATS_CREDENTIALS":       "-----BEGIN NATS USER JWT-----\nLEAK-nats-credentials",
		"VERIGATE_CLIENT_TOKEN_KEY":       "LEAK-client-token-key-0123456789abcdef0123456789abcdef",
		"VERIGATE_OLD_CLIENT_TOKEN_KEY":   "LEAK-old-client-token-key-0123456789abcdef0123456789abcdef",
		"VERIGATE_ENCRYPTION_KEY":         "LEAK-encryption-key-0123456789abcdef0123456789abcdef",
		"VERIFYHUMAN_API_KEY":             "LEAK-api-key",
		"VERIFYHUMAN_WEBHOOK_SECRET":      "LEAK-webhook-secret",
		"VERIFYHUMAN_WEBHOOK_SECRET_OLD":  "LEAK-webhook-secret-old",
		"VERIFYHUMAN_CLIENT_KEY":          "LEAK-client-key",
		"VERIFYHUMAN_TEST_API_KEY":        "LEAK-test-api-key",
		"VERIFYHUMAN_TEST_WEBHOOK_SECRET": "LEAK-test-webhook-secret",
		"VERIGATE_SHORT_KEY":              "LEAK-short",
		"VERIGATE_CALLBACK_SECRET":        callbackSecret(32, 'a'),
		"VERIGATE_CALLBACK_SECRET_OLD":    callbackSecret(32, 'b'),
		"VERIGATE_CALLBACK_SHORTEST":      callbackSecret(24, 'c'),
		"VERIGATE_CALLBACK_LONGEST":       callbackSecret(64, 'd'),
		"VERIGATE_CALLBACK_TOO_SHORT":     callbackSecret(23, 'e'),
		"VERIGATE_CALLBACK_TOO_LONG":      callbackSecret(65, 'f'),
		"VERIGATE_CALLBACK_BARE":          strings.TrimPrefix(callbackSecret(32, 'g'), "whsec_"),
		"VERIGATE_CALLBACK_URL_BASE64":    "whsec_LEAK-url-safe_base64-0123456789abcdef0=",
		"VERIGATE_CALLBACK_BROKEN_LINE":   strings.Replace(callbackSecret(32, 'h'), "LEAK", "LEAK\n", 1),
		"VERIGATE_CALLBACK_AS_KEY":        callbackSecret(33, 'i'),
		"AIPRISE_API_KEY":                 "LEAK-aiprise-api-key",
		"AIPRISE_API_KEY_OLD":             "LEAK-aiprise-api-key-old",
		"VERIGATE_EMPTY":                  "",
	}
}

// callbackSecret returns a secret of size bytes, in the form of the Standard
// Webhooks specification, whose text says LEAK and which fill makes unlike others.
func callbackSecret(size int, fill byte) string {
	leak, err := base64.StdEncoding.DecodeString("LEAK")
	if err != nil {
		panic(err)
	}
	return "whsec_" + base64.StdEncoding.EncodeToString(append(leak, bytes.Repeat([]byte{fill}, size-len(leak))...))
}

// TestMain sets the environment for the whole process, so that tests which only
// read it can run side by side.
func TestMain(m *testing.M) {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(environment())) {
		errs = append(errs, os.Setenv(name, environment()[name]))
	}
	if err := errors.Join(errs...); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// sharedSettings stand for keys that adapters have in common.
type sharedSettings struct {
	BaseURL string        `yaml:"base_url"`
	Timeout time.Duration `yaml:"timeout"`
}

// fakeSettings have the keys that verigate.example.yaml shows.
type fakeSettings struct {
	Shared         sharedSettings `yaml:",inline"`
	APIKey         secret.Value   `yaml:"api_key"`
	AuthScheme     string         `yaml:"auth_scheme"`
	WebhookSecrets []secret.Value `yaml:"webhook_secrets"`
	SignatureMode  string         `yaml:"signature_mode"`
	Tolerance      *time.Duration `yaml:"timestamp_tolerance"`
	ClientKey      secret.Value   `yaml:"client_key"`

	Environment verification.Environment `yaml:"-"`
	Development bool                     `yaml:"-"`
}

func (s *fakeSettings) SetEnvironment(environment verification.Environment) {
	s.Environment = environment
}

func (s *fakeSettings) Validate(development bool) []provider.Problem {
	s.Development = development
	var problems []provider.Problem
	if s.APIKey.Empty() {
		problems = append(problems, provider.Problem{Field: "api_key", Message: "is missing; write a reference to the account's key"})
	}
	if len(s.WebhookSecrets) == 0 {
		problems = append(problems, provider.Problem{Field: "webhook_secrets", Message: "is missing; list at least one"})
	}
	for i, webhookSecret := range s.WebhookSecrets {
		if webhookSecret.Empty() {
			problems = append(problems, provider.Problem{Field: "webhook_secrets[" + string(rune('0'+i)) + "]", Message: "is empty"})
		}
	}
	if s.Environment != verification.Live && s.Environment != verification.Test {
		problems = append(problems, provider.Problem{Message: "the environment was not set before Validate"})
	}
	if s.SignatureMode == "none" {
		problems = append(problems, provider.Problem{Field: "signature_mode", Message: "must be auto, body or ts_dot_body"})
	}
	return problems
}

func (s *fakeSettings) Open(_ provider.Deps) (provider.Provider, error) {
	return nil, errors.New("the configuration never opens a provider")
}

// templateSettings have the keys that verigate.example.yaml shows of the other
// adapter, and judge flows.
type templateSettings struct {
	Shared  sharedSettings `yaml:",inline"`
	APIKeys []secret.Value `yaml:"api_keys"`
}

func (s *templateSettings) Validate(bool) []provider.Problem {
	if len(s.APIKeys) == 0 {
		return []provider.Problem{{Field: "api_keys", Message: "is missing; list at least one"}}
	}
	return nil
}

// CheckFlow knows templates that begin with a digit, and options that do not
// begin with bad.
func (s *templateSettings) CheckFlow(product, _ string, options []byte) []provider.Problem {
	var problems []provider.Problem
	if product == "" || product[0] < '0' || product[0] > '9' {
		problems = append(problems, provider.Problem{Field: "product", Message: "is no template; write its id"})
	}
	if product == "0-strict" && len(options) == 0 {
		problems = append(problems, provider.Problem{Field: "options", Message: "are missing; this template needs them"})
	}
	var read map[string]any
	if len(options) > 0 && json.Unmarshal(options, &read) != nil {
		problems = append(problems, provider.Problem{Message: "the options are no JSON object"})
	}
	for _, key := range slices.Sorted(maps.Keys(read)) {
		if strings.HasPrefix(key, "bad") {
			problems = append(problems, provider.Problem{Field: "options." + key, Message: "is not known; remove it"})
		}
	}
	return problems
}

func (*templateSettings) Open(_ provider.Deps) (provider.Provider, error) {
	return nil, errors.New("the configuration never opens a provider")
}

// looseSettings have the kinds of fields that adapters seldom need.
type looseSettings struct {
	Limits  map[string]int    `yaml:"limits"`
	Retries uint8             `yaml:"retries"`
	Share   float64           `yaml:"share"`
	Strict  *bool             `yaml:"strict"`
	Labels  map[string]string `yaml:"labels"`
	ByCode  map[int]string    `yaml:"by_code"`
	Any     any               `yaml:"any"`
	Plain   string
}

func (*looseSettings) Validate(bool) []provider.Problem { return nil }

func (*looseSettings) Open(_ provider.Deps) (provider.Provider, error) {
	return nil, errors.New("the configuration never opens a provider")
}

// listSettings break the rule that settings are a struct.
type listSettings []string

func (*listSettings) Validate(bool) []provider.Problem { return nil }

func (*listSettings) Open(_ provider.Deps) (provider.Provider, error) {
	return nil, errors.New("the configuration never opens a provider")
}

func registry() provider.Registry {
	return provider.Registry{
		"verifyhuman": func() provider.Settings {
			return &fakeSettings{Shared: sharedSettings{BaseURL: "https://app.verifyhuman.io", Timeout: 10 * time.Second}}
		},
		"aiprise": func() provider.Settings {
			return &templateSettings{Shared: sharedSettings{Timeout: 10 * time.Second}}
		},
		"loose": func() provider.Settings { return &looseSettings{} },
		"list":  func() provider.Settings { return &listSettings{} },
	}
}

func parse(t *testing.T, source string) *config.Config {
	t.Helper()
	c, err := config.Parse([]byte(source), "verigate.yaml", registry(), false)
	if err != nil {
		t.Fatalf("Parse refused a good file:\n%v", err)
	}
	return c
}
