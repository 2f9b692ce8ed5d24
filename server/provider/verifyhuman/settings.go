package verifyhuman

import (
	"fmt"
	"time"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/provider/edge"
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

// Defaults of the settings.
const (
	// DefaultBaseURL is the host of VerifyHuman's hosted pages and the
	// production base of its API reference.
	DefaultBaseURL = "https://app.verifyhuman.io"
	// DefaultTimestampTolerance is this project's choice; VerifyHuman states
	// none that could be read.
	DefaultTimestampTolerance = 5 * time.Minute
	// DefaultTimeout bounds one call to VerifyHuman.
	DefaultTimeout = 10 * time.Second
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
	// Timeout bounds one call, from dialling to the last byte of the answer; at
	// most edge.MaxTimeout.
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
	var problems edge.Problems
	problems.Report("base_url", edge.BaseURLProblem(s.BaseURL, "for example "+DefaultBaseURL, development))
	problems.Report("api_key", requiredKeyProblem(s.APIKey))
	problems.Report("auth_scheme", authSchemeProblem(s.AuthScheme))
	if len(s.WebhookSecrets) == 0 {
		problems.Report("webhook_secrets", "is empty; list at least one signing secret of the webhook endpoint")
	}
	for i, v := range s.WebhookSecrets {
		if v.Empty() {
			problems.Report(fmt.Sprintf("webhook_secrets[%d]", i), "is empty; remove it or give the signing secret")
		}
	}
	problems.Report("signature_mode", signatureModeProblem(s.SignatureMode))
	if s.TimestampTolerance <= 0 {
		problems.Report("timestamp_tolerance", "must be longer than zero, for example 5m")
	}
	problems.Report("timeout", edge.TimeoutProblem(s.Timeout))
	problems.Report("client_key", edge.KeyProblem(s.ClientKey))
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
	return edge.KeyProblem(key)
}
