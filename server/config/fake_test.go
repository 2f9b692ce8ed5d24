package config_test

import (
	"errors"
	"flag"
	"maps"
	"os"
	"slices"
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
		"VERIGATE_EMPTY":                  "",
	}
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
