package verifyhuman_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/provider/providertest"
	"github.com/verigate/verigate/server/provider/verifyhuman"
	"github.com/verigate/verigate/server/secret"
)

func TestSettingsOfAConfiguration(t *testing.T) {
	t.Setenv("VH_API_KEY", apiKey)
	t.Setenv("VH_SECRET", goldenSecret)
	s, ok := verifyhuman.New().(*verifyhuman.Settings)
	if !ok {
		t.Fatal("New returns other settings")
	}
	decode(t, s, `
api_key: ${VH_API_KEY}
webhook_secrets: ["${VH_SECRET}"]
auth_scheme: x_api_key
signature_mode: ts_dot_body
timeout: 3s
`)
	if problems := s.Validate(false); len(problems) > 0 {
		t.Fatalf("Validate: %v", problems)
	}
	if s.APIKey.Reveal() != apiKey || s.AuthScheme != verifyhuman.AuthXAPIKey || s.Timeout != 3*time.Second ||
		s.SignatureMode != verifyhuman.SignatureTimestampBody || s.WebhookSecrets[0].Reveal() != goldenSecret {
		t.Errorf("the settings were not taken over: %+v", s)
	}
	if s.BaseURL != verifyhuman.DefaultBaseURL || s.TimestampTolerance != verifyhuman.DefaultTimestampTolerance {
		t.Errorf("the defaults were not kept: %+v", s)
	}
}

func decode(t *testing.T, s *verifyhuman.Settings, text string) {
	t.Helper()
	dec := yaml.NewDecoder(strings.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(s); err != nil {
		t.Fatalf("decoding: %v", err)
	}
}

func TestValidateReportsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	s := &verifyhuman.Settings{
		WebhookSecrets: []secret.Value{secret.New("whsec_a"), {}},
		ClientKey:      secret.New("two words"),
	}
	want := []string{
		"base_url", "api_key", "auth_scheme", "webhook_secrets[1]", "signature_mode",
		"timestamp_tolerance", "timeout", "client_key",
	}
	problems := s.Validate(true)
	if got := providertest.Fields(problems); !slices.Equal(got, want) {
		t.Errorf("Validate reports %v, want %v", got, want)
	}
	for _, p := range problems {
		if p.Message == "" || strings.Contains(p.Message, "two words") {
			t.Errorf("%s: the message is empty or repeats a secret: %q", p.Field, p.Message)
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*verifyhuman.Settings)
		field  string
	}{
		"no webhook secret":     {func(s *verifyhuman.Settings) { s.WebhookSecrets = nil }, "webhook_secrets"},
		"a missing API key":     {func(s *verifyhuman.Settings) { s.APIKey = secret.Value{} }, "api_key"},
		"a key with two lines":  {func(s *verifyhuman.Settings) { s.APIKey = secret.New("a\nb") }, "api_key"},
		"an unknown scheme":     {func(s *verifyhuman.Settings) { s.AuthScheme = "basic" }, "auth_scheme"},
		"an unknown mode":       {func(s *verifyhuman.Settings) { s.SignatureMode = "AUTO" }, "signature_mode"},
		"no tolerance":          {func(s *verifyhuman.Settings) { s.TimestampTolerance = 0 }, "timestamp_tolerance"},
		"a negative tolerance":  {func(s *verifyhuman.Settings) { s.TimestampTolerance = -time.Second }, "timestamp_tolerance"},
		"no timeout":            {func(s *verifyhuman.Settings) { s.Timeout = 0 }, "timeout"},
		"a timeout beyond 60 s": {func(s *verifyhuman.Settings) { s.Timeout = 60*time.Second + 1 }, "timeout"},
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			t.Parallel()
			s := good()
			c.change(s)
			if got := providertest.Fields(s.Validate(false)); !slices.Equal(got, []string{c.field}) {
				t.Errorf("Validate reports %v, want [%s]", got, c.field)
			}
			if _, err := s.Open(deps()); err == nil || !strings.Contains(err.Error(), c.field) {
				t.Errorf("Open: got %v, want an error that names %s", err, c.field)
			}
		})
	}
	t.Run("takes a timeout of 60 s and no client key", func(t *testing.T) {
		t.Parallel()
		s := good()
		s.Timeout, s.ClientKey = 60*time.Second, secret.Value{}
		if problems := s.Validate(false); len(problems) > 0 {
			t.Errorf("Validate: %v", problems)
		}
	})
}

func TestValidateBaseURL(t *testing.T) {
	t.Parallel()
	for base, allowed := range map[string]providertest.Gateways{
		"https://app.verifyhuman.io":       providertest.EveryGateway,
		"HTTPS://app.verifyhuman.io/":      providertest.EveryGateway,
		"http://127.0.0.1:8080":            providertest.DevelopmentGateway,
		"http://app.verifyhuman.io":        providertest.NoGateway,
		"":                                 providertest.NoGateway,
		"https://user:password@vh.example": providertest.NoGateway,
	} {
		t.Run("base_url "+base, func(t *testing.T) {
			t.Parallel()
			s := good()
			s.BaseURL = base
			providertest.CheckBaseURL(t, s, allowed)
		})
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	t.Run("refuses an environment that is neither live nor test, and missing dependencies, at once", func(t *testing.T) {
		t.Parallel()
		s := good()
		s.SetEnvironment("staging")
		_, err := s.Open(provider.Deps{})
		if err == nil || !strings.Contains(err.Error(), "environment") || !strings.Contains(err.Error(), "logger") {
			t.Errorf("Open: got %v, want an error that names both", err)
		}
	})
	t.Run("returns a provider that fetches, and leaves the given client alone", func(t *testing.T) {
		t.Parallel()
		d := deps()
		p, err := good().Open(d)
		if err != nil {
			t.Fatalf("Open: %v", err)
		}
		if _, ok := p.(provider.Fetcher); !ok || p.Name() != "verifyhuman" {
			t.Errorf("got %q, a Fetcher: %t", p.Name(), ok)
		}
		if d.HTTP.CheckRedirect != nil {
			t.Error("Open changed the shared HTTP client")
		}
	})
	t.Run("returns one that cannot fetch without a client key", func(t *testing.T) {
		t.Parallel()
		if _, ok := open(t, func(s *verifyhuman.Settings) { s.ClientKey = secret.Value{} }).(provider.Fetcher); ok {
			t.Error("it is a Fetcher")
		}
	})
	t.Run("does not look at the settings again", func(t *testing.T) {
		t.Parallel()
		s := good()
		p, err := s.Open(deps())
		if err != nil {
			t.Fatalf("Open: %v", err)
		}
		s.WebhookSecrets[0] = secret.New("other")
		if err := p.Authenticate(webhook(flatBody)); err != nil {
			t.Errorf("Authenticate: %v", err)
		}
	})
}
