// Package config reads verigate.yaml: the listeners, keys, limits, connections
// and flows of a gateway, who may call it, and what its callbacks are signed
// with.
//
// It owns the shape of that file, its defaults and its bounds, and the promise
// that every mistake in it is told at once, with its line and its remedy. It
// imports verification, provider and secret; never an adapter, store or rpc:
// adapters reach it through a provider.Registry. It keeps nothing and changes
// nothing: the same file, environment and files that it refers to always give
// the same answer, so that a reload can be tried and thrown away.
//
//	bytes ─► source.go: one YAML document, or a syntax error and the end
//	      ─► inspect.go: the line of every key; duplicates, aliases, tags
//	      ─► decode.go, scalar.go: typed values; unknown keys, wrong types, secrets
//	      ─► checks.go: one check per section, each in the file of its name:
//	         bounds, names, addresses, certificates, references between entries;
//	         options.go: a flow's options as JSON, for its adapter to judge
//	      ─► Config, or Errors with everything that was found on the way
//
// A value that could not be read is marked in the report, and later steps say
// nothing more about it: one mistake is one problem.
package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/verification"
)

// maxFileSize is the largest configuration that is read, in bytes.
const maxFileSize = 1 << 20

// Config is a valid configuration. It prints without its secrets.
type Config struct {
	// Fingerprint is the SHA-256 of the file in hexadecimal, for the audit log;
	// empty for a configuration that Load did not read.
	Fingerprint string
	// PublicURL is the origin under which callers and browsers reach the
	// gateway, in lower case and without a trailing slash.
	PublicURL string
	// WebhooksURL is the origin under which providers reach the webhooks
	// listener, in the same form; PublicURL unless the file says otherwise.
	WebhooksURL string
	// Listeners are the addresses to serve on.
	Listeners Listeners
	// TrustedProxies are the networks whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// DatabaseURL is how to reach Postgres.
	DatabaseURL secret.Value
	// ClientTokenKeys sign and verify client tokens; the first one signs. There
	// is at least one.
	ClientTokenKeys []Key
	// EncryptionKeys seal what is stored of deliveries; the first one seals, all
	// of them open. There is at least one, and none is a client token key.
	EncryptionKeys []Key
	// Retention says how long things are kept.
	Retention Retention
	// Origins are the web origins that may call from a browser, written as a
	// browser sends them.
	Origins []string
	// EndUsers are the issuers whose users may call with their own tokens, at
	// most one per project and environment.
	EndUsers []EndUsers
	// Callbacks are what callbacks are signed with, at most one entry per project
	// and environment. Every flow with a callback URL has one for its scope.
	Callbacks []Callbacks
	// Limits are how often one node lets one caller in.
	Limits Limits
	// Outgoing says what the gateway's own requests may reach.
	Outgoing Outgoing
	// Watch bounds the streams.
	Watch Watch
	// Bus says how nodes tell each other what changed.
	Bus Bus
	// Drain is the time over which streams are ended at shutdown.
	Drain time.Duration
	// Connections are the accounts at providers; there is at least one.
	Connections []Connection
	// Flows are what callers start; there is at least one.
	Flows []verification.Flow
}

// Retention says how long things are kept.
type Retention struct {
	// Deliveries is how long a raw delivery is kept after it arrived.
	Deliveries time.Duration
	// Events is how long a transition keeps its place in the event stream, and
	// how long a finished callback is kept.
	Events time.Duration
	// History is how long transitions and the rows of deliveries are kept, at
	// least, from when their verification began and they arrived. It is no shorter
	// than Deliveries, Events and the lifetime and grace of any flow.
	History time.Duration
}

// Watch bounds the streams of WatchStatus.
type Watch struct {
	// Heartbeat is the mean time between heartbeat messages.
	Heartbeat time.Duration
	// MaxAge is the longest life of a stream; each one ends at a random age
	// between half of it and all of it.
	MaxAge time.Duration
	// PollInterval is how often the tail of the transition log is read.
	PollInterval time.Duration
	// MaxWatchers is how many streams one node keeps open.
	MaxWatchers int
	// MaxPerToken is how many of them one client token or one end user may have.
	MaxPerToken int
	// MaxPerKey is how many of them all calls with one API key may have.
	MaxPerKey int
}

// Connection is one account at a provider.
type Connection struct {
	// Name is unique in the whole file: webhooks arrive at /webhooks/{name}.
	Name string
	// Scope is the project and environment that it belongs to.
	Scope verification.Scope
	// Provider is the provider's name in the registry.
	Provider string
	// Dedicated says that nothing but this gateway creates verifications on
	// the account.
	Dedicated bool
	// Settings are the adapter's own, valid and ready to open.
	Settings provider.Settings
}

// EnvironmentSetter is implemented by settings that need the environment of
// their connection. It is called before Validate.
type EnvironmentSetter interface {
	SetEnvironment(environment verification.Environment)
}

// Load reads and checks a configuration file of a production gateway. It
// returns Errors when the file is wrong, another error when it cannot be read.
func Load(path string, registry provider.Registry) (*Config, error) {
	source, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the configuration: %w; check the path and its permissions", err)
	}
	cfg, err := Parse(source, path, registry, false)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(source)
	cfg.Fingerprint = hex.EncodeToString(sum[:])
	return cfg, nil
}

// Parse checks a configuration; name is the file's name in messages. A
// development gateway may use plain http on loopback addresses and shorter
// times. The error is of type Errors.
func Parse(source []byte, name string, registry provider.Registry, development bool) (*Config, error) {
	r := newReport(name)
	root := readSource(r, source)
	if root == nil {
		return nil, r.errors()
	}
	inspect(r, root, "", 0)
	parsed := defaultFile()
	decodeInto(r, root, &parsed, "")
	c := checker{report: r, file: &parsed, registry: registry, bounds: boundsFor(development), development: development}
	built := c.build()
	if errs := r.errors(); errs != nil {
		return nil, errs
	}
	return built, nil
}

// readFile reads at most one byte more than maxFileSize, which is enough for
// Parse to refuse the rest.
func readFile(path string) (source []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	source, err = io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return source, err
}
