package server

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/access/enduser"
	"github.com/verigate/verigate/server/access/limit"
	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/outgoing"
	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/reconcile"
	"github.com/verigate/verigate/server/seal"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/transport"
	"github.com/verigate/verigate/server/verification"
	"github.com/verigate/verigate/server/webhook"
)

// catalog is the configuration in force. A reload swaps it whole: a call sees
// either the old one or the new one.
type catalog struct {
	current atomic.Pointer[snapshot]
}

// snapshot is one opened configuration.
type snapshot struct {
	flows       map[flowKey]*verification.Flow
	byProduct   map[productKey]*verification.Flow
	connections map[string]webhook.Connection
	tokens      *access.Tokens
	origins     map[string]bool
	endUsers    *enduser.Verifier
	// issuers are what endUsers was made of.
	issuers   []config.EndUsers
	rates     access.Rates
	keyring   *seal.Keyring
	addresses transport.Addresses
	retention time.Duration
	// events is how long the event stream and finished callbacks are kept.
	events time.Duration
	// history is how long transitions and the rows of deliveries are kept.
	history time.Duration
	// callbacks are the secrets of each scope.
	callbacks map[verification.Scope][]secret.Value
	// http reaches the outside, and networks beyond what is public.
	http     *http.Client
	networks []netip.Prefix
}

type flowKey struct {
	scope verification.Scope
	name  string
}

type productKey struct{ connection, product string }

var (
	_ verification.Catalog  = (*catalog)(nil)
	_ webhook.Connections   = (*catalog)(nil)
	_ reconcile.Connections = (*catalog)(nil)
)

// open makes a snapshot: adapters refuse here what the file check let through.
func (s *Server) open(cfg *config.Config) (*snapshot, error) {
	before := s.catalog.current.Load()
	next := &snapshot{
		issuers:   cfg.EndUsers,
		rates:     rates(cfg.Limits),
		addresses: transport.NewAddresses(cfg.TrustedProxies),
		retention: cfg.Retention.Deliveries,
		events:    cfg.Retention.Events,
		history:   cfg.Retention.History,
		networks:  cfg.Outgoing.AllowedNetworks,
	}
	next.openClient(before, s.options)
	next.index(cfg)
	return next, errors.Join(next.openConnections(cfg, s.log), next.openKeys(cfg), next.openIssuers(before, s.log))
}

// openClient keeps the client of the configuration before, and its connections,
// if it may reach the same.
func (s *snapshot) openClient(before *snapshot, o Options) {
	if before != nil && slices.Equal(before.networks, s.networks) {
		s.http = before.http
		return
	}
	s.http = outgoing.New(outgoing.Options{AllowedNetworks: s.networks, Loopback: o.Development, Tracer: o.Tracer})
}

// index makes the look-ups of what the file declares.
func (s *snapshot) index(cfg *config.Config) {
	s.flows = make(map[flowKey]*verification.Flow, len(cfg.Flows))
	s.byProduct = make(map[productKey]*verification.Flow, len(cfg.Flows))
	for i := range cfg.Flows {
		flow := &cfg.Flows[i]
		s.flows[flowKey{flow.Scope, flow.Name}] = flow
		product := productKey{flow.Connection, flow.Product}
		if have, ok := s.byProduct[product]; !ok || flow.ReturnWindow > have.ReturnWindow {
			s.byProduct[product] = flow
		}
	}
	s.origins = make(map[string]bool, len(cfg.Origins))
	for _, origin := range cfg.Origins {
		s.origins[origin] = true
	}
	s.callbacks = make(map[verification.Scope][]secret.Value, len(cfg.Callbacks))
	for _, entry := range cfg.Callbacks {
		s.callbacks[entry.Scope] = entry.Secrets
	}
}

func (s *snapshot) openConnections(cfg *config.Config, log *slog.Logger) error {
	s.connections = make(map[string]webhook.Connection, len(cfg.Connections))
	deps := provider.Deps{HTTP: s.http, Log: log, Now: time.Now}
	for _, c := range cfg.Connections {
		adapter, err := c.Settings.Open(deps)
		if err != nil {
			return fmt.Errorf("connection %s: %w", c.Name, err)
		}
		s.connections[c.Name] = webhook.Connection{Name: c.Name, Scope: c.Scope, Provider: adapter}
	}
	return nil
}

func (s *snapshot) openKeys(cfg *config.Config) error {
	signing := make([]access.TokenKey, 0, len(cfg.ClientTokenKeys))
	for _, k := range cfg.ClientTokenKeys {
		signing = append(signing, access.TokenKey(k))
	}
	sealing := make([]seal.Key, 0, len(cfg.EncryptionKeys))
	for _, k := range cfg.EncryptionKeys {
		sealing = append(sealing, seal.Key(k))
	}
	var tokenErr, sealErr error
	s.tokens, tokenErr = access.NewTokens(signing)
	s.keyring, sealErr = seal.NewKeyring(sealing)
	return errors.Join(tokenErr, sealErr)
}

// openIssuers keeps the verifier of the configuration before if nothing changed
// for it: it knows the issuers' keys.
func (s *snapshot) openIssuers(before *snapshot, log *slog.Logger) error {
	if before != nil && before.http == s.http && reflect.DeepEqual(before.issuers, s.issuers) {
		s.endUsers = before.endUsers
		return nil
	}
	if len(s.issuers) == 0 {
		return nil
	}
	issuers := make([]enduser.Config, 0, len(s.issuers))
	for _, i := range s.issuers {
		issuers = append(issuers, enduser.Config(i))
	}
	var err error
	s.endUsers, err = enduser.New(issuers, enduser.Deps{HTTP: s.http, Log: log, Now: time.Now})
	return err
}

func rates(l config.Limits) access.Rates {
	return access.Rates{
		PerKey: limit.Rate(l.PerKey), PerSubject: limit.Rate(l.PerSubject), StartsPerSubject: limit.Rate(l.StartsPerSubject),
		PerAddress: limit.Rate(l.PerAddress), WebhooksPerAddress: limit.Rate(l.WebhooksPerAddress),
	}
}

// Flow implements verification.Catalog.
func (c *catalog) Flow(scope verification.Scope, name string) (*verification.Flow, bool) {
	flow, ok := c.current.Load().flows[flowKey{scope, name}]
	return flow, ok
}

// FlowFor implements verification.Catalog.
func (c *catalog) FlowFor(connection, product string) (*verification.Flow, bool) {
	flow, ok := c.current.Load().byProduct[productKey{connection, product}]
	return flow, ok
}

// Provider implements verification.Catalog.
func (c *catalog) Provider(connection string) (verification.Provider, bool) {
	found, ok := c.current.Load().connections[connection]
	return found.Provider, ok
}

// Pollable implements verification.Catalog.
func (c *catalog) Pollable(connection string) bool {
	_, ok := c.Fetcher(connection)
	return ok
}

// Fetcher implements reconcile.Connections.
func (c *catalog) Fetcher(connection string) (provider.Fetcher, bool) {
	fetcher, ok := c.current.Load().connections[connection].Provider.(provider.Fetcher)
	return fetcher, ok
}

// Names implements reconcile.Connections.
func (c *catalog) Names() []string {
	return slices.Sorted(maps.Keys(c.current.Load().connections))
}

// CallsBack implements verification.Catalog.
func (c *catalog) CallsBack(scope verification.Scope) bool { return len(c.callbackSecrets(scope)) > 0 }

// callbackSecrets are what callbacks of a scope are signed with, all of them;
// none if its callbacks cannot be signed.
func (c *catalog) callbackSecrets(scope verification.Scope) []secret.Value {
	return c.current.Load().callbacks[scope]
}

// Connection implements webhook.Connections.
func (c *catalog) Connection(name string) (webhook.Connection, bool) {
	found, ok := c.current.Load().connections[name]
	return found, ok
}

func (c *catalog) tokens() *access.Tokens { return c.current.Load().tokens }

func (c *catalog) allowsOrigin(origin string) bool { return c.current.Load().origins[origin] }

func (c *catalog) endUsers() access.EndUsers {
	if users := c.current.Load().endUsers; users != nil {
		return users
	}
	return nil
}

func (c *catalog) rates() access.Rates { return c.current.Load().rates }

func (c *catalog) keyring() *seal.Keyring { return c.current.Load().keyring }

func (c *catalog) addresses() transport.Addresses { return c.current.Load().addresses }
