package verification

import (
	"time"

	"github.com/google/uuid"
)

// Scope is the tenant: every row, key, connection and flow belongs to one
// project and one environment of it.
type Scope struct {
	Project     string
	Environment Environment
}

// Environment separates what counts from what is tried out.
type Environment string

// The environments. They never mix.
const (
	Live Environment = "live"
	Test Environment = "test"
)

// Verification is the row.
type Verification struct {
	ID    uuid.UUID
	Scope Scope

	Flow       string
	Connection string
	Product    string
	Subject    string
	Reference  string
	Metadata   map[string]string

	State       State
	Version     int64
	ReasonCodes []string
	Match       Match

	HostedURL          string
	RedirectURL        string
	FailureRedirectURL string
	CallbackURL        string
	EventsCallbackURL  string

	// NonceHash is the SHA-256 of the return leg's nonce.
	NonceHash []byte
	// Lane is the exclusive lane that it holds; empty for none.
	Lane string

	CreateTime time.Time
	UpdateTime time.Time
	ExpireTime time.Time
	// GraceUntil is when a late decision stops counting.
	GraceUntil time.Time
	// PageUntil is when the provider's page stops working; it may outlive
	// ExpireTime.
	PageUntil time.Time
	// ReturnTime is when the person first came back; zero if not.
	ReturnTime time.Time
	// BindTime is when a webhook first tied a provider ref to it; zero if none.
	BindTime time.Time
	// FinalTime is set exactly while the state is terminal.
	FinalTime time.Time
	// EraseTime is when everything personal was removed; zero if it was not.
	EraseTime time.Time
	// FetchTime is when the provider is asked next; zero if it is not going to
	// be.
	FetchTime time.Time
	// Fetches is how often it was asked since something last changed.
	Fetches int
}

// Result derives what the state means for an app.
func (v *Verification) Result() Result { return v.State.Result() }

// inGrace reports whether a signed decision may still overturn Expired.
func (v *Verification) inGrace(now time.Time) bool { return now.Before(v.GraceUntil) }

// Transition is a recorded change of state. Version 1 is the creation, with an
// empty From.
type Transition struct {
	VerificationID uuid.UUID
	Version        int64
	Scope          Scope
	From           State
	To             State
	Event          EventKind
	Source         Source
	Rung           Rung
	Match          Match
	ReasonCodes    []string
	// Reason is in the words of whoever asked, for the record only.
	Reason string
	// DeliveryID is the delivery that caused it; zero if none did.
	DeliveryID uuid.UUID
	CreateTime time.Time
}

// Delivery is one authenticated webhook request as it arrived, with what its
// adapter read in it.
type Delivery struct {
	ID          uuid.UUID
	Scope       Scope
	Connection  string
	ReceiveTime time.Time
	// Headers are the ones worth keeping; never a signature or a credential.
	Headers map[string]string
	// Body is the raw request body; nil once it was purged.
	Body []byte
	// DedupeKey is the same for every attempt at delivering the same thing.
	DedupeKey string
	// ProviderEvent is the provider's own name of what happened.
	ProviderEvent string
	// ProviderStatus is what the provider said of the verification, in its own
	// words.
	ProviderStatus string
	// Event is what the adapter read; meaningful only if Effect is empty.
	Event Event
	// Effect is set by the adapter's reading when the delivery is no event
	// (Ping, Unknown, Unreadable), and by applying it otherwise.
	Effect Effect
	// VerificationID is the verification it was applied to; zero if none.
	VerificationID uuid.UUID
	// ApplyTime is when that was, or was last tried. Only rows that were read have
	// it.
	ApplyTime time.Time
	// Emptied: neither headers nor body nor anything that names somebody is
	// stored; only that something came, when, and what it did.
	Emptied bool
}

// BoundRef says which verification a provider ref means, and how surely.
type BoundRef struct {
	Connection     string
	Ref            string
	VerificationID uuid.UUID
	Match          Match
	CreateTime     time.Time
}

// Flow is what a caller starts, as the configuration declares it.
type Flow struct {
	Name       string
	Scope      Scope
	Connection string
	// Product is the provider's product or template.
	Product string
	// HostedURL is set when the provider has a stable page for this flow: no
	// session is created and everybody gets this URL.
	HostedURL string
	// Inferred allows correlation without a key in the payload.
	Inferred bool
	// ReturnWindow is how far a return and a webhook may lie apart to belong
	// together.
	ReturnWindow time.Duration
	// Exclusive allows one open verification per connection and product.
	Exclusive bool
	// EndUsers lets end users start the flow with their own token.
	EndUsers bool
	// MaxOpen is how many verifications of the flow may be open at a time; zero
	// for no limit.
	MaxOpen int
	// MaxOpenPerSubject is the same for one subject.
	MaxOpenPerSubject int
	// Lifetime is how long a person has.
	Lifetime time.Duration
	// Grace is how long after expiry a signed decision still wins.
	Grace time.Duration
	// Options are the provider's own, a JSON object; empty for none.
	Options []byte
	// FetchAfter is how long after the person's return the provider is asked if
	// nothing was heard.
	FetchAfter time.Duration
	// AllowedRedirects are the origins and custom schemes that a redirect may
	// go to; see redirect.go.
	AllowedRedirects []string

	RedirectURL        string
	FailureRedirectURL string
	CallbackURL        string
	EventsCallbackURL  string
	PageTitle          string
	SuccessMessage     string
	FailureMessage     string
}

// Lane names what at most one open verification of an exclusive flow may hold.
func (f *Flow) Lane() string {
	if !f.Exclusive {
		return ""
	}
	return f.Connection + "/" + f.Product
}
