package config

import (
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/verigate/verigate/server/secret"
)

// The defaults: what holds when the file does not say. Lifetime and the return
// window are the design's; the stream times are what proxies and phones in the
// wild tolerate.
const (
	defaultPublic       = "127.0.0.1:8080"
	defaultWebhooks     = "127.0.0.1:8081"
	defaultOperator     = "127.0.0.1:8082"
	defaultDeliveries   = 30 * day
	defaultEvents       = 90 * day
	defaultHistory      = 400 * day
	defaultHeartbeat    = 15 * time.Second
	defaultMaxAge       = 10 * time.Minute
	defaultPollInterval = 500 * time.Millisecond
	defaultMaxWatchers  = 20_000
	defaultMaxPerToken  = 16
	defaultMaxPerKey    = 5_000
	defaultDrain        = 20 * time.Second
	defaultReturnWindow = time.Minute
	defaultLifetime     = time.Hour
	defaultGrace        = 24 * time.Hour
	// Most webhooks come within seconds; a provider is not asked while one is
	// probably on its way.
	defaultReconcileAfter = 2 * time.Minute
	defaultCorrelation    = correlationExact
	// defaultOpenPerSubject holds where end users start verifications themselves.
	defaultOpenPerSubject = 5
	defaultSubjectClaim   = "sub"
)

// The default limits, as the file writes them. They are far above what people
// do and below what hurts a node.
const (
	defaultPerKey             = "200/s"
	defaultPerSubject         = "10/s"
	defaultStartsPerSubject   = "60/h"
	defaultPerAddress         = "200/s"
	defaultWebhooksPerAddress = "1000/s"
)

// The ways to find the verification that a webhook is about.
const (
	correlationExact    = "exact"
	correlationInferred = "inferred"
)

// span is an allowed range of time, both ends included.
type span struct{ from, to time.Duration }

// bounds are the allowed ranges of everything that can be counted.
type bounds struct {
	heartbeat, maxAge, pollInterval, drain span
	returnWindow, lifetime, grace          span
	reconcileAfter                         span
	deliveries, events, history            span
	maxWatchers, maxPerToken, maxOpen      int
}

// boundsFor returns the bounds. A development gateway may be quicker, so that
// its tests need not wait.
func boundsFor(development bool) bounds {
	b := bounds{
		// Clients miss a stream after 45 s without a message.
		heartbeat:    span{time.Second, 30 * time.Second},
		maxAge:       span{30 * time.Second, day},
		pollInterval: span{50 * time.Millisecond, 10 * time.Second},
		drain:        span{0, 5 * time.Minute},
		returnWindow: span{time.Second, 10 * time.Minute},
		lifetime:     span{time.Minute, 30 * day},
		grace:        span{0, 30 * day},
		// Later than a day nobody waits for the answer any more.
		reconcileAfter: span{10 * time.Second, day},
		deliveries:     span{time.Hour, 3650 * day},
		events:         span{day, 3650 * day},
		history:        span{day, 3650 * day},
		maxWatchers:    1_000_000,
		maxPerToken:    1000,
		maxOpen:        1_000_000,
	}
	if development {
		b.heartbeat.from = 100 * time.Millisecond
		b.maxAge.from = time.Second
		b.pollInterval.from = 10 * time.Millisecond
		b.lifetime.from = time.Second
		b.reconcileAfter.from = 100 * time.Millisecond
		b.events.from = time.Second
	}
	return b
}

// file is verigate.yaml as it is written. Each key is explained in
// verigate.example.yaml.
type file struct {
	PublicURL      string            `yaml:"public_url"`
	WebhooksURL    string            `yaml:"webhooks_url"`
	Listeners      listenersSection  `yaml:"listeners"`
	TrustedProxies []string          `yaml:"trusted_proxies"`
	DatabaseURL    secret.Value      `yaml:"database_url"`
	ClientTokens   keysSection       `yaml:"client_tokens"`
	Encryption     keysSection       `yaml:"encryption"`
	Retention      retentionSection  `yaml:"retention"`
	CORS           corsSection       `yaml:"cors"`
	EndUsers       []endUsersEntry   `yaml:"end_users"`
	Callbacks      []callbacksEntry  `yaml:"callbacks"`
	Limits         limitsSection     `yaml:"limits"`
	Outgoing       outgoingSection   `yaml:"outgoing"`
	Watch          watchSection      `yaml:"watch"`
	Bus            busSection        `yaml:"bus"`
	Drain          time.Duration     `yaml:"drain"`
	Connections    []connectionEntry `yaml:"connections"`
	Flows          []flowEntry       `yaml:"flows"`
}

// moved are keys of earlier releases and where their values belong now.
var moved = map[string]string{"listen": "listeners.public.address"}

type listenersSection struct {
	Public   listenerEntry `yaml:"public"`
	Webhooks listenerEntry `yaml:"webhooks"`
	Operator listenerEntry `yaml:"operator"`
}

type listenerEntry struct {
	Address string   `yaml:"address"`
	TLS     tlsEntry `yaml:"tls"`
}

type tlsEntry struct {
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
}

type keysSection struct {
	Keys []keyEntry `yaml:"keys"`
}

type keyEntry struct {
	ID     string       `yaml:"id"`
	Secret secret.Value `yaml:"secret"`
}

type retentionSection struct {
	Deliveries time.Duration `yaml:"deliveries"`
	Events     time.Duration `yaml:"events"`
	History    time.Duration `yaml:"history"`
}

type corsSection struct {
	Origins []string `yaml:"origins"`
}

type endUsersEntry struct {
	Project      string   `yaml:"project"`
	Environment  string   `yaml:"environment"`
	Issuer       string   `yaml:"issuer"`
	Audiences    []string `yaml:"audiences"`
	JWKSURL      string   `yaml:"jwks_url"`
	Algorithms   []string `yaml:"algorithms"`
	SubjectClaim string   `yaml:"subject_claim"`
}

func (e *endUsersEntry) setDefaults() {
	e.Algorithms = defaultAlgorithms()
	e.SubjectClaim = defaultSubjectClaim
}

type callbacksEntry struct {
	Project     string         `yaml:"project"`
	Environment string         `yaml:"environment"`
	Secrets     []secret.Value `yaml:"secrets"`
}

// limitsSection holds rates as count/period.
type limitsSection struct {
	PerKey             string `yaml:"per_key"`
	PerSubject         string `yaml:"per_subject"`
	StartsPerSubject   string `yaml:"starts_per_subject"`
	PerAddress         string `yaml:"per_address"`
	WebhooksPerAddress string `yaml:"webhooks_per_address"`
}

type outgoingSection struct {
	AllowedNetworks []string `yaml:"allowed_networks"`
}

type watchSection struct {
	Heartbeat    time.Duration `yaml:"heartbeat"`
	MaxAge       time.Duration `yaml:"max_age"`
	PollInterval time.Duration `yaml:"poll_interval"`
	MaxWatchers  int           `yaml:"max_watchers"`
	MaxPerToken  int           `yaml:"max_per_token"`
	MaxPerKey    int           `yaml:"max_per_key"`
}

type connectionEntry struct {
	Name        string `yaml:"name"`
	Project     string `yaml:"project"`
	Environment string `yaml:"environment"`
	Provider    string `yaml:"provider"`
	Dedicated   bool   `yaml:"dedicated"`
	// Settings are decoded once the provider is known.
	Settings yaml.Node `yaml:"settings"`
}

type flowEntry struct {
	Name       string `yaml:"name"`
	Connection string `yaml:"connection"`
	Product    string `yaml:"product"`
	// Options are translated, not decoded: they are the provider's own.
	Options            yaml.Node     `yaml:"options"`
	HostedURL          string        `yaml:"hosted_url"`
	Correlation        string        `yaml:"correlation"`
	ReturnWindow       time.Duration `yaml:"return_window"`
	Exclusive          bool          `yaml:"exclusive"`
	Lifetime           time.Duration `yaml:"lifetime"`
	Grace              time.Duration `yaml:"grace"`
	ReconcileAfter     time.Duration `yaml:"reconcile_after"`
	AllowedRedirects   []string      `yaml:"allowed_redirects"`
	RedirectURL        string        `yaml:"redirect_url"`
	FailureRedirectURL string        `yaml:"failure_redirect_url"`
	CallbackURL        string        `yaml:"callback_url"`
	EventsCallbackURL  string        `yaml:"events_callback_url"`
	PageTitle          string        `yaml:"page_title"`
	SuccessMessage     string        `yaml:"success_message"`
	FailureMessage     string        `yaml:"failure_message"`
	EndUsers           bool          `yaml:"end_users"`
	MaxOpen            int           `yaml:"max_open"`
	MaxOpenPerSubject  int           `yaml:"max_open_per_subject"`
}

func (f *flowEntry) setDefaults() {
	f.Correlation = defaultCorrelation
	f.ReturnWindow = defaultReturnWindow
	f.Lifetime = defaultLifetime
	f.Grace = defaultGrace
	f.ReconcileAfter = defaultReconcileAfter
}

func defaultFile() file {
	return file{
		Listeners: listenersSection{
			Public:   listenerEntry{Address: defaultPublic},
			Webhooks: listenerEntry{Address: defaultWebhooks},
			Operator: listenerEntry{Address: defaultOperator},
		},
		Retention: retentionSection{Deliveries: defaultDeliveries, Events: defaultEvents, History: defaultHistory},
		Limits: limitsSection{
			PerKey:             defaultPerKey,
			PerSubject:         defaultPerSubject,
			StartsPerSubject:   defaultStartsPerSubject,
			PerAddress:         defaultPerAddress,
			WebhooksPerAddress: defaultWebhooksPerAddress,
		},
		Drain: defaultDrain,
		Watch: watchSection{
			Heartbeat:    defaultHeartbeat,
			MaxAge:       defaultMaxAge,
			PollInterval: defaultPollInterval,
			MaxWatchers:  defaultMaxWatchers,
			MaxPerToken:  defaultMaxPerToken,
			MaxPerKey:    defaultMaxPerKey,
		},
	}
}
