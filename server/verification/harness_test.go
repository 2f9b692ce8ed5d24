package verification_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/seal"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/store"
	"github.com/verigate/verigate/server/verification"
)

var shop = verification.Scope{Project: "shop", Environment: verification.Test}

const (
	lifetime = time.Hour
	grace    = 10 * time.Minute
	window   = time.Minute
	legs     = "https://gate.example.com/return"
)

// gateway is a Service on a database of its own.
type gateway struct {
	*verification.Service
	t       testing.TB
	dsn     string
	store   *store.Store
	db      *pgxpool.Pool
	clock   *clock
	company *company
	meter   *meter
	log     *slog.Logger
}

func newGateway(t testing.TB) *gateway {
	t.Helper()
	g := &gateway{dsn: pgtest.New(t), log: slog.New(slog.DiscardHandler)}
	g.store = openStore(t, g.dsn)
	pool, err := pgxpool.New(t.Context(), g.dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	g.db = pool
	return g.fresh(t)
}

// Deliver delivers as the ingress does: together with others, though there are
// none, and alone what cannot be.
func (g *gateway) Deliver(ctx context.Context, d *verification.Delivery) (verification.Effect, error) {
	outcome := g.DeliverTogether(ctx, []*verification.Delivery{d}, func() {})[0]
	if !outcome.Applied {
		return g.Service.Deliver(ctx, d)
	}
	return outcome.Effect, nil
}

// fresh returns a gateway for t on the same database, whose clock, provider and
// counters begin anew.
func (g *gateway) fresh(t testing.TB) *gateway {
	f := &gateway{
		t: t, dsn: g.dsn, store: g.store, db: g.db, log: g.log, company: &company{},
		clock: &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)},
		meter: &meter{effects: map[string]int{}, woken: map[uuid.UUID]int64{}},
	}
	f.Service = f.node(f.store)
	return f
}

// emptied does the same after deleting every row.
func (g *gateway) emptied(t testing.TB) *gateway {
	t.Helper()
	for _, table := range []string{"verification", "transition", "delivery", "seen", "provider_ref", "return_hint", "idempotency"} {
		if _, err := g.db.Exec(t.Context(), "DELETE FROM "+table); err != nil {
			t.Fatal(err)
		}
	}
	return g.fresh(t)
}

func openStore(t testing.TB, dsn string) *store.Store {
	t.Helper()
	ring, err := seal.NewKeyring([]seal.Key{{ID: "k1", Secret: secret.New(strings.Repeat("secret ", 8))}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(context.Background(), secret.New(dsn), func() *seal.Keyring { return ring })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// node returns another Service, on a store of the test's choice.
func (g *gateway) node(s verification.Store) *verification.Service {
	return verification.NewService(verification.Deps{
		Store: s, Catalog: &catalog{flows: flows(), company: g.company}, Waker: g.meter, Meter: g.meter, Log: g.log,
		Now: g.clock.Now, Random: rand.Reader, ReturnURL: legs,
	})
}

// start opens a verification of a flow and lets a second pass.
func (g *gateway) start(flow string) uuid.UUID {
	g.t.Helper()
	v, err := g.Start(g.t.Context(), shop, verification.StartRequest{Flow: flow, Subject: "u1"})
	if err != nil {
		g.t.Fatal(err)
	}
	g.clock.forward(time.Second)
	return v.ID
}

// returns sends a person back through the leg of a verification.
func (g *gateway) returns(id uuid.UUID, query ...string) {
	g.t.Helper()
	values, err := url.ParseQuery(strings.Join(query, "&"))
	if err != nil {
		g.t.Fatal(err)
	}
	if _, err := g.Returned(g.t.Context(), verification.Return{Nonce: g.company.nonceOf(g.t, id), Query: values}); err != nil {
		g.t.Fatal(err)
	}
}

// webhook is a delivery of the ordinary connection and product that names the
// provider ids.
func (g *gateway) webhook(kind verification.EventKind, refs ...string) *verification.Delivery {
	id := uuid.Must(uuid.NewV7())
	return &verification.Delivery{
		ID: id, Scope: shop, Connection: "human", ReceiveTime: g.clock.Now(),
		Headers: map[string]string{"Content-Type": "application/json"}, Body: []byte(`{}`),
		DedupeKey: "key:" + id.String(), ProviderEvent: "verification.completed",
		Event: verification.Event{Kind: kind, Product: "identity", Refs: refs},
	}
}

// deliver delivers and lets a second pass.
func (g *gateway) deliver(d *verification.Delivery, want verification.Effect) {
	g.t.Helper()
	got, err := g.Deliver(g.t.Context(), d)
	if err != nil {
		g.t.Fatal(err)
	}
	if got != want {
		g.t.Fatalf("the delivery was %s, want %s", got, want)
	}
	g.stored(d, want)
	g.clock.forward(time.Second)
}

// stored checks what the database says about a delivery.
func (g *gateway) stored(d *verification.Delivery, want verification.Effect) {
	g.t.Helper()
	kept, err := g.store.Delivery(g.t.Context(), d.Scope, d.ID)
	if err != nil {
		g.t.Fatal(err)
	}
	if kept.Effect != want {
		g.t.Fatalf("the stored delivery is %s, want %s", kept.Effect, want)
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

func (g *gateway) want(id uuid.UUID, state verification.State, match verification.Match) {
	g.t.Helper()
	if v := g.get(id); v.State != state || v.Match != match {
		g.t.Fatalf("the verification is %s, match %q; want %s, match %q", v.State, v.Match, state, match)
	}
}

// rung checks the last transition of a verification.
func (g *gateway) rung(id uuid.UUID, rung verification.Rung, match verification.Match) {
	g.t.Helper()
	timeline := g.timeline(id)
	last := timeline[len(timeline)-1]
	if last.Rung != rung || last.Match != match || last.Source != verification.SourceProvider {
		g.t.Fatalf("the last transition is from %s by rung %q, match %q; want the provider, %q, %q",
			last.Source, last.Rung, last.Match, rung, match)
	}
}

// timeline returns the transitions and checks that they are one unbroken life.
func (g *gateway) timeline(id uuid.UUID) []*verification.Transition {
	g.t.Helper()
	timeline, err := g.store.Transitions(g.t.Context(), shop, id)
	if err == nil {
		err = unbroken(timeline, g.get(id))
	}
	if err != nil {
		g.t.Fatal(err)
	}
	return timeline
}

func unbroken(timeline []*verification.Transition, v *verification.Verification) error {
	state := verification.State("")
	for i, tr := range timeline {
		if tr.Version != int64(i+1) || tr.From != state {
			return fmt.Errorf("transition %d has version %d and goes from %q, but the state was %q", i+1, tr.Version, tr.From, state)
		}
		state = tr.To
	}
	if state != v.State || int64(len(timeline)) != v.Version {
		return fmt.Errorf("the timeline ends with %q at version %d, the row says %q at %d", state, len(timeline), v.State, v.Version)
	}
	return nil
}

func (g *gateway) sweep() {
	g.t.Helper()
	if err := g.Sweep(g.t.Context()); err != nil {
		g.t.Fatal(err)
	}
}

func (g *gateway) cancel(id uuid.UUID) {
	g.t.Helper()
	if _, err := g.Cancel(g.t.Context(), shop, id, "changed their mind"); err != nil {
		g.t.Fatal(err)
	}
}

func wantKind(t testing.TB, err error, kind verification.Kind) {
	t.Helper()
	if err == nil || verification.KindOf(err) != kind {
		t.Fatalf("the error is %v (%s), want kind %s", err, verification.KindOf(err), kind)
	}
}

var errProviderDown = verification.NewError(verification.KindUnavailable, "PROVIDER_DOWN", "the provider does not answer").
	WithCause(errors.New("connection refused"))
