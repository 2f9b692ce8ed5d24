package aiprise

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/provider/edge"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/verification"
)

// Name is the provider's name in the registry, in logs and in metrics.
const Name = "aiprise"

// Defaults of the settings.
const (
	// ProductionBaseURL is the default of a live connection (AiPrise's OpenAPI
	// description).
	ProductionBaseURL = "https://api.aiprise.com/api/v1"
	// SandboxBaseURL is the default of a test connection. AiPrise keeps separate
	// keys and data behind it.
	SandboxBaseURL = "https://api-sandbox.aiprise.com/api/v1"
	// DefaultTimeout bounds one call to AiPrise.
	DefaultTimeout = 10 * time.Second
)

// Settings is AiPrise's part of a connection in verigate.yaml. Start from New,
// which fills in the defaults; the zero Settings is refused.
type Settings struct {
	// BaseURL is where the API is: absolute, https, no query, no user info.
	// Empty means AiPrise's own for the connection's environment.
	BaseURL string `yaml:"base_url"`
	// APIKeys are the private API keys in force, at least one. The first is sent
	// with calls; all of them verify webhooks, because AiPrise signs with the API
	// key itself (seed document). List the old one second while it is rotated.
	APIKeys []secret.Value `yaml:"api_keys"`
	// Timeout bounds one call, from dialling to the last byte of the answer; at
	// most edge.MaxTimeout.
	Timeout time.Duration `yaml:"timeout"`

	// Environment is the connection's. It is no key of these settings: the
	// configuration fills it from the connection, through SetEnvironment.
	Environment verification.Environment `yaml:"-"`
}

var (
	_ provider.Settings    = (*Settings)(nil)
	_ provider.FlowChecker = (*Settings)(nil)
)

// New returns settings that hold the defaults and no key. It is the constructor
// for the provider.Registry.
func New() provider.Settings { return &Settings{Timeout: DefaultTimeout} }

// SetEnvironment fills Environment. It lets a configuration that knows no
// concrete adapter do so through an interface of its own.
func (s *Settings) SetEnvironment(e verification.Environment) { s.Environment = e }

// Validate returns everything that is wrong, in the order of the fields.
// Environment is no key of these settings: it only decides which of AiPrise's
// own hosts is the wrong one.
func (s *Settings) Validate(development bool) []provider.Problem {
	var problems edge.Problems
	problems.Report("base_url", s.baseURLProblem(development))
	if len(s.APIKeys) == 0 {
		problems.Report("api_keys", "is empty; list at least one private API key as a reference, ${ENV_NAME} or file:/path")
	}
	for i, key := range s.APIKeys {
		problems.Report(fmt.Sprintf("api_keys[%d]", i), keyProblem(key))
	}
	problems.Report("timeout", edge.TimeoutProblem(s.Timeout))
	return problems
}

// base is the base URL in force, without a trailing slash.
func (s *Settings) base() string {
	switch {
	case s.BaseURL != "":
		return strings.TrimRight(s.BaseURL, "/")
	case s.Environment == verification.Live:
		return ProductionBaseURL
	}
	return SandboxBaseURL
}

func keyProblem(key secret.Value) string {
	if key.Empty() {
		return "is empty; remove it or give the API key"
	}
	return edge.KeyProblem(key)
}

func (s *Settings) baseURLProblem(development bool) string {
	base := s.base()
	if problem := edge.BaseURLProblem(base, "for example "+ProductionBaseURL+"; leave it out for AiPrise's own", development); problem != "" {
		return problem
	}
	return s.environmentProblem(base)
}

// environmentProblem keeps tests and live apart: each of AiPrise's hosts serves
// one environment.
func (s *Settings) environmentProblem(base string) string {
	host := strings.ToLower(hostOf(base))
	switch {
	case s.Environment == verification.Live && host == hostOf(SandboxBaseURL):
		return "is AiPrise's sandbox, but the connection's environment is live; leave it out"
	case s.Environment == verification.Test && host == hostOf(ProductionBaseURL):
		return "is AiPrise's production, but the connection's environment is test; leave it out"
	}
	return ""
}

func hostOf(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return ""
	}
	return u.Hostname()
}
