package reconcile_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"github.com/verigate/verigate/server/jobs"
	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/reconcile"
	"github.com/verigate/verigate/server/seal"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/store"
	"github.com/verigate/verigate/server/verification"
)

var shop = verification.Scope{Project: "shop", Environment: verification.Test}

const (
	lifetime   = time.Hour
	grace      = 30 * time.Minute
	fetchAfter = 2 * time.Minute
	patience   = 10 * time.Second
)

// gateway is the domain and its database, with a company that can be asked.
type gateway struct {
	*verification.Service
	t       *testing.T
	dsn     string
	store   *store.Store
	clock   *clock
	company *company
	meter   *meter
	logs    *buffer
}

func newGateway(t *testing.T) *gateway {
	t.Helper()
	g := &gateway{
		t: t, dsn: pgtest.New(t), logs: &buffer{},
		clock:   &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)},
		company: newCompany(),
		meter:   &meter{counts: map[string]int{}, ages: map[string]time.Duration{}, pollable: map[string]bool{}},
	}
	g.store = g.open()
	g.Service = g.domain(g.store)
	return g
}

func (g *gateway) open() *store.Store {
	g.t.Helper()
	ring, err := seal.NewKeyring([]seal.Key{{ID: "k1", Secret: secret.New(strings.Repeat("secret ", 8))}})
	if err != nil {
		g.t.Fatal(err)
	}
	s, err := store.Open(context.Background(), secret.New(g.dsn), func() *seal.Keyring { return ring })
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(s.Close)
	return s
}

func (g *gateway) domain(s *store.Store) *verification.Service {
	return verification.NewService(verification.Deps{
		Store: s, Catalog: g.company, Waker: g.meter, Meter: g.meter, Log: g.log(),
		Now: g.clock.Now, Random: rand.Reader,
	})
}

func (g *gateway) log() *slog.Logger { return slog.New(slog.NewTextHandler(g.logs, nil)) }

// deps are those of another node on the same database.
func (g *gateway) deps(s *store.Store) reconcile.Deps {
	return reconcile.Deps{
		Store: s, Domain: g.domain(s), Connections: g.company, Meter: g.meter, Log: g.log(),
		Now: g.clock.Now, Random: func() float64 { return 0 }, Patience: patience,
	}
}

func (g *gateway) worker() *reconcile.Worker { return reconcile.NewWorker(g.deps(g.store)) }

// start opens a verification of a connection's flow.
func (g *gateway) start(connection string) uuid.UUID {
	g.t.Helper()
	v, err := g.Start(g.t.Context(), shop, verification.StartRequest{Flow: connection, Subject: "u1"})
	if err != nil {
		g.t.Fatal(err)
	}
	return v.ID
}

// overdue opens one that should have heard from its provider.
func (g *gateway) overdue(connection string) uuid.UUID {
	g.t.Helper()
	id := g.start(connection)
	g.deliver(connection, id, verification.PersonSubmitted, verification.Applied)
	g.clock.forward(fetchAfter)
	return id
}

func (g *gateway) deliver(connection string, id uuid.UUID, kind verification.EventKind, want verification.Effect) {
	g.t.Helper()
	delivery := uuid.Must(uuid.NewV7())
	effect, err := g.Deliver(g.t.Context(), &verification.Delivery{
		ID: delivery, Scope: shop, Connection: connection, ReceiveTime: g.clock.Now(),
		Headers: map[string]string{}, Body: []byte(`{}`), DedupeKey: delivery.String(),
		Event: verification.Event{Kind: kind, Product: "kyc", Keys: []string{tokenOf(id)}},
	})
	if err != nil || effect != want {
		g.t.Fatalf("the delivery was %s (%v), want %s", effect, err, want)
	}
}

// work does the job of a verification as the queue would.
func (g *gateway) work(w *reconcile.Worker, id uuid.UUID) error {
	return w.Work(g.t.Context(), job(id))
}

func job(id uuid.UUID) *river.Job[jobs.Fetch] {
	return &river.Job[jobs.Fetch]{Args: jobs.Fetch{VerificationID: id, Project: shop.Project, Environment: string(shop.Environment)}}
}

func (g *gateway) done(w *reconcile.Worker, id uuid.UUID) {
	g.t.Helper()
	if err := g.work(w, id); err != nil {
		g.t.Fatalf("the job is not done: %v", err)
	}
}

func (g *gateway) get(id uuid.UUID) *verification.Verification {
	g.t.Helper()
	v, err := g.Get(g.t.Context(), shop, id)
	if err != nil {
		g.t.Fatal(err)
	}
	return v
}

// want checks the state and how often the provider was asked since it changed.
func (g *gateway) want(id uuid.UUID, state verification.State, fetches int, goesOn bool) {
	g.t.Helper()
	v := g.get(id)
	if v.State != state || v.Fetches != fetches || v.FetchTime.IsZero() == goesOn {
		g.t.Fatalf("it is %s after %d fetches, the next at %s; want %s, %d, another one: %t",
			v.State, v.Fetches, v.FetchTime, state, fetches, goesOn)
	}
}

func (g *gateway) last(id uuid.UUID) *verification.Transition {
	g.t.Helper()
	timeline, err := g.store.Transitions(g.t.Context(), shop, id)
	if err != nil {
		g.t.Fatal(err)
	}
	return timeline[len(timeline)-1]
}

// run starts a node: its workers and its scheduler. They stop with the test.
func (g *gateway) run(s *store.Store, deps reconcile.Deps) {
	g.t.Helper()
	workers := river.NewWorkers()
	if err := river.AddWorkerSafely(workers, reconcile.NewWorker(deps)); err != nil {
		g.t.Fatal(err)
	}
	stop, err := s.Work(g.t.Context(), workers, map[string]int{jobs.FetchQueue: 4}, g.log())
	if err != nil {
		g.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(g.t.Context())
	var running sync.WaitGroup
	running.Go(func() { reconcile.NewScheduler(deps).Run(ctx) })
	g.t.Cleanup(func() {
		cancel()
		running.Wait()
		if err := stop(context.Background()); err != nil {
			g.t.Error(err)
		}
	})
}

// buffer is a log that is written and read at the same time.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) count(text string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Count(b.text.String(), text)
}

var _ provider.Fetcher = (*account)(nil)
