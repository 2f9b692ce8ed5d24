package main

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	benchmark "github.com/verigate/verigate/bench"
	"github.com/verigate/verigate/bench/rig"
	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/provider/verifyhuman"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/verification"
)

// benchTarget names a gateway that runs.
type benchTarget struct {
	config, flow, key, reference string
	pid                          int
}

func (b *benchTarget) flags(f *pflag.FlagSet) {
	f.StringVar(&b.config, "config", "", "target the gateway that runs with this configuration file; it WRITES to that gateway's database")
	f.StringVar(&b.flow, "flow", "", "with --config: the flow, if more than one fits")
	f.StringVar(&b.key, "api-key", "", "with --config: where the API key is, ${NAME} or file:/path (or "+envKey+")")
	f.IntVar(&b.pid, "pid", 0, "with --config: the gateway's process on this machine, to see its memory and CPU")
	f.StringVar(&b.reference, "reference-database-url", "", "with --config: an empty database on the same Postgres, for the references; a URL without a password, ${NAME} or file:/path")
}

// named tells that a gateway is to be targeted, or which flag asks for one.
func (b *benchTarget) named(f *pflag.FlagSet) (bool, error) {
	if b.config != "" {
		return true, nil
	}
	for _, name := range []string{"config", "flow", "api-key", "pid", "reference-database-url"} {
		if f.Changed(name) {
			return false, usageError("--%s: is for a gateway that runs; name its configuration file with --config", name)
		}
	}
	return false, nil
}

// read gathers what the benchmark needs to know of the gateway.
func (b *benchTarget) read(std streams) (*benchmark.Target, error) {
	cfg, err := config.Load(b.config, adapters())
	if err != nil {
		return nil, err
	}
	flow, connection, err := b.choose(cfg)
	if err != nil {
		return nil, err
	}
	signing, err := webhookSecret(connection)
	if err != nil {
		return nil, err
	}
	t := &benchmark.Target{
		Config: b.config, PID: b.pid, DatabaseURL: cfg.DatabaseURL, WebhookSecret: signing,
		Names:      rig.Names{Project: flow.Scope.Project, Connection: connection.Name, Flow: flow.Name, Product: flow.Product},
		TokenKeyID: cfg.ClientTokenKeys[0].ID, TokenKey: cfg.ClientTokenKeys[0].Secret,
		Heartbeat: cfg.Watch.Heartbeat, MaxWatchers: cfg.Watch.MaxWatchers,
	}
	if t.Public, err = dialable("public", cfg.Listeners.Public); err != nil {
		return nil, err
	}
	if t.Webhooks, err = dialable("webhooks", cfg.Listeners.Webhooks); err != nil {
		return nil, err
	}
	if t.APIKey, err = b.apiKey(std); err != nil {
		return nil, err
	}
	if b.reference != "" {
		t.ReferenceURL, err = benchReference(b.reference, std)
	}
	return t, err
}

// apiKey takes the key from where the other commands take it, the file of
// `verigate dev` apart: that one belongs to another gateway.
func (b *benchTarget) apiKey(std streams) (secret.Value, error) {
	key := secret.New(firstOf(std.Getenv(envKey)))
	if b.key != "" {
		var err error
		c := newCaller(realWorld(std))
		c.key = b.key
		if key, err = c.referredKey(); err != nil {
			return secret.Value{}, err
		}
	}
	switch {
	case key.Empty():
		return secret.Value{}, exitWith(exitUnauthenticated,
			"no API key for the gateway\nSet --api-key or %s; `verigate keys create --environment test` makes one.", envKey)
	case !headerSafe(key.Reveal()):
		return secret.Value{}, usageError("--api-key (or %s): holds spaces, line breaks or other characters that no key has; copy it again", envKey)
	case strings.HasPrefix(key.Reveal(), "vg_"+string(verification.Live)+"_"):
		return secret.Value{}, usageError("--api-key (or %s): is a key of environment live, which the benchmark never touches; give one of environment test", envKey)
	}
	return key, nil
}

// choose returns the flow and its connection, which must be one that nobody's
// real verifications go through.
func (b *benchTarget) choose(cfg *config.Config) (verification.Flow, config.Connection, error) {
	const wants = "a connection with `provider: " + verifyhuman.Name + "` and `environment: test`"
	fitting := map[string]config.Connection{}
	for _, c := range cfg.Connections {
		if c.Provider == verifyhuman.Name && c.Scope.Environment == verification.Test {
			fitting[c.Name] = c
		}
	}
	if len(fitting) == 0 {
		return verification.Flow{}, config.Connection{}, usageError(
			"connections: %s has no %s; the benchmark never touches environment live. Add one, and a flow that uses it",
			b.config, strings.TrimPrefix(wants, "a "))
	}
	var flows []verification.Flow
	var names []string
	for _, f := range cfg.Flows {
		if _, fits := fitting[f.Connection]; fits && (b.flow == "" || b.flow == f.Name) {
			flows, names = append(flows, f), append(names, f.Name)
		}
	}
	switch {
	case len(flows) == 1:
		return flows[0], fitting[flows[0].Connection], nil
	case len(flows) > 1:
		slices.Sort(names)
		return verification.Flow{}, config.Connection{}, usageError("--flow: several flows of %s fit: %s; name one", b.config, strings.Join(names, ", "))
	case b.flow != "":
		return verification.Flow{}, config.Connection{}, usageError("--flow: %s has no flow %q that uses %s", b.config, b.flow, wants)
	}
	return verification.Flow{}, config.Connection{}, usageError("flows: no flow of %s uses %s; add one", b.config, wants)
}

// webhookSecret is what the provider would sign the connection's webhooks with.
func webhookSecret(c config.Connection) (secret.Value, error) {
	settings, ok := c.Settings.(*verifyhuman.Settings)
	if !ok {
		return secret.Value{}, fmt.Errorf("the settings of connection %s are %T", c.Name, c.Settings)
	}
	if settings.SignatureMode == verifyhuman.SignatureTimestampBody {
		return secret.Value{}, usageError("connections: signature_mode of %s is %s, and the benchmark signs bodies alone; set %s or %s",
			c.Name, verifyhuman.SignatureTimestampBody, verifyhuman.SignatureAuto, verifyhuman.SignatureBody)
	}
	return settings.WebhookSecrets[0], nil
}

// dialable returns where a listener is reached from the machine that it is on.
func dialable(name string, l config.Listener) (string, error) {
	if l.TLS.Enabled() {
		return "", usageError("listeners.%s.tls: the benchmark speaks plain HTTP; measure a gateway whose listener has no tls", name)
	}
	host, port, err := net.SplitHostPort(l.Address)
	if err != nil {
		return "", fmt.Errorf("listeners.%s.address: %w", name, err)
	}
	if port == "0" {
		return "", usageError("listeners.%s.address: is of port 0, so nobody knows where the gateway listens; give it a port", name)
	}
	if ip, err := netip.ParseAddr(host); host == "" || (err == nil && ip.IsUnspecified()) {
		host = "localhost"
	}
	return net.JoinHostPort(host, port), nil
}

// benchReference reads --reference-database-url as --database-url is read.
func benchReference(text string, std streams) (secret.Value, error) {
	if isReference(text) {
		return resolveFlag("--reference-database-url", text, std)
	}
	value, err := databaseURL(text, std)
	if err != nil {
		return secret.Value{}, usageError("--reference-database-url: must be a Postgres URL without a password, ${NAME} or file:/path\n" +
			"A password here would show in the process list.")
	}
	return value, nil
}
