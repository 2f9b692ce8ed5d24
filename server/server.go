// Package server is the process: it puts the rooms below it together behind its
// listeners and runs what has to run beside them.
//
//	public    /verigate.v1.VerificationService/*  rpc     callers: Connect, gRPC, gRPC-Web
//	          /verigate.v1.EventService/*         rpc     callers' backends
//	          /return/{nonce}             returnleg       people on their way back
//	webhooks  /webhooks/{connection}      webhook         providers
//	operator  /verigate.v1.OperatorService/*  rpc         operators
//	          /metrics, gRPC reflection
//	all       /livez /readyz
//
// What runs beside them: the tail of the transition log, the dispatcher that puts
// events into their order, the feed of the event streams, the jobs that nodes
// share (callbacks and reconciliation), the sweep of the clock, the purges, and a
// look at renewed certificates. It imports everything below it; only cmd imports
// it. Concrete adapters come in through the configuration.
package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/bus"
	"github.com/verigate/verigate/server/callback"
	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/intake"
	"github.com/verigate/verigate/server/park"
	"github.com/verigate/verigate/server/returnleg"
	"github.com/verigate/verigate/server/rpc"
	"github.com/verigate/verigate/server/store"
	"github.com/verigate/verigate/server/telemetry"
	"github.com/verigate/verigate/server/verification"
	"github.com/verigate/verigate/server/watch"
	"github.com/verigate/verigate/server/webhook"
)

// stopPatience is what remains for requests after the streams have ended.
const stopPatience = 10 * time.Second

// headroom is reserved and never touched, so it takes no memory. The collector
// counts it, and collects after as much garbage more: a gateway holds so little
// that it would collect for a tenth of its time under load.
const headroom = 64 << 20

// Options is what a Server is made of.
type Options struct {
	Config *config.Config
	Log    *slog.Logger
	Tracer trace.TracerProvider
	// Development lets browser pages on loopback origins call, and the gateway
	// call providers and issuers on loopback.
	Development bool
	// Mount, if set, adds routes to the public ones: what `verigate dev` shows and
	// emulates.
	Mount func(mux *http.ServeMux)
}

// Server is one node. Every node is the same; they share the database only.
type Server struct {
	options Options
	log     *slog.Logger
	store   *store.Store
	catalog *catalog
	hub     *watch.Hub
	// bus is nil where the configuration says none.
	bus        *bus.Bus
	lot        *park.Lot
	feed       *watch.Feed
	dispatcher *callback.Dispatcher
	metrics    *telemetry.Metrics
	domain     *verification.Service
	intake     *intake.Intake
	limits     *access.Limits
	uses       *access.Uses
	keys       *access.SharedKeys
	readyz     *readiness
	draining   chan struct{}
	drain      sync.Once
	ports      []*port
	running    sync.WaitGroup
	// unwritten are audit entries that the database did not take yet.
	unwritten auditBacklog
}

// New opens everything that a node needs. It refuses a database with pending
// migrations, and says which command applies them.
func New(ctx context.Context, o Options) (*Server, error) {
	s := &Server{options: o, log: o.Log, draining: make(chan struct{}), catalog: &catalog{}}
	if err := s.Reload(o.Config); err != nil {
		return nil, err
	}
	s.readyz = &readiness{dsn: o.Config.DatabaseURL, now: time.Now}
	if err := s.readyz.checkMigrations(ctx); err != nil {
		return nil, err
	}
	opened, err := store.Open(ctx, o.Config.DatabaseURL, s.catalog.keyring)
	if err != nil {
		return nil, err
	}
	s.store, s.readyz.store = opened, opened
	s.hub = watch.NewHub(o.Config.Watch.MaxWatchers, s.store, o.Log)
	s.lot = park.NewLot(s.timing(), s.draining, o.Log)
	s.feed = watch.NewFeed(s.store, o.Config.Watch.PollInterval, o.Log)
	s.dispatcher = s.newDispatcher()
	s.metrics = telemetry.NewMetrics(s.hub.Count)
	s.metrics.Expect(s.catalog.Names())
	if s.bus, err = s.newBus(); err != nil {
		s.store.Close()
		return nil, err
	}
	s.limits = access.NewLimits(s.catalog.rates, time.Now, s.metrics.Limited)
	s.keys = &access.SharedKeys{Keys: s.store}
	s.uses = &access.Uses{Write: s.store.UseKeys, Log: o.Log, Now: time.Now}
	s.domain = verification.NewService(verification.Deps{
		Store: s.store, Catalog: s.catalog, Waker: wakers{s}, Meter: s.metrics, Log: o.Log,
		Now: time.Now, Random: rand.Reader, ReturnURL: o.Config.PublicURL + returnleg.Path,
		WebhookURL: cmp.Or(o.Config.WebhooksURL, o.Config.PublicURL) + webhook.Path, EventsSuffix: webhook.EventsSuffix,
	})
	s.intake = intake.New(s.domain, o.Log, intake.DefaultLimit)
	if err := s.openPorts(); err != nil {
		s.store.Close()
		return nil, err
	}
	return s, nil
}

// Close releases what New opened, for a server that never served.
func (s *Server) Close() { s.store.Close() }

// Store is this node's database, for whoever sets it up.
func (s *Server) Store() *store.Store { return s.store }

// Serve answers on the listeners, one for each of Addresses, until ctx ends.
// Then it drains: readiness goes red, streams end over the configured spread,
// and requests get a little time. It returns within Config.Drain and ten
// seconds more, or twenty if a page that was opened last cannot be written down.
func (s *Server) Serve(ctx context.Context, listeners ...net.Listener) error {
	if len(listeners) != len(s.ports) {
		return errors.New("server: as many listeners are needed as there are addresses")
	}
	reserved := make([]byte, headroom)
	defer runtime.KeepAlive(reserved)
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	serving, stopServing := context.WithCancel(background)
	defer stopServing()
	defer context.AfterFunc(ctx, stopServing)()
	s.upkeep(background, serving)
	if file := s.options.Config.Fingerprint; file != "" {
		s.audit(ctx, verification.AuditStart, map[string]string{"configuration": file})
	}
	ended, rest := s.serveAll(listeners)
	var err error
	select {
	case err = <-ended:
		// One port without the others is no gateway.
		stopServing()
		err = errors.Join(unexpected(err), s.shutdownAll(ctx), rest())
	case <-ctx.Done():
		err = errors.Join(s.shutdown(context.WithoutCancel(ctx)), unexpected(<-ended), rest())
	}
	stopBackground()
	s.running.Wait()
	s.catalog.current.Load().http.CloseIdleConnections()
	s.store.Close()
	s.log.InfoContext(ctx, "stopped")
	return err
}

// unexpected drops the error that every stopped server reports.
func unexpected(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (s *Server) shutdown(ctx context.Context) error {
	s.log.InfoContext(ctx, "draining", "over", s.options.Config.Drain)
	s.readyz.drain()
	s.drain.Do(func() { close(s.draining) })
	// Load balancers send requests here until they have seen readiness go red,
	// so the listeners stay open while the streams end.
	<-time.After(s.options.Config.Drain)
	ctx, cancel := context.WithTimeout(ctx, stopPatience)
	defer cancel()
	return s.shutdownAll(ctx)
}

func (s *Server) rpcService(auth *access.Authenticator) *rpc.Service {
	return &rpc.Service{
		Verifications: s.domain, Hub: s.hub, Tokens: s.catalog.tokens, Access: auth, Limits: s.limits, Lot: s.lot,
		MaxPerToken: s.options.Config.Watch.MaxPerToken,
		MaxPerKey:   s.options.Config.Watch.MaxPerKey,
		Draining:    s.draining,
	}
}

func (s *Server) eventService(auth *access.Authenticator) *rpc.Events {
	return &rpc.Events{
		Reader: s.store, Feed: s.feed, Access: auth, Lot: s.lot,
	}
}

// timing is how every stream lives.
func (s *Server) timing() park.Timing {
	return park.Timing{
		Heartbeat:   s.options.Config.Watch.Heartbeat,
		MaxAge:      s.options.Config.Watch.MaxAge,
		DrainSpread: s.options.Config.Drain,
	}
}

func (s *Server) operatorService() *rpc.Operator {
	reader := &webhook.Reader{Connections: s.catalog, Meter: s.metrics, Log: s.log}
	return &rpc.Operator{
		Keys:  &access.Admin{Store: s.store, Random: rand.Reader, Now: time.Now},
		Audit: s.store, Erase: s.domain.EraseSubject, Callbacks: s.store,
		Verifications: s.domain, ReadAgain: reader.ReadAgain, Pollable: s.catalog.Pollable,
	}
}

func (s *Server) authenticator() *access.Authenticator {
	return &access.Authenticator{
		Keys: s.keys, Tokens: s.catalog.tokens, EndUsers: s.catalog.endUsers, Used: s.uses.Note, Now: time.Now,
	}
}
