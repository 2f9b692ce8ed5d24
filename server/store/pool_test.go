package store_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/store"
	"github.com/verigate/verigate/server/verification"
)

func TestTheSizeOfThePool(t *testing.T) {
	t.Parallel()
	for dsn, want := range map[string]int32{
		"postgres://u@localhost/d":                  16,
		"postgres://u@localhost/d?pool_max_conns=5": 5,
		"host=localhost user=u":                     16,
		"host=localhost user=u pool_max_conns=3":    3,
	} {
		if got := open(t, dsn).PoolSize(); got != want {
			t.Errorf("%s: %d connections, want %d", dsn, got, want)
		}
	}
}

func TestBatchesHaveConnectionsOfTheirOwnWithTheirSettings(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	joint := "?"
	if strings.Contains(dsn, "?") {
		joint = "&"
	}
	for suffix, connections := range map[string]int32{"": 2, joint + "pool_max_conns=1": 1, joint + "lock_timeout=1000&plan_cache_mode=auto": 2} {
		s := open(t, dsn+suffix)
		if got := s.BatchPoolSize(); got != connections {
			t.Errorf("%q: %d connections, want %d", suffix, got, connections)
		}
		for name, want := range map[string]string{"lock_timeout": "250ms", "plan_cache_mode": "force_generic_plan", "statement_timeout": "5s"} {
			if got, err := s.BatchSetting(t.Context(), name); err != nil || got != want {
				t.Errorf("%q: %s is %q (%v), want %q", suffix, name, got, err, want)
			}
		}
	}
}

// turnstile puts a view in the place of each listed table: whoever reads a row
// of project shop waits for an advisory lock, and nobody else does.
const turnstile = `
CREATE FUNCTION wait() RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN true; END $$;
ALTER TABLE verification RENAME TO verification_row;
CREATE VIEW verification AS SELECT * FROM verification_row WHERE project <> 'shop' OR wait();
ALTER TABLE audit_entry RENAME TO audit_row;
CREATE VIEW audit_entry AS SELECT * FROM audit_row WHERE project <> 'shop' OR wait();
ALTER TABLE event_position RENAME TO event_row;
CREATE VIEW event_position AS SELECT * FROM event_row WHERE project <> 'shop' OR wait();
INSERT INTO event_row SELECT verification_id, version, project, environment, 1, create_time FROM transition WHERE project = 'shop'`

// blocked counts the sessions of a name that wait for a lock.
const blocked = `SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'`

func TestListsLeaveConnectionsForTheRest(t *testing.T) {
	t.Parallel()
	const size, crowd = 4, 24
	dsn := pgtest.New(t)
	writer := open(t, dsn)
	insert(t, writer, nil)
	record(t, writer, shop, verification.AuditErase, "t1")
	quick := insert(t, writer, func(v *verification.Verification) { v.Scope = rival })
	exec(t, dsn, turnstile)
	for name, list := range map[string]func(ctx context.Context, s *store.Store) error{
		"all": func(ctx context.Context, s *store.Store) error {
			_, err := s.List(ctx, verification.ListQuery{Scope: shop, Limit: 1})
			return err
		},
		"of a flow": func(ctx context.Context, s *store.Store) error {
			_, err := s.List(ctx, verification.ListQuery{Scope: shop, Flow: "identity", Limit: 1})
			return err
		},
		"of a subject": func(ctx context.Context, s *store.Store) error {
			_, err := s.List(ctx, verification.ListQuery{Scope: shop, Subject: "u1", Limit: 1})
			return err
		},
		"of events": func(ctx context.Context, s *store.Store) error {
			_, err := s.Events(ctx, verification.EventQuery{Scope: shop, Limit: 1})
			return err
		},
		"of the audit log": func(ctx context.Context, s *store.Store) error {
			_, err := s.AuditEntries(ctx, verification.AuditQuery{Scope: shop, Limit: 1})
			return err
		},
	} {
		t.Run("lists "+name+" never take more than half of them", func(t *testing.T) {
			holder, err := pgx.Connect(t.Context(), dsn)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = holder.Close(context.WithoutCancel(t.Context())) }()
			if _, err := holder.Exec(t.Context(), `SELECT pg_advisory_lock(1)`); err != nil {
				t.Fatal(err)
			}
			settings := map[string]string{
				"pool_max_conns": strconv.Itoa(size), "application_name": "crowd-" + strings.ReplaceAll(name, " ", "-"), "lock_timeout": "0", "statement_timeout": "0",
			}
			own := dsn
			for key, value := range settings {
				own = with(t, own, key, value)
			}
			s := open(t, own)
			waiting := func() (n int) {
				if err := holder.QueryRow(t.Context(), blocked, settings["application_name"]).Scan(&n); err != nil {
					t.Fatal(err)
				}
				return n
			}
			ended := make(chan error, crowd)
			for range crowd {
				go func() { ended <- list(t.Context(), s) }()
			}
			for n := waiting(); n < size/2; n = waiting() {
				select {
				case err := <-ended:
					t.Fatalf("a list did not wait for the lock: %v", errors.Join(err, errors.Unwrap(err)))
				default:
				}
			}
			// The other half of the connections is there for whoever does not
			// list, all of it at once.
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			inside, leave, others := make(chan struct{}), make(chan struct{}), sync.WaitGroup{}
			for range size / 2 {
				others.Go(func() {
					err := s.InTx(ctx, func(verification.Tx) error {
						inside <- struct{}{}
						<-leave
						return nil
					})
					if err != nil {
						t.Errorf("a transaction beside %d lists: %v", crowd, err)
					}
				})
			}
			for range size / 2 {
				select {
				case <-inside:
				case <-ctx.Done():
					t.Error("no connection is left for transactions")
				}
			}
			close(leave)
			others.Wait()
			if _, err := s.Get(ctx, rival, quick.ID); err != nil {
				t.Errorf("a read beside %d lists: %v", crowd, err)
			}
			if n := waiting(); n != size/2 {
				t.Errorf("%d lists run at once, want %d", n, size/2)
			}
			short, end := context.WithTimeout(t.Context(), time.Millisecond)
			defer end()
			if err := list(short, s); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a list that waited for its turn too long: %v, want the caller's deadline", err)
			}
			if _, err := holder.Exec(t.Context(), `SELECT pg_advisory_unlock(1)`); err != nil {
				t.Fatal(err)
			}
			for range crowd {
				if err := <-ended; err != nil {
					t.Errorf("a list that had its turn later: %v", err)
				}
			}
		})
	}
}
