package store_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/store"
	"github.com/verigate/verigate/server/verification"
)

// crowded is a store on which more reads of shop hang than may run at once.
func crowded(t *testing.T, dsn string, running int, read func(ctx context.Context, s *store.Store) error) *store.Store {
	t.Helper()
	const size, crowd = 8, 30
	ctx, cancel := context.WithCancel(t.Context())
	holder, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := holder.Exec(ctx, `SELECT pg_advisory_lock(1)`); err != nil {
		t.Fatal(err)
	}
	name := "crowd-" + strconv.Itoa(running)
	own := with(t, with(t, dsn, "pool_max_conns", strconv.Itoa(size)), "application_name", name)
	s := open(t, with(t, with(t, own, "lock_timeout", "0"), "statement_timeout", "0"))
	ended := make(chan error, crowd)
	t.Cleanup(func() {
		cancel()
		_ = holder.Close(context.WithoutCancel(ctx))
		for range crowd {
			<-ended
		}
	})
	for range crowd {
		go func() { ended <- read(ctx, s) }()
	}
	for n := 0; n < running; {
		if err := holder.QueryRow(ctx, blocked, name).Scan(&n); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestStreamsAndListsDoNotStarveEachOther(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	writer := open(t, dsn)
	insert(t, writer, nil)
	insert(t, writer, func(v *verification.Verification) { v.Scope = rival })
	exec(t, dsn, turnstile)
	list := func(scope verification.Scope) func(ctx context.Context, s *store.Store) error {
		return func(ctx context.Context, s *store.Store) error {
			_, err := s.List(ctx, verification.ListQuery{Scope: scope, Limit: 1})
			return err
		}
	}
	stream := func(scope verification.Scope) func(ctx context.Context, s *store.Store) error {
		return func(ctx context.Context, s *store.Store) error {
			_, err := s.NextEvents(ctx, verification.EventQuery{Scope: scope, Limit: 1})
			return err
		}
	}
	for name, c := range map[string]struct {
		running       int
		crowd, others func(ctx context.Context, s *store.Store) error
	}{
		"many streams that read leave lists alone":   {2, stream(shop), list(rival)},
		"many lists leave streams alone that follow": {4, list(shop), stream(rival)},
	} {
		t.Run(name, func(t *testing.T) {
			s := crowded(t, dsn, c.running, c.crowd)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			if err := c.others(ctx, s); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWhoseEventsAreNew(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.New(t))
	ofRival := func(v *verification.Verification) { v.Scope = rival }
	for _, change := range []func(*verification.Verification){nil, ofRival, ofRival, nil} {
		insert(t, s, change)
		if _, err := s.SequenceEvents(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		after, upTo int64
		want        []verification.Scope
	}{{0, 1, []verification.Scope{shop}}, {1, 3, []verification.Scope{rival}}, {3, 3, nil}, {0, 4, []verification.Scope{rival, shop}}} {
		got, err := s.EventScopes(t.Context(), c.after, c.upTo)
		if err != nil || len(got) != len(c.want) {
			t.Errorf("(%d, %d]: %v, %v; want %v", c.after, c.upTo, got, err, c.want)
			continue
		}
		for _, scope := range c.want {
			if got[0] != scope && got[len(got)-1] != scope {
				t.Errorf("(%d, %d]: %v, want %v", c.after, c.upTo, got, c.want)
			}
		}
	}
}
