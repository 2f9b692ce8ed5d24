package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/verigate/verigate/db"
	"github.com/verigate/verigate/server/pgdev"
	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/store"
	"github.com/verigate/verigate/server/verification"
)

// reader follows the log and remembers the newest version of each.
type reader struct {
	store  *store.Store
	cursor verification.Cursor
	seen   map[uuid.UUID]int64
}

func follow(t *testing.T, s *store.Store) *reader {
	t.Helper()
	cursor, err := s.TailStart(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &reader{store: s, cursor: cursor, seen: map[uuid.UUID]int64{}}
}

// poll returns how many changes it read.
func (r *reader) poll(ctx context.Context) (int, error) {
	changes, next, err := r.store.Tail(ctx, r.cursor)
	r.cursor = next
	for _, c := range changes {
		r.seen[c.ID] = max(r.seen[c.ID], c.Version)
	}
	return len(changes), err
}

func (r *reader) mustPoll(t *testing.T) int {
	t.Helper()
	n, err := r.poll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestATransactionHeldOpenIsNeitherSkippedNorInTheWay(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.New(t))
	r := follow(t, s)
	late, written, release := fresh(), make(chan struct{}), make(chan struct{})
	committed := make(chan error, 1)
	go func() {
		committed <- s.InTx(t.Context(), func(tx verification.Tx) error {
			err := create(t.Context(), tx, late)
			close(written)
			<-release
			return err
		})
	}()
	<-written
	for range 3 {
		quick := insert(t, s, nil)
		r.mustPoll(t)
		if r.seen[quick.ID] != 1 {
			t.Error("a commit is held up by somebody else's open transaction")
		}
	}
	if r.seen[late.ID] != 0 {
		t.Error("the log shows what is not committed")
	}
	close(release)
	if err := <-committed; err != nil {
		t.Fatal(err)
	}
	r.mustPoll(t)
	if r.seen[late.ID] != 1 {
		t.Error("a transaction that committed late was skipped")
	}
	if n := r.mustPoll(t); n != 0 {
		t.Errorf("a quiet log gives %d changes", n)
	}
}

func TestTheTailMissesNothingUnderManyWriters(t *testing.T) {
	t.Parallel()
	const writers, rounds = 4, 15
	dsn := pgtest.New(t)
	nodes := []*store.Store{open(t, dsn), open(t, dsn)}
	r := follow(t, open(t, dsn))
	var mu sync.Mutex
	want := map[uuid.UUID]int64{}
	var work sync.WaitGroup
	for w := range writers {
		work.Go(func() {
			for range rounds {
				s, v := nodes[w%len(nodes)], fresh()
				err := s.InTx(t.Context(), func(tx verification.Tx) error { return create(t.Context(), tx, v) })
				for range 2 {
					if err == nil {
						err = step(t.Context(), s, v.ID)
					}
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				want[v.ID] = 3
				mu.Unlock()
			}
		})
	}
	finished := make(chan struct{})
	go func() { work.Wait(); close(finished) }()
	for running := true; running; {
		select {
		case <-finished:
			running = false
		default:
		}
		r.mustPoll(t)
	}
	if len(want) != writers*rounds {
		t.Fatalf("%d verifications were written, want %d", len(want), writers*rounds)
	}
	for id, version := range want {
		if r.seen[id] != version {
			t.Errorf("the tail knows version %d of %s, want %d", r.seen[id], id, version)
		}
	}
}

const (
	// passable lets the database's account through when the tests run as root.
	passable = 0o711
	// reconnects is more than the pool has connections: each dead one may fail
	// one call.
	reconnects = 20
)

func TestTheStoreAndItsTailOutliveADatabaseRestart(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("/tmp", "store-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, passable); err != nil {
		t.Fatal(err)
	}
	options := pgdev.Options{DataDir: filepath.Join(dir, "d"), Durable: true}
	server := launch(t, options)
	if _, err := db.Migrate(t.Context(), server.DSN()); err != nil {
		t.Fatal(err)
	}
	s := open(t, server.DSN())
	r := follow(t, s)
	before := insert(t, s, nil)

	if err := server.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = r.poll(t.Context())
	wantKind(t, err, verification.KindUnavailable)
	lost := fresh()
	err = s.InTx(t.Context(), func(tx verification.Tx) error { return create(t.Context(), tx, lost) })
	wantKind(t, err, verification.KindUnavailable)
	tells(t, err)

	if again := launch(t, options); again.DSN() != server.DSN() {
		t.Fatalf("the database came back elsewhere: %s, it was at %s", again.DSN(), server.DSN())
	}
	mustRecover(t, func() error { return s.Ping(t.Context()) })
	after := insert(t, s, nil)
	mustRecover(t, func() error { _, err := r.poll(t.Context()); return err })
	if r.seen[before.ID] != 1 || r.seen[after.ID] != 1 || r.seen[lost.ID] != 0 {
		t.Errorf("the tail saw %v, want %s and %s", r.seen, before.ID, after.ID)
	}
	if v, err := s.Get(t.Context(), shop, before.ID); err != nil || v.Version != 1 {
		t.Errorf("what was committed before the restart is %+v (%v)", v, err)
	}
}

func launch(t *testing.T, options pgdev.Options) *pgdev.Server {
	t.Helper()
	server, err := pgdev.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return server
}

func mustRecover(t *testing.T, fn func() error) {
	t.Helper()
	var err error
	for range reconnects {
		if err = fn(); err == nil {
			return
		}
	}
	t.Fatal(fmt.Errorf("it does not come back: %w", err))
}
