package store_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/store"
	"github.com/verigate/verigate/server/verification"
)

// due sets when the provider of a verification is asked.
func due(t *testing.T, s *store.Store, v *verification.Verification, at time.Time) {
	t.Helper()
	err := s.InTx(t.Context(), func(tx verification.Tx) error {
		locked, err := tx.Lock(t.Context(), v.Scope, v.ID)
		if err != nil {
			return err
		}
		locked.FetchTime = at
		return tx.Save(t.Context(), locked, nil)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func enqueue(t *testing.T, s *store.Store, now time.Time, limit, want int) {
	t.Helper()
	got, err := s.EnqueueFetches(t.Context(), now, limit)
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Fatalf("%d were queued, want %d", got, want)
	}
}

// queued returns the verifications that the queue has fetches of, with how many.
func queued(t *testing.T, pool *pgxpool.Pool) map[uuid.UUID]int {
	t.Helper()
	rows, err := pool.Query(t.Context(), `SELECT (args->>'verification_id')::uuid FROM river.river_job
		WHERE kind = 'fetch' AND queue = 'fetches' AND args->>'project' = 'shop' AND args->>'environment' = 'test'`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	found := map[uuid.UUID]int{}
	for rows.Next() {
		var id uuid.UUID
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		found[id]++
	}
	if rows.Err() != nil {
		t.Fatal(rows.Err())
	}
	return found
}

func openPool(t *testing.T, dsn string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func TestWhatIsDueIsQueuedOnceAndLeased(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	s, pool := open(t, dsn), openPool(t, dsn)
	late, later, other, undecided := insert(t, s, nil), insert(t, s, nil), insert(t, s, nil), insert(t, s, nil)
	now := late.CreateTime.Add(time.Minute)
	due(t, s, late, now.Add(-2*time.Second))
	due(t, s, later, now)
	due(t, s, other, now.Add(time.Microsecond))

	enqueue(t, s, now, 1, 1)
	if got := queued(t, pool); got[late.ID] != 1 || len(got) != 1 {
		t.Fatalf("queued are %v, want the one that is due longest", got)
	}
	enqueue(t, s, now, 10, 1)
	enqueue(t, s, now, 10, 0)
	if got := queued(t, pool); got[late.ID] != 1 || got[later.ID] != 1 || len(got) != 2 {
		t.Fatalf("queued are %v", got)
	}
	leased, err := s.Get(t.Context(), shop, late.ID)
	if err != nil {
		t.Fatal(err)
	}
	if !leased.FetchTime.Equal(now.Add(5*time.Minute)) || leased.Version != 1 || leased.Fetches != 0 {
		t.Errorf("the lease left the fetch at %s, version %d, fetches %d", leased.FetchTime, leased.Version, leased.Fetches)
	}
	// Nobody did the job: it is due again, and is still only once in the queue.
	enqueue(t, s, now.Add(5*time.Minute), 10, 3)
	if got := queued(t, pool); got[late.ID] != 1 || got[later.ID] != 1 || got[other.ID] != 1 || got[undecided.ID] != 0 {
		t.Fatalf("queued are %v", got)
	}
}

func TestALeaseDisturbsNobodyWhoChangesTheRow(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.New(t))
	v := insert(t, s, nil)
	now := v.CreateTime.Add(time.Minute)
	due(t, s, v, now)
	planned := now.Add(time.Hour)
	err := s.InTx(t.Context(), func(tx verification.Tx) error {
		locked, err := tx.Lock(t.Context(), v.Scope, v.ID)
		if err != nil {
			return err
		}
		// While it is locked it is passed over, and nobody waits.
		enqueue(t, s, now, 10, 0)
		locked.FetchTime = planned
		return tx.Save(t.Context(), locked, nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	enqueue(t, s, now, 10, 0)
	enqueue(t, s, planned, 10, 1)
	if err := step(t.Context(), s, v.ID); err != nil {
		t.Errorf("the lease moved the version: %v", err)
	}
}

func TestNodesThatQueueTogetherTakeDifferentOnes(t *testing.T) {
	t.Parallel()
	const many, nodes, batch = 40, 4, 7
	dsn := pgtest.New(t)
	first, pool := open(t, dsn), openPool(t, dsn)
	var now time.Time
	for range many {
		v := insert(t, first, nil)
		now = v.CreateTime.Add(time.Minute)
		due(t, first, v, v.CreateTime)
	}
	stores := []*store.Store{first, open(t, dsn), open(t, dsn), open(t, dsn)}
	counts, errs := make([]int, nodes), make([]error, nodes)
	var running sync.WaitGroup
	for i, s := range stores {
		running.Go(func() { counts[i], errs[i] = drain(t.Context(), s, now, batch) })
	}
	running.Wait()
	total := 0
	for i, err := range errs {
		if err != nil {
			t.Errorf("node %d: %v", i, err)
		}
		total += counts[i]
	}
	// A node may stop while others hold the rest; nothing stays behind.
	rest, err := drain(t.Context(), first, now, batch)
	if err != nil {
		t.Fatal(err)
	}
	if got := queued(t, pool); total+rest != many || len(got) != many {
		t.Errorf("%d and %d were queued, %d are in the queue, want %d", total, rest, len(got), many)
	}
}

func drain(ctx context.Context, s *store.Store, now time.Time, batch int) (int, error) {
	total := 0
	for {
		n, err := s.EnqueueFetches(ctx, now, batch)
		total += n
		if err != nil || n == 0 {
			return total, err
		}
	}
}

func TestAVerificationIsAskedAboutByItsOwnLivingRefs(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.New(t))
	v, other := insert(t, s, nil), insert(t, s, nil)
	bind := func(v *verification.Verification, connection, ref string, match verification.Match, after time.Duration) {
		t.Helper()
		err := s.InTx(t.Context(), func(tx verification.Tx) error {
			return tx.BindRef(t.Context(), verification.BoundRef{
				Connection: connection, Ref: ref, VerificationID: v.ID, Match: match, CreateTime: v.CreateTime.Add(after),
			})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	bind(v, "human", "verification:b", verification.Inferred, time.Second)
	bind(v, "human", "session:z", verification.Exact, 0)
	bind(v, "elsewhere", "session:y", verification.Exact, 0)
	bind(other, "human", "session:x", verification.Exact, 0)
	refs, err := s.RefsOf(t.Context(), shop, v.ID)
	if err != nil {
		t.Fatal(err)
	}
	if len(refs) != 2 || refs[0].Ref != "session:z" || refs[0].Match != verification.Exact ||
		refs[1].Ref != "verification:b" || refs[1].Match != verification.Inferred || refs[1].VerificationID != v.ID {
		t.Errorf("the refs are %+v", refs)
	}
	foreign, err := s.RefsOf(t.Context(), verification.Scope{Project: "rival", Environment: verification.Test}, v.ID)
	if err != nil || len(foreign) != 0 {
		t.Errorf("another project gets %+v (%v)", foreign, err)
	}
	err = s.InTx(t.Context(), func(tx verification.Tx) error {
		locked, err := tx.LockSubject(t.Context(), shop, "u1", 10)
		if err != nil {
			return err
		}
		for _, l := range locked {
			l.Subject, l.EraseTime = verification.ErasedSubject, l.CreateTime
			if _, err := tx.Erase(t.Context(), l); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if refs, err = s.RefsOf(t.Context(), shop, v.ID); err != nil || len(refs) != 0 {
		t.Errorf("after its erasure it is asked about by %+v (%v)", refs, err)
	}
}

func decide(t *testing.T, s *store.Store, v *verification.Verification) {
	t.Helper()
	err := s.InTx(t.Context(), func(tx verification.Tx) error {
		locked, err := tx.Lock(t.Context(), v.Scope, v.ID)
		if err != nil {
			return err
		}
		locked.State, locked.FinalTime, locked.Version = verification.Approved, v.CreateTime, 2
		return tx.Save(t.Context(), locked, &verification.Transition{
			VerificationID: v.ID, Version: 2, Scope: v.Scope, From: verification.Created, To: verification.Approved,
			Event: verification.Passed, Source: verification.SourceProvider, CreateTime: v.CreateTime,
		})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheOldestUnresolvedIsTheOldestOpenOneOfItsConnection(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.New(t))
	aged := func(age time.Duration, change func(*verification.Verification)) *verification.Verification {
		return insert(t, s, func(v *verification.Verification) {
			v.CreateTime = v.CreateTime.Add(-age)
			if change != nil {
				change(v)
			}
		})
	}
	decide(t, s, aged(time.Hour, nil))
	aged(time.Hour, func(v *verification.Verification) { v.Connection = "elsewhere" })
	oldest := aged(time.Minute, nil)
	aged(time.Second, nil)
	if got, err := s.OldestUnresolved(t.Context(), "human"); err != nil || !got.Equal(oldest.CreateTime) {
		t.Errorf("it is from %s (%v), want %s", got, err, oldest.CreateTime)
	}
	if got, err := s.OldestUnresolved(t.Context(), "unused"); err != nil || !got.IsZero() {
		t.Errorf("an unused connection has one from %s (%v)", got, err)
	}
}
