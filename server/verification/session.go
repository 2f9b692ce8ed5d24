package verification

import (
	"context"
	"log/slog"
	"net/url"
	"time"

	"github.com/google/uuid"
)

// StartSession is what a provider needs to open a hosted page.
type StartSession struct {
	// VerificationID is our id; providers that echo a reference get it.
	VerificationID uuid.UUID
	Product        string
	// HostedURL is the flow's stable page, if it has one; no call is made then.
	HostedURL string
	// ReturnURL and FailureReturnURL are legs of the gateway itself, never the
	// app's; empty when the app wants the person to stay on the result page.
	ReturnURL        string
	FailureReturnURL string
	// AnyReturnURL is the leg for providers that send everybody back in one way
	// and demand to be told where; never empty.
	AnyReturnURL string
	// WebhookURL and EventsWebhookURL are where the provider may send its
	// decisions and everything else, if it wants to be told with each session.
	WebhookURL       string
	EventsWebhookURL string
	// Flow is the flow's name.
	Flow string
	// Options is the flow's `options`, a JSON object in the adapter's own words;
	// empty if the flow has none.
	Options []byte
	// UserData is what the caller knows of the person; nil if it said nothing.
	// It goes to the provider and is neither stored nor logged.
	UserData *UserData
	// ExpireTime is when the page should stop working.
	ExpireTime time.Time
	// Now is the start's clock reading.
	Now            time.Time
	PageTitle      string
	SuccessMessage string
	FailureMessage string
}

// UserData is what a caller knows of the person, for providers that check it or
// fill it in. Every field may be empty. It is personal.
type UserData struct {
	FirstName, MiddleName, LastName string
	// DateOfBirth is YYYY-MM-DD.
	DateOfBirth string
	// PhoneNumber is in E.164 form.
	PhoneNumber  string
	EmailAddress string
	IPAddress    string
	Address      *Address
}

// Address is where a person lives. Every field may be empty.
type Address struct {
	Street1, Street2, City, State, ZipCode string
	// Country is an ISO 3166-1 alpha-2 code.
	Country string
}

// LogValue keeps it out of logs, whoever tries.
func (*UserData) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// String keeps it out of texts.
func (*UserData) String() string { return "[redacted]" }

// GoString is what %#v says.
func (*UserData) GoString() string { return "[redacted]" }

// Session is what the provider answered.
type Session struct {
	HostedURL string
	// Refs are the provider refs that are known from now on; a webhook that
	// carries one is an exact match.
	Refs []string
	// ExpireTime is when the provider's page stops working; zero if it did not
	// say. The gateway's own time never exceeds it.
	ExpireTime time.Time
}

// Provider is what the Service needs of a provider's adapter.
type Provider interface {
	// Start opens a hosted page. Its errors are *Error.
	Start(ctx context.Context, r StartSession) (Session, error)
}

// ReturnReader is the capability of a provider that appends its own id to the
// return leg.
type ReturnReader interface {
	// ReturnRef reads a provider ref in a return leg's query; empty if there is
	// none. What it returns is under the person's control.
	ReturnRef(query url.Values) string
}

// Catalog is the configuration in force. It is asked anew for each call, so a
// reload takes effect at once.
type Catalog interface {
	// Flow returns a flow of the scope.
	Flow(scope Scope, name string) (*Flow, bool)
	// FlowFor returns a flow of a connection and product; where several share
	// them, the one with the widest return window.
	FlowFor(connection, product string) (*Flow, bool)
	// Provider returns the adapter of a connection.
	Provider(connection string) (Provider, bool)
	// Pollable reports whether a connection's provider can be asked what became
	// of a verification.
	Pollable(connection string) bool
	// CallsBack reports whether a scope has secrets to sign callbacks with.
	CallsBack(scope Scope) bool
}

// Waker is told after each commit what became of a verification.
type Waker interface {
	// Wake hands over a state that is committed. Nobody changes v from then on,
	// and a newer state may have been handed over before. It never blocks.
	Wake(v *Verification)
}
