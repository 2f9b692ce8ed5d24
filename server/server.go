// Package server is the process: it puts the rooms below it together behind one
// HTTP server and runs what has to run beside it.
//
//	/verigate.v1.*        rpc        callers: Connect, gRPC, gRPC-Web
//	/webhooks/{connection} webhook   providers
//	/return/{nonce}       returnleg  people on their way back
//	/livez /readyz /metrics, gRPC health and reflection   operators
//
// Beside it run the tail of the transition log and the sweep of the clock. It
// imports everything below it; only cmd imports it. Concrete adapters come in
// through the configuration.
package server

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/returnleg"
	"github.com/verigate/verigate/server/rpc"
	"github.com/verigate/verigate/server/store"
	"github.com/verigate/verigate/server/telemetry"
	"github.com/verigate/verigate/server/verification"
	"github.com/verigate/verigate/server/watch"
)

const (
	// sweepInterval is how late an expiry may be.
	sweepInterval = time.Second
	// stopPatience is what remains for requests after the streams have ended.
	stopPatience = 10 * time.Second
)

// Options is what a Server is made of.
type Options struct {
	Config *config.Config
	Log    *slog.Logger
	Tracer trace.TracerProvider
	// Development lets browser pages on loopback origins call.
	Development bool
	// Mount, if set, adds routes: what `verigate dev` shows and emulates.
	Mount func(mux *http.ServeMux)
}

// Server is one node. Every node is the same; they share the database only.
type Server struct {
	options  Options
	log      *slog.Logger
	store    *store.Store
	catalog  *catalog
	hub      *watch.Hub
	metrics  *telemetry.Metrics
	domain   *verification.Service
	deps     provider.Deps
	readyz   *readiness
	draining chan struct{}
	drain    sync.Once
	http     *http.Server
}

// New opens everything that a node needs. It refuses a database with pending
// migrations, and says which command applies them.
func New(ctx context.Context, o Options) (*Server, error) {
	s := &Server{options: o, log: o.Log, draining: make(chan struct{}), catalog: &catalog{}}
	s.deps = provider.Deps{HTTP: outgoing(o.Tracer), Log: o.Log, Now: time.Now}
	if err := s.Reload(o.Config); err != nil {
		return nil, err
	}
	s.readyz = &readiness{dsn: o.Config.DatabaseURL, now: time.Now}
	if err := s.readyz.checkMigrations(ctx); err != nil {
		return nil, err
	}
	opened, err := store.Open(ctx, o.Config.DatabaseURL)
	if err != nil {
		return nil, err
	}
	s.store, s.readyz.store = opened, opened
	s.hub = watch.NewHub(o.Config.Watch.MaxWatchers)
	s.metrics = telemetry.NewMetrics(s.hub.Count)
	s.domain = verification.NewService(verification.Deps{
		Store: s.store, Catalog: s.catalog, Waker: s.hub, Meter: s.metrics, Log: o.Log,
		Now: time.Now, Random: rand.Reader, ReturnURL: o.Config.PublicURL + returnleg.Path,
	})
	handler, err := s.routes()
	if err != nil {
		s.store.Close()
		return nil, err
	}
	s.http = newHTTPServer(handler, o.Log)
	return s, nil
}

// Reload puts another configuration in force: connections, flows, origins and
// token keys. The old one stays if the new one cannot be opened. Addresses, the
// database and stream times take effect with the next start.
func (s *Server) Reload(cfg *config.Config) error {
	next, err := open(cfg, s.deps)
	if err != nil {
		return err
	}
	s.catalog.current.Store(next)
	return nil
}

// NeedsRestart names the keys whose new values take effect with the next start
// only.
func (s *Server) NeedsRestart(cfg *config.Config) []string {
	now, keys := s.options.Config, []string{}
	for _, setting := range []struct {
		key     string
		changed bool
	}{
		{"public_url", cfg.PublicURL != now.PublicURL},
		{"listen", cfg.Listen != now.Listen},
		{"database_url", cfg.DatabaseURL != now.DatabaseURL},
		{"watch", cfg.Watch != now.Watch},
		{"drain", cfg.Drain != now.Drain},
	} {
		if setting.changed {
			keys = append(keys, setting.key)
		}
	}
	return keys
}

// Close releases what New opened, for a server that never served.
func (s *Server) Close() { s.store.Close() }

// Store is this node's database, for whoever sets it up.
func (s *Server) Store() *store.Store { return s.store }

// Serve answers on the listener until ctx ends, then drains: readiness goes
// red, streams end over the configured spread, and requests get a little time.
// It returns within Config.Drain and ten seconds more.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	tail := &watch.Tail{
		Log: s.store, Hub: s.hub, Interval: s.options.Config.Watch.PollInterval, Logger: s.log, Polled: s.metrics.Polled,
	}
	running.Go(func() { tail.Run(background) })
	running.Go(func() { s.sweep(background) })

	served := make(chan error, 1)
	go func() { served <- s.http.Serve(listener) }()
	var err error
	select {
	case err = <-served:
	case <-ctx.Done():
		err = errors.Join(s.shutdown(context.WithoutCancel(ctx)), unexpected(<-served))
	}
	stopBackground()
	running.Wait()
	s.deps.HTTP.CloseIdleConnections()
	s.store.Close()
	return unexpected(err)
}

// unexpected drops the error that every stopped server reports.
func unexpected(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (s *Server) shutdown(ctx context.Context) error {
	s.readyz.drain()
	s.drain.Do(func() { close(s.draining) })
	// Load balancers send requests here until they have seen readiness go red,
	// so the listener stays open while the streams end.
	<-time.After(s.options.Config.Drain)
	ctx, cancel := context.WithTimeout(ctx, stopPatience)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		// Whoever is still here does not read; bounded beats polite.
		s.log.WarnContext(ctx, "connections were cut at the end of the drain", "error", err)
		return s.http.Close()
	}
	return nil
}

// sweep runs the clock's work until ctx ends. Every node does; the rows decide
// who was first.
func (s *Server) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := s.domain.Sweep(ctx)
		if err != nil && ctx.Err() == nil && !failing {
			s.log.WarnContext(ctx, "the sweep failed; it goes on trying", "error", err, "cause", errors.Unwrap(err))
		}
		failing = err != nil
	}
}

func (s *Server) rpcService() *rpc.Service {
	return &rpc.Service{
		Verifications: s.domain, Hub: s.hub, Tokens: s.catalog.tokens,
		Timing: rpc.Timing{
			Heartbeat:   s.options.Config.Watch.Heartbeat,
			MaxAge:      s.options.Config.Watch.MaxAge,
			DrainSpread: s.options.Config.Drain,
		},
		Draining: s.draining,
	}
}

func (s *Server) authenticator() *access.Authenticator {
	return &access.Authenticator{Keys: s.store, Tokens: s.catalog.tokens, Now: time.Now}
}
