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
	defaultListen       = "127.0.0.1:8080"
	defaultHeartbeat    = 15 * time.Second
	defaultMaxAge       = 10 * time.Minute
	defaultPollInterval = 500 * time.Millisecond
	defaultMaxWatchers  = 20_000
	defaultDrain        = 20 * time.Second
	defaultReturnWindow = time.Minute
	defaultLifetime     = time.Hour
	defaultGrace        = 24 * time.Hour
	defaultCorrelation  = correlationExact
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
	maxWatchers                            int
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
		maxWatchers:  1_000_000,
	}
	if development {
		b.heartbeat.from = 100 * time.Millisecond
		b.maxAge.from = time.Second
		b.pollInterval.from = 10 * time.Millisecond
		b.lifetime.from = time.Second
	}
	return b
}

// file is verigate.yaml as it is written. Each key is explained in
// verigate.example.yaml.
type file struct {
	PublicURL    string              `yaml:"public_url"`
	Listen       string              `yaml:"listen"`
	DatabaseURL  secret.Value        `yaml:"database_url"`
	ClientTokens clientTokensSection `yaml:"client_tokens"`
	CORS         corsSection         `yaml:"cors"`
	Watch        watchSection        `yaml:"watch"`
	Drain        time.Duration       `yaml:"drain"`
	Connections  []connectionEntry   `yaml:"connections"`
	Flows        []flowEntry         `yaml:"flows"`
}

type clientTokensSection struct {
	Keys []clientTokenKeyEntry `yaml:"keys"`
}

type clientTokenKeyEntry struct {
	ID     string       `yaml:"id"`
	Secret secret.Value `yaml:"secret"`
}

type corsSection struct {
	Origins []string `yaml:"origins"`
}

type watchSection struct {
	Heartbeat    time.Duration `yaml:"heartbeat"`
	MaxAge       time.Duration `yaml:"max_age"`
	PollInterval time.Duration `yaml:"poll_interval"`
	MaxWatchers  int           `yaml:"max_watchers"`
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
	Name               string        `yaml:"name"`
	Connection         string        `yaml:"connection"`
	Product            string        `yaml:"product"`
	HostedURL          string        `yaml:"hosted_url"`
	Correlation        string        `yaml:"correlation"`
	ReturnWindow       time.Duration `yaml:"return_window"`
	Exclusive          bool          `yaml:"exclusive"`
	Lifetime           time.Duration `yaml:"lifetime"`
	Grace              time.Duration `yaml:"grace"`
	AllowedRedirects   []string      `yaml:"allowed_redirects"`
	RedirectURL        string        `yaml:"redirect_url"`
	FailureRedirectURL string        `yaml:"failure_redirect_url"`
	CallbackURL        string        `yaml:"callback_url"`
	EventsCallbackURL  string        `yaml:"events_callback_url"`
	PageTitle          string        `yaml:"page_title"`
	SuccessMessage     string        `yaml:"success_message"`
	FailureMessage     string        `yaml:"failure_message"`
}

func (f *flowEntry) setDefaults() {
	f.Correlation = defaultCorrelation
	f.ReturnWindow = defaultReturnWindow
	f.Lifetime = defaultLifetime
	f.Grace = defaultGrace
}

func defaultFile() file {
	return file{
		Listen: defaultListen,
		Drain:  defaultDrain,
		Watch: watchSection{
			Heartbeat:    defaultHeartbeat,
			MaxAge:       defaultMaxAge,
			PollInterval: defaultPollInterval,
			MaxWatchers:  defaultMaxWatchers,
		},
	}
}
