package verifyhuman

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/verification"
)

// Name is the provider's name in the registry, in logs and in metrics.
const Name = "verifyhuman"

// AuthScheme says how the API key travels. VerifyHuman's seed document for
// hosted pages shows a bearer token; its API reference shows X-API-Key.
type AuthScheme string

// The schemes.
const (
	// AuthBearer sends "Authorization: Bearer <key>".
	AuthBearer AuthScheme = "bearer"
	// AuthXAPIKey sends "X-API-Key: <key>".
	AuthXAPIKey AuthScheme = "x_api_key"
)

// SignatureMode says which bytes a webhook's signature covers. The readable
// part of VerifyHuman's documentation does not settle it.
type SignatureMode string

// The modes.
const (
	// SignatureAuto accepts either of the other two, and logs which one matched
	// at debug level, so that an operator can pin it after one test message.
	SignatureAuto SignatureMode = "auto"
	// SignatureBody covers the raw body alone. The timestamp header is then
	// not proven, and only deduplication stands against a replay.
	SignatureBody SignatureMode = "body"
	// SignatureTimestampBody covers the timestamp header, a dot and the raw
	// body.
	SignatureTimestampBody SignatureMode = "ts_dot_body"
)

// Defaults and bounds of the settings.
const (
	// DefaultBaseURL is the host of VerifyHuman's hosted pages and the
	// production base of its API reference.
	DefaultBaseURL = "https://app.verifyhuman.io"
	// DefaultTimestampTolerance is this project's choice; VerifyHuman states
	// none that could be read.
	DefaultTimestampTolerance = 5 * time.Minute
	// DefaultTimeout bounds one call to VerifyHuman.
	DefaultTimeout = 10 * time.Second
	// MaxTimeout is the longest accepted timeout of one call.
	MaxTimeout = 60 * time.Second
)

// Settings is VerifyHuman's part of a connection in verigate.yaml. Start from
// New, which fills in the defaults; the zero Settings is refused.
type Settings struct {
	// BaseURL is where the API is: absolute, https, no query, no user info.
	BaseURL string `yaml:"base_url"`
	// APIKey is the private key for server calls. Its shape is not checked,
	// because VerifyHuman's pages disagree about it.
	APIKey secret.Value `yaml:"api_key"`
	// AuthScheme says how APIKey travels.
	AuthScheme AuthScheme `yaml:"auth_scheme"`
	// WebhookSecrets are the signing secrets in force, at least one; two while
	// they are rotated. The whole text is the HMAC key, "whsec_" included.
	WebhookSecrets []secret.Value `yaml:"webhook_secrets"`
	// SignatureMode says which bytes are signed.
	SignatureMode SignatureMode `yaml:"signature_mode"`
	// TimestampTolerance is how far a webhook's timestamp header may lie from
	// its arrival, either way.
	TimestampTolerance time.Duration `yaml:"timestamp_tolerance"`
	// Timeout bounds one call, from dialling to the last byte of the answer.
	Timeout time.Duration `yaml:"timeout"`
	// ClientKey is the publishable key for the mobile status endpoints.
	// Without it nothing can be fetched.
	ClientKey secret.Value `yaml:"client_key"`

	// Environment is the connection's. It is no key of these settings: the
	// configuration fills it from the connection, through SetEnvironment.
	Environment verification.Environment `yaml:"-"`
}

// New returns settings that hold the defaults and no secret. It is the
// constructor for the provider.Registry.
func New() provider.Settings {
	return &Settings{
		BaseURL:            DefaultBaseURL,
		AuthScheme:         AuthBearer,
		SignatureMode:      SignatureAuto,
		TimestampTolerance: DefaultTimestampTolerance,
		Timeout:            DefaultTimeout,
	}
}

// SetEnvironment fills Environment. It lets a configuration that knows no
// concrete adapter do so through an interface of its own.
func (s *Settings) SetEnvironment(e verification.Environment) { s.Environment = e }

// Validate returns everything that is wrong, in the order of the fields. It
// does not look at Environment, which is no key of these settings.
func (s *Settings) Validate(development bool) []provider.Problem {
	var problems []provider.Problem
	report := func(field, message string) {
		if message != "" {
			problems = append(problems, provider.Problem{Field: field, Message: message})
		}
	}
	report("base_url", baseURLProblem(s.BaseURL, development))
	report("api_key", requiredKeyProblem(s.APIKey))
	report("auth_scheme", authSchemeProblem(s.AuthScheme))
	if len(s.WebhookSecrets) == 0 {
		report("webhook_secrets", "is empty; list at least one signing secret of the webhook endpoint")
	}
	for i, v := range s.WebhookSecrets {
		if v.Empty() {
			report(fmt.Sprintf("webhook_secrets[%d]", i), "is empty; remove it or give the signing secret")
		}
	}
	report("signature_mode", signatureModeProblem(s.SignatureMode))
	if s.TimestampTolerance <= 0 {
		report("timestamp_tolerance", "must be longer than zero, for example 5m")
	}
	if s.Timeout <= 0 || s.Timeout > MaxTimeout {
		report("timeout", "must be longer than zero and at most 60s, for example 10s")
	}
	if !s.ClientKey.Empty() {
		report("client_key", keyProblem(s.ClientKey))
	}
	return problems
}

func authSchemeProblem(scheme AuthScheme) string {
	switch scheme {
	case AuthBearer, AuthXAPIKey:
		return ""
	}
	return "must be bearer or x_api_key"
}

func signatureModeProblem(mode SignatureMode) string {
	switch mode {
	case SignatureAuto, SignatureBody, SignatureTimestampBody:
		return ""
	}
	return "must be auto, body or ts_dot_body"
}

func requiredKeyProblem(key secret.Value) string {
	if key.Empty() {
		return "is missing; give the private API key as a reference, ${ENV_NAME} or file:/path"
	}
	return keyProblem(key)
}

// keyProblem refuses what cannot stand in a header. A key with a line break is
// the usual trace of a file with more than one line.
func keyProblem(key secret.Value) string {
	for _, r := range key.Reveal() {
		if r <= ' ' || r > '~' {
			return "holds a space, a line break or a character outside ASCII; give the bare key"
		}
	}
	return ""
}

// baseURLProblem never repeats the URL: a refused one may hold a password.
func baseURLProblem(base string, development bool) string {
	u, err := url.Parse(base)
	if err != nil || !u.IsAbs() || u.Hostname() == "" {
		return "must be an absolute URL, for example " + DefaultBaseURL
	}
	if u.User != nil || strings.ContainsAny(base, "?#") {
		return "must have no user info, query or fragment; keys have settings of their own"
	}
	return schemeProblem(u, development)
}

func schemeProblem(u *url.URL, development bool) string {
	switch {
	case u.Scheme == "https":
		return ""
	case u.Scheme == "http" && development && isLoopback(u.Hostname()):
		return ""
	case development:
		return "must start with https:// (http:// is for a loopback address only)"
	}
	return "must start with https://"
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
