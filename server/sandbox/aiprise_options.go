package sandbox

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/verigate/verigate/server/secret"
)

// AiPriseOptions is the sandbox account that an AiPrise emulator plays. Its
// templates are whatever UUID a request names.
type AiPriseOptions struct {
	// BaseURL is the emulator's own public URL, any mount prefix included, such
	// as http://127.0.0.1:8080/sandbox/aiprise. Hosted URLs begin with it, and
	// an adapter's base URL is BaseURL + "/api/v1".
	BaseURL string
	// APIKey is the account's key. It is asked for in X-API-KEY, signs the
	// webhooks, as the seed document says, and guards the control routes.
	APIKey secret.Value
	// SessionLifetime is how long a hosted URL can be used; 0 means the 30
	// minutes of AiPrise's guide.
	SessionLifetime time.Duration
	// Faults are the run's faults, until they are changed over HTTP.
	Faults AiPriseFaults
	// WebhookDelay is how long the workflow takes after a submission, for
	// webhooks and polls alike; 0 means 400 ms and a negative value none.
	// AiPrise's support article speaks of 10 to 15 seconds in the sandbox, which
	// nobody wants to wait for here.
	WebhookDelay time.Duration
	// Retry is how webhooks are repeated.
	Retry Retry
	// MaxSessions bounds the sessions that are remembered, the oldest being
	// forgotten first; 0 means 10,000.
	MaxSessions int

	// HTTP sends the webhooks; nil means a client of the emulator's own.
	HTTP *http.Client
	// Log gets what happened, never keys, ids, names or bodies; nil means
	// nowhere.
	Log *slog.Logger
	// Now is the clock; required.
	Now func() time.Time
	// Wait pauses before webhooks; nil means a timer.
	Wait Wait
	// OnDelivery is told each attempt's outcome, from several goroutines but
	// never after Close returned nil. It must not call Close. nil means nobody.
	OnDelivery func(Delivery)
}

const defaultSessionLifetime = 30 * time.Minute

// withDefaults returns o with what may be left out of AiPrise's own part.
func (o AiPriseOptions) withDefaults() AiPriseOptions {
	if o.SessionLifetime == 0 {
		o.SessionLifetime = defaultSessionLifetime
	}
	return o
}

// account returns what is common to all emulators.
func (o AiPriseOptions) account() account {
	return account{
		baseURL: o.BaseURL, apiKey: o.APIKey, delay: o.WebhookDelay, retry: o.Retry, maxSessions: o.MaxSessions,
		client: o.HTTP, log: o.Log, now: o.Now, wait: o.Wait, onDelivery: o.OnDelivery,
	}
}

// validate says everything that is wrong.
func (o AiPriseOptions) validate(a account) error {
	problems := a.problems()
	if o.SessionLifetime < 0 {
		problems = append(problems, errors.New("SessionLifetime: must not be negative"))
	}
	if err := o.Faults.Validate(); err != nil {
		problems = append(problems, err)
	}
	if err := joinProblems(problems); err != nil {
		return fmt.Errorf("sandbox aiprise: %w", err)
	}
	return nil
}
