package aiprise_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/provider/aiprise"
	"github.com/verigate/verigate/server/provider/providertest"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/verification"
)

func TestSettingsOfAConfiguration(t *testing.T) {
	t.Setenv("AIPRISE_KEY", demoKey)
	t.Setenv("AIPRISE_OLD_KEY", previousKey)
	s, ok := aiprise.New().(*aiprise.Settings)
	if !ok {
		t.Fatal("New returns other settings")
	}
	dec := yaml.NewDecoder(strings.NewReader("api_keys: [\"${AIPRISE_KEY}\", \"${AIPRISE_OLD_KEY}\"]\nbase_url: https://aiprise.example/api/v1\n"))
	dec.KnownFields(true)
	if err := dec.Decode(s); err != nil {
		t.Fatalf("decoding: %v", err)
	}
	if problems := s.Validate(false); len(problems) > 0 {
		t.Fatalf("Validate: %v", problems)
	}
	if len(s.APIKeys) != 2 || s.APIKeys[0].Reveal() != demoKey || s.APIKeys[1].Reveal() != previousKey ||
		s.BaseURL != "https://aiprise.example/api/v1" || s.Timeout != 10*time.Second {
		t.Errorf("the settings were not taken over: %+v", s)
	}
}

func TestValidateReportsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	s := &aiprise.Settings{BaseURL: "http://user:password@x.example", APIKeys: []secret.Value{secret.New("two words"), {}}}
	problems := s.Validate(true)
	if got, want := providertest.Fields(problems), []string{"base_url", "api_keys[0]", "api_keys[1]", "timeout"}; !slices.Equal(got, want) {
		t.Errorf("Validate reports %v, want %v", got, want)
	}
	for _, p := range problems {
		if p.Message == "" || strings.Contains(p.Message, "two words") || strings.Contains(p.Message, "password") {
			t.Errorf("%s: the message is empty or repeats a secret: %q", p.Field, p.Message)
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*aiprise.Settings)
		field  string
	}{
		"no key":                {func(s *aiprise.Settings) { s.APIKeys = nil }, "api_keys"},
		"an empty key":          {func(s *aiprise.Settings) { s.APIKeys[0] = secret.Value{} }, "api_keys[0]"},
		"a key with two lines":  {func(s *aiprise.Settings) { s.APIKeys[1] = secret.New("a\nb") }, "api_keys[1]"},
		"a key with a letter é": {func(s *aiprise.Settings) { s.APIKeys[1] = secret.New("é") }, "api_keys[1]"},
		"no timeout":            {func(s *aiprise.Settings) { s.Timeout = 0 }, "timeout"},
		"a negative timeout":    {func(s *aiprise.Settings) { s.Timeout = -time.Second }, "timeout"},
		"a timeout beyond 60 s": {func(s *aiprise.Settings) { s.Timeout = 60*time.Second + 1 }, "timeout"},
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
	t.Run("takes a timeout of 60 s and one key", func(t *testing.T) {
		t.Parallel()
		s := good()
		s.Timeout, s.APIKeys = 60*time.Second, s.APIKeys[:1]
		if problems := s.Validate(false); len(problems) > 0 {
			t.Errorf("Validate: %v", problems)
		}
	})
}

func TestValidateBaseURL(t *testing.T) {
	t.Parallel()
	for base, allowed := range map[string]providertest.Gateways{
		"":                                       providertest.EveryGateway,
		"https://api-sandbox.aiprise.com/api/v1": providertest.EveryGateway,
		"https://proxy.example:8443/aiprise/":    providertest.EveryGateway,
		"http://127.0.0.1:8080/api/v1":           providertest.DevelopmentGateway,
		"http://api-sandbox.aiprise.com/api/v1":  providertest.NoGateway,
		"/":                                      providertest.NoGateway,
		"https://user:password@a.example":        providertest.NoGateway,
	} {
		t.Run("base_url "+base, func(t *testing.T) {
			t.Parallel()
			s := good()
			s.BaseURL = base
			providertest.CheckBaseURL(t, s, allowed)
		})
	}
	for name, c := range map[string]struct {
		base        string
		environment verification.Environment
		allowed     bool
	}{
		"the sandbox in test":                  {"https://api-sandbox.aiprise.com/api/v1", verification.Test, true},
		"the sandbox in live":                  {"https://API-sandbox.aiprise.com:443/api/v1", verification.Live, false},
		"production in live":                   {"https://api.aiprise.com/api/v1", verification.Live, true},
		"production in test":                   {"https://api.aiprise.com/api/v1", verification.Test, false},
		"a proxy in live":                      {"https://proxy.example", verification.Live, true},
		"either before the environment is set": {"https://api.aiprise.com/api/v1", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := good()
			s.BaseURL = c.base
			s.SetEnvironment(c.environment)
			if problems := s.Validate(false); (len(problems) == 0) != c.allowed {
				t.Errorf("got %v, want allowed %t", problems, c.allowed)
			}
		})
	}
}

// recorder answers for any host and remembers who was asked.
type recorder struct{ asked []string }

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	r.asked = append(r.asked, request.URL.String())
	answer := httptest.NewRecorder()
	_, _ = io.WriteString(answer, goodAnswer)
	return answer.Result(), nil
}

func TestTheEnvironmentChoosesTheHost(t *testing.T) {
	t.Parallel()
	for environment, want := range map[verification.Environment]string{
		verification.Live: "https://api.aiprise.com/api/v1/verify/get_user_verification_url",
		verification.Test: "https://api-sandbox.aiprise.com/api/v1/verify/get_user_verification_url",
	} {
		t.Run(string(environment), func(t *testing.T) {
			t.Parallel()
			s, d, r := good(), deps(), &recorder{}
			s.SetEnvironment(environment)
			d.HTTP = &http.Client{Transport: r}
			p, err := s.Open(d)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.Start(t.Context(), startSession()); err != nil || !slices.Equal(r.asked, []string{want}) {
				t.Errorf("got %v after asking %v, want %s", err, r.asked, want)
			}
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
		d.HTTP = &http.Client{}
		p, err := good().Open(d)
		if err != nil {
			t.Fatalf("Open: %v", err)
		}
		if _, ok := p.(provider.Fetcher); !ok || p.Name() != "aiprise" {
			t.Errorf("got %q, a Fetcher: %t", p.Name(), ok)
		}
		if d.HTTP.CheckRedirect != nil {
			t.Error("Open changed the shared HTTP client")
		}
	})
	t.Run("does not look at the settings again", func(t *testing.T) {
		t.Parallel()
		s := good()
		p, err := s.Open(deps())
		if err != nil {
			t.Fatalf("Open: %v", err)
		}
		s.APIKeys[0] = secret.New("other")
		if err := p.Authenticate(webhook(demoBody)); err != nil {
			t.Errorf("Authenticate: %v", err)
		}
	})
}
