package callback_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"go.uber.org/goleak"

	"github.com/verigate/verigate/server/callback"
	"github.com/verigate/verigate/server/jobs"
	"github.com/verigate/verigate/server/outgoing"
	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/store"
	"github.com/verigate/verigate/server/verification"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Wrap(m)) }

var shop = verification.Scope{Project: "shop", Environment: verification.Test}

// clock is one that stands still until it is moved.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) move(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(by)
}

// meter remembers what was counted.
type meter struct {
	mu    sync.Mutex
	words []string
}

func (m *meter) CallbackAttempted(outcome string) { m.add("attempt " + outcome) }
func (m *meter) CallbackFinished(state string)    { m.add("finished " + state) }

func (m *meter) add(word string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.words = append(m.words, word)
}

func (m *meter) all() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Join(m.words, ", ")
}

// gateway is a database, and a worker whose jobs the test hands out.
type gateway struct {
	t      *testing.T
	dsn    string
	store  *store.Store
	clock  *clock
	meter  *meter
	worker *callback.Worker
}

func newGateway(t *testing.T, change func(*callback.Options)) *gateway {
	t.Helper()
	g := &gateway{t: t, dsn: pgtest.New(t), clock: &clock{at: time.Now().Truncate(time.Second)}, meter: &meter{}}
	g.store = open(t, g.dsn)
	o := options(t, g.store)
	o.Meter, o.Now, o.Random = g.meter, g.clock.now, func() float64 { return 0.5 }
	if change != nil {
		change(&o)
	}
	g.worker = callback.NewWorker(o)
	return g
}

func open(t *testing.T, dsn string) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), secret.New(dsn), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func options(t *testing.T, s *store.Store) callback.Options {
	t.Helper()
	client := outgoing.New(outgoing.Options{Loopback: true})
	t.Cleanup(client.CloseIdleConnections)
	return callback.Options{
		Store: s, Client: client, Meter: &meter{}, Log: slog.New(slog.DiscardHandler),
		Secrets: func(scope verification.Scope) []secret.Value {
			if scope != shop {
				t.Errorf("the secrets of %v are asked for", scope)
			}
			return []secret.Value{secret.New(whsec("current"))}
		},
	}
}

// start makes a verification whose events go to url.
func (g *gateway) start(url string) uuid.UUID {
	g.t.Helper()
	// Its fraction needs six digits, so that its text has one form only.
	id, now := uuid.Must(uuid.NewV7()), time.Now().UTC().Truncate(time.Second).Add(123456*time.Microsecond)
	nonce := sha256.Sum256(id[:])
	v := &verification.Verification{
		ID: id, Scope: shop, Flow: "identity", Connection: "human", Product: "identity",
		Subject: "the-subject", Reference: "the-reference", Metadata: map[string]string{"the-key": "the-value"},
		State: verification.Created, Version: 1, NonceHash: nonce[:], RedirectURL: "https://app.example/the-redirect",
		CallbackURL: url, EventsCallbackURL: url,
		CreateTime: now, UpdateTime: now, ExpireTime: now.Add(time.Hour), GraceUntil: now.Add(time.Hour), PageUntil: now.Add(time.Hour),
	}
	err := g.store.InTx(g.t.Context(), func(tx verification.Tx) error {
		return tx.Create(g.t.Context(), v, &verification.Transition{
			VerificationID: id, Version: 1, Scope: shop, To: verification.Created,
			Event: verification.Started, Source: verification.SourceCaller, CreateTime: now,
		})
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return id
}

// step moves a verification on to pending, and between pending and processing
// from then on.
func (g *gateway) step(id uuid.UUID) {
	g.t.Helper()
	err := g.store.InTx(g.t.Context(), func(tx verification.Tx) error {
		v, err := tx.Lock(g.t.Context(), shop, id)
		if err != nil {
			return err
		}
		from := v.State
		v.State = verification.Pending
		if from == verification.Pending {
			v.State = verification.Processing
		}
		v.Version++
		return tx.Save(g.t.Context(), v, &verification.Transition{
			VerificationID: id, Version: v.Version, Scope: shop, From: from, To: v.State,
			Event: verification.SessionOpened, Source: verification.SourceGateway, CreateTime: time.Now(),
		})
	})
	if err != nil {
		g.t.Fatal(err)
	}
}

func (g *gateway) dispatch() {
	g.t.Helper()
	if _, err := g.store.SequenceEvents(g.t.Context()); err != nil {
		g.t.Fatal(err)
	}
	if _, err := g.store.QueueCallbacks(g.t.Context(), g.clock.now(), 1000); err != nil {
		g.t.Fatal(err)
	}
}

// callbacks returns those of a verification, oldest first.
func (g *gateway) callbacks(id uuid.UUID) []*verification.Callback {
	g.t.Helper()
	all, err := g.store.Callbacks(g.t.Context(), verification.CallbackQuery{Scope: shop, VerificationID: id, Limit: 1000})
	if err != nil {
		g.t.Fatal(err)
	}
	slices.SortFunc(all, func(a, b *verification.Callback) int { return int(a.Version - b.Version) })
	return all
}

// one queues the only callback of a new verification and returns it.
func (g *gateway) one(url string) *verification.Callback {
	g.t.Helper()
	id := g.start(url)
	g.dispatch()
	return g.callbacks(id)[0]
}

// do does the job of a callback. It returns for how long it was put off; 0 once
// it is done.
func (g *gateway) do(c *verification.Callback) (time.Duration, error) {
	err := g.worker.Work(g.t.Context(), &river.Job[jobs.Callback]{
		JobRow: &rivertype.JobRow{}, Args: jobs.Callback{ID: c.ID, Project: c.Scope.Project, Environment: string(c.Scope.Environment)},
	})
	if snooze, ok := errors.AsType[*rivertype.JobSnoozeError](err); ok {
		return snooze.Duration, nil
	}
	return 0, err
}

// wantWait does the job and expects it to be put off.
func (g *gateway) wantWait(c *verification.Callback, want time.Duration) {
	g.t.Helper()
	got, err := g.do(c)
	if err != nil || got != want {
		g.t.Fatalf("the callback is put off for %s (%v), want %s", got, err, want)
	}
}

// wantState looks at the row.
func (g *gateway) wantState(c *verification.Callback, state verification.CallbackState, reason verification.CallbackReason, attempts int) {
	g.t.Helper()
	got, _, err := g.store.Callback(g.t.Context(), shop, c.ID)
	if err != nil {
		g.t.Fatal(err)
	}
	if got.State != state || got.Reason != reason || got.Attempts != attempts {
		g.t.Fatalf("the callback is %s %q after %d attempts, want %s %q after %d", got.State, got.Reason, got.Attempts, state, reason, attempts)
	}
}
