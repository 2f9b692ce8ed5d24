package server

import (
	"fmt"
	"sync/atomic"

	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/provider"
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
}

type flowKey struct {
	scope verification.Scope
	name  string
}

type productKey struct{ connection, product string }

var (
	_ verification.Catalog = (*catalog)(nil)
	_ webhook.Connections  = (*catalog)(nil)
)

// open makes a snapshot: adapters refuse here what the file check let through.
func open(cfg *config.Config, deps provider.Deps) (*snapshot, error) {
	s := &snapshot{
		flows:       make(map[flowKey]*verification.Flow, len(cfg.Flows)),
		byProduct:   make(map[productKey]*verification.Flow, len(cfg.Flows)),
		connections: make(map[string]webhook.Connection, len(cfg.Connections)),
		origins:     make(map[string]bool, len(cfg.Origins)),
	}
	for _, c := range cfg.Connections {
		adapter, err := c.Settings.Open(deps)
		if err != nil {
			return nil, fmt.Errorf("connection %s: %w", c.Name, err)
		}
		s.connections[c.Name] = webhook.Connection{Name: c.Name, Scope: c.Scope, Provider: adapter}
	}
	for i := range cfg.Flows {
		flow := &cfg.Flows[i]
		s.flows[flowKey{flow.Scope, flow.Name}] = flow
		product := productKey{flow.Connection, flow.Product}
		if have, ok := s.byProduct[product]; !ok || flow.ReturnWindow > have.ReturnWindow {
			s.byProduct[product] = flow
		}
	}
	for _, origin := range cfg.Origins {
		s.origins[origin] = true
	}
	keys := make([]access.TokenKey, 0, len(cfg.ClientTokenKeys))
	for _, k := range cfg.ClientTokenKeys {
		keys = append(keys, access.TokenKey{ID: k.ID, Secret: k.Secret})
	}
	tokens, err := access.NewTokens(keys)
	s.tokens = tokens
	return s, err
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

// Connection implements webhook.Connections.
func (c *catalog) Connection(name string) (webhook.Connection, bool) {
	found, ok := c.current.Load().connections[name]
	return found, ok
}

func (c *catalog) tokens() *access.Tokens { return c.current.Load().tokens }

func (c *catalog) allowsOrigin(origin string) bool { return c.current.Load().origins[origin] }
