package sandbox

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/verigate/verigate/server/secret"
)

// Options is the account that a VerifyHuman emulator plays.
type Options struct {
	// BaseURL is the emulator's own public URL, any mount prefix included, such
	// as http://127.0.0.1:8080/sandbox/verifyhuman. Hosted URLs begin with it.
	BaseURL string
	// APIKey is the account's private key. It also guards the control routes.
	APIKey secret.Value
	// ClientKey is the publishable key of the mobile endpoints; empty means the
	// same text as APIKey.
	ClientKey secret.Value
	// WebhookURL is the endpoint that the account registered.
	WebhookURL string
	// WebhookSecret keys the signatures: the literal text, prefix included.
	WebhookSecret secret.Value
	// Environment is "test" or "live"; empty means test.
	Environment string
	// Flows are the published stable pages.
	Flows []Flow
	// Faults are the run's faults, until they are changed over HTTP.
	Faults Faults
	// WebhookDelay is how long after a run its webhook is sent; 0 means 400 ms
	// and a negative value at once. The seed document says that delivery usually
	// takes less than a second, so the redirect comes first.
	WebhookDelay time.Duration
	// Retry is how webhooks are repeated.
	Retry Retry
	// MaxSessions bounds the sessions that are remembered, the oldest being
	// forgotten first; 0 means 10,000.
	MaxSessions int

	// HTTP sends the webhooks; nil means a client of the emulator's own.
	HTTP *http.Client
	// Log gets what happened, never keys, tokens or bodies; nil means nowhere.
	Log *slog.Logger
	// Now is the clock; required.
	Now func() time.Time
	// Wait pauses before webhooks; nil means a timer.
	Wait Wait
	// OnDelivery is told each attempt's outcome, from several goroutines but
	// never after Close returned nil. It must not call Close. nil means nobody.
	OnDelivery func(Delivery)
}

// Flow is a published VerifyFlow: one stable page for everybody. The seed
// document has these configured in the dashboard, never by a request.
type Flow struct {
	// Slug is the last part of the page's URL, BaseURL/flow/{slug}: lower-case
	// letters, digits and hyphens.
	Slug string
	// Product is verifyhuman, verifyage, verifyidentity or verifycompliance.
	Product string
	// RedirectURL is where a person who passed goes; empty to stay.
	RedirectURL string
	// FailureRedirectURL is where everybody else goes; empty to stay.
	FailureRedirectURL string
	// PageTitle is the page's heading; empty for a plain one.
	PageTitle string
}

const (
	environmentTest = "test"
	environmentLive = "live"
)

// The products, as VerifyHuman's documentation spells them in URLs.
// verifycompliance is sold as VerifyTrust.
const (
	productHuman      = "verifyhuman"
	productAge        = "verifyage"
	productIdentity   = "verifyidentity"
	productCompliance = "verifycompliance"
)

const wantProduct = "verifyhuman, verifyage, verifyidentity or verifycompliance"

func knownProduct(product string) bool {
	return slices.Contains([]string{productHuman, productAge, productIdentity, productCompliance}, product)
}

// withDefaults returns o with what may be left out of VerifyHuman's own part.
func (o Options) withDefaults() Options {
	if o.ClientKey.Empty() {
		o.ClientKey = o.APIKey
	}
	if o.Environment == "" {
		o.Environment = environmentTest
	}
	return o
}

// account returns what is common to all emulators.
func (o Options) account() account {
	return account{
		baseURL: o.BaseURL, apiKey: o.APIKey, delay: o.WebhookDelay, retry: o.Retry, maxSessions: o.MaxSessions,
		client: o.HTTP, log: o.Log, now: o.Now, wait: o.Wait, onDelivery: o.OnDelivery,
	}
}

// validate says everything that is wrong.
func (o Options) validate(a account) error {
	problems := a.problems()
	check := func(ok bool, message string) {
		if !ok {
			problems = append(problems, errors.New(message))
		}
	}
	check(webURL(withoutQuery(o.WebhookURL)), "WebhookURL: must be an absolute http or https URL")
	check(!o.WebhookSecret.Empty(), "WebhookSecret: must not be empty")
	check(o.Environment == environmentTest || o.Environment == environmentLive,
		`Environment: must be "test" or "live"`)
	if err := o.Faults.Validate(); err != nil {
		problems = append(problems, err)
	}
	problems = append(problems, flowProblems(o.Flows)...)
	if err := joinProblems(problems); err != nil {
		return fmt.Errorf("sandbox verifyhuman: %w", err)
	}
	return nil
}

var slugPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)

func flowProblems(flows []Flow) []error {
	var problems []error
	seen := make(map[string]bool, len(flows))
	for i, f := range flows {
		at := fmt.Sprintf("Flows[%d].", i)
		if !slugPattern.MatchString(f.Slug) {
			problems = append(problems, errors.New(at+"Slug: must be lower-case letters, digits and hyphens"))
		}
		if seen[f.Slug] {
			problems = append(problems, fmt.Errorf("%sSlug: %q is used twice", at, f.Slug))
		}
		seen[f.Slug] = true
		if !knownProduct(f.Product) {
			problems = append(problems, errors.New(at+"Product: must be "+wantProduct))
		}
		if err := optionalRedirect(f.RedirectURL); err != nil {
			problems = append(problems, fmt.Errorf("%sRedirectURL: %w", at, err))
		}
		if err := optionalRedirect(f.FailureRedirectURL); err != nil {
			problems = append(problems, fmt.Errorf("%sFailureRedirectURL: %w", at, err))
		}
	}
	return problems
}

// optionalRedirect is checkRedirect for a target that may be absent.
func optionalRedirect(target string) error {
	if target == "" {
		return nil
	}
	return checkRedirect(target)
}
