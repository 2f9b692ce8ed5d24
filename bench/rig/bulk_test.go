package rig_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/verigate/verigate/bench/rig"
	"github.com/verigate/verigate/server/pgdev/pgtest"
)

// indexes lists the definitions of all valid indexes, constraints and triggers,
// without the names of indexes: Postgres gives those of partitions.
func indexes(t *testing.T, pool *pgxpool.Pool) []string {
	t.Helper()
	rows, err := pool.Query(t.Context(), `SELECT regexp_replace(pg_get_indexdef(indexrelid), 'INDEX \S+ ON', 'INDEX ON') FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
		WHERE indisvalid AND c.relnamespace = 'public'::regnamespace
		UNION ALL SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace
		UNION ALL SELECT pg_get_triggerdef(oid) || tgenabled::text FROM pg_trigger WHERE NOT tgisinternal
		ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	definitions, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return definitions
}

// wantSame compares what indexes returned.
func wantSame(t *testing.T, before, after []string) {
	t.Helper()
	for _, definition := range before {
		if !slices.Contains(after, definition) {
			t.Errorf("this is gone: %s", definition)
		}
	}
	if len(before) != len(after) {
		t.Errorf("%d indexes and constraints, and %d before", len(after), len(before))
	}
}

func count(t *testing.T, pool *pgxpool.Pool, query string, args ...any) (n int64) {
	t.Helper()
	if err := pool.QueryRow(t.Context(), "SELECT count(*) FROM "+query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// lookedUp are the verifications that are found by all that they can be found by.
const lookedUp = `verification v JOIN verification_lookup l USING (project, environment, id, flow, subject, reference, nonce_hash)`

func TestBulkRowsAreWhatSeedWouldHaveMade(t *testing.T) {
	t.Parallel()
	const rows = 2500
	set := rig.Set{Names: rig.OwnNames(), Number: 7, Time: time.Now().UTC().Truncate(time.Millisecond)}
	// All but what is random.
	const told = `SELECT array_agg(to_jsonb(v) - 'nonce_hash' - 'subject' - 'reference' ORDER BY id)::text ||
		(SELECT array_agg(to_jsonb(r) ORDER BY verification_id)::text FROM provider_ref r) FROM verification v`
	var made [2]string
	for i, load := range []func(ctx context.Context, pool *pgxpool.Pool) error{
		func(ctx context.Context, pool *pgxpool.Pool) error { return rig.Seed(ctx, pool, set, 0, rows) },
		rig.Bulk{Set: set, Rows: rows}.Load,
	} {
		pool, err := pgxpool.New(t.Context(), pgtest.New(t))
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		before := indexes(t, pool)
		if err := load(t.Context(), pool); err != nil {
			t.Fatal(err)
		}
		wantSame(t, before, indexes(t, pool))
		if err := pool.QueryRow(t.Context(), told).Scan(&made[i]); err != nil {
			t.Fatal(err)
		}
		if n := count(t, pool, lookedUp); n != rows {
			t.Errorf("%d of %d verifications can be looked up", n, rows)
		}
	}
	if made[0] != made[1] {
		t.Error("the rows differ")
	}
}

func TestBulkMakesDecidedVerificationsWithAllThatGrowsBesideThem(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), pgtest.New(t))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	bulk := rig.Bulk{Set: rig.Set{Names: rig.OwnNames(), Time: time.Now()}, Rows: 3000, Decided: true}
	before := indexes(t, pool)
	// What was there goes.
	for range 2 {
		if err := bulk.Load(t.Context(), pool); err != nil {
			t.Fatal(err)
		}
	}
	for _, table := range []string{"verification WHERE state = 'approved'", lookedUp, "provider_ref", "seen", "transition", "event_position"} {
		if n := count(t, pool, table); n != bulk.Rows {
			t.Errorf("%d rows in %s, want %d", n, table, bulk.Rows)
		}
	}
	if n := count(t, pool, "verification WHERE id = $1 AND subject LIKE 'bench-subject%'", bulk.Set.ID(bulk.Rows-1)); n != 1 {
		t.Error("the last row is not there")
	}
	if n := count(t, pool, "event_head WHERE position = (SELECT max(position) FROM event_position) AND queued = position"); n != 1 {
		t.Error("the gateways would take the generated transitions for news")
	}
	wantSame(t, before, indexes(t, pool))
}

func TestMeetWritesBesideEachSixtyFourthMark(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), pgtest.New(t))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	bulk := rig.Bulk{Set: rig.Set{Names: rig.OwnNames(), Time: time.Now()}, Rows: 640, Decided: true}
	if err := errors.Join(bulk.Load(t.Context(), pool), bulk.Meet(t.Context(), pool)); err != nil {
		t.Fatal(err)
	}
	// What was met has the ids of those that it lies beside.
	const between = `(SELECT delivery_id, lag(delivery_id) OVER keys AS before, lead(delivery_id) OVER keys AS after
		FROM seen WINDOW keys AS (ORDER BY connection, dedupe_key)) s WHERE delivery_id IN (before, after)`
	if n := count(t, pool, between); n != 20 {
		t.Errorf("%d marks lie beside one of the same verification, want ten and those ten", n)
	}
	if n := count(t, pool, "seen"); n != bulk.Rows+10 {
		t.Errorf("%d marks", n)
	}
}
