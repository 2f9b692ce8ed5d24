package db_test

import (
	"strings"
	"testing"

	"github.com/verigate/verigate/db"
	"github.com/verigate/verigate/server/pgdev/pgtest"
)

// The way of the migrations 00005 and 00006 with rows in the tables.

// unparted fills a database from before partitions: an old delivery, one of now,
// one from a clock that is far ahead, and a transition for each.
const unparted = `
INSERT INTO delivery (id, project, environment, connection, receive_time, headers, body, key_id, dedupe_key, refs, effect) VALUES
	('00000000-0000-7000-8000-000000000001', 'shop', 'test', 'human', '2001-01-01', '\x01', '\x02', 'k1', 'old', '{r}', 'unmatched'),
	((lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint), 12, '0') || '70008000000000000002')::uuid, 'shop', 'test', 'human', now(), '\x01', '\x02', 'k1', 'now', '{}', 'ping'),
	('f0000000-0000-7000-8000-000000000003', 'shop', 'test', 'human', now(), '\x01', '\x02', 'k1', 'ahead', '{}', 'ping');
INSERT INTO transition (verification_id, version, project, environment, from_state, to_state, event, source, create_time, reason, xid)
SELECT id, 1, 'shop', 'test', '', 'created', 'started', 'caller', now(), dedupe_key, '77' FROM delivery`

func downBy(t *testing.T, dsn string, steps int) {
	t.Helper()
	for range steps {
		if err := db.Down(t.Context(), dsn); err != nil {
			t.Fatal(err)
		}
	}
}

// whole is everything in the two tables, and rows where each lies.
const (
	wholeDeliveries  = `SELECT d::text FROM delivery d ORDER BY id`
	wholeTransitions = `SELECT t::text FROM transition t ORDER BY verification_id, version`
	placed           = `SELECT concat_ws(' ', tableoid::regclass, dedupe_key) FROM delivery
		UNION ALL SELECT concat_ws(' ', tableoid::regclass, reason) FROM transition`
)

func TestPartitioningMovesNoRowAndLosesNone(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	downBy(t, dsn, 3)
	before := schema(t, dsn)
	run(t, dsn, unparted)
	deliveries, transitions := says(t, dsn, wholeDeliveries), says(t, dsn, wholeTransitions)
	file := says(t, dsn, `SELECT pg_relation_filepath('delivery')`)
	same := func(when string) {
		t.Helper()
		if a, b := says(t, dsn, wholeDeliveries), says(t, dsn, wholeTransitions); a != deliveries || b != transitions {
			t.Errorf("%s the rows are\n%s\n%s\nwant\n%s\n%s", when, a, b, deliveries, transitions)
		}
	}
	migrate(t, dsn)
	same("after the way up")
	if got := says(t, dsn, placed); !sameLines(got,
		"delivery_first old\ndelivery_first now\ndelivery_default ahead\ntransition_first old\ntransition_first now\ntransition_default ahead") {
		t.Errorf("the rows lie so:\n%s", got)
	}
	if now := says(t, dsn, `SELECT pg_relation_filepath('delivery_first')`); now != file {
		t.Errorf("the old table was rewritten: %s became %s", file, now)
	}
	downBy(t, dsn, 3)
	same("after the way down")
	if after := schema(t, dsn); strings.Join(after, "\n") != strings.Join(before, "\n") {
		t.Errorf("the way down makes\n%s\ninstead of\n%s", strings.Join(after, "\n"), strings.Join(before, "\n"))
	}
	migrate(t, dsn)
	same("after the second way up")
}

// TestAnInterruptedMigrationIsTakenUp ends it before its last step, and again before
// it is recorded.
func TestAnInterruptedMigrationIsTakenUp(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	want := schema(t, dsn)
	downBy(t, dsn, 2)
	run(t, dsn, unparted)
	// A table that has the name of the first partition stops the last step.
	run(t, dsn, `CREATE TABLE delivery_first ()`)
	if _, err := db.Migrate(t.Context(), dsn); err == nil {
		t.Fatal("it went through")
	}
	if got := says(t, dsn, `SELECT dedupe_key FROM delivery`); !sameLines(got, "old\nnow") {
		t.Errorf("meanwhile the table holds\n%s", got)
	}
	run(t, dsn, `DROP TABLE delivery_first`)
	migrate(t, dsn)
	if got := says(t, dsn, `SELECT dedupe_key FROM delivery`); !sameLines(got, "old\nnow\nahead") {
		t.Errorf("in the end there are\n%s", got)
	}
	run(t, dsn, `DELETE FROM goose_db_version WHERE version_id >= 6`)
	migrate(t, dsn)
	if got := schema(t, dsn); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("it makes\n%s\ninstead of\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestWhoMightUseTheTablesStillMay is about a gateway whose role owns nothing.
func TestWhoMightUseTheTablesStillMay(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	downBy(t, dsn, 2)
	run(t, dsn, `GRANT SELECT, INSERT ON delivery TO pg_monitor; GRANT SELECT ON transition TO PUBLIC`)
	migrate(t, dsn)
	const may = `SELECT concat_ws(' ', has_table_privilege('pg_monitor', 'delivery', 'INSERT'),
		has_table_privilege('pg_monitor', 'delivery', 'DELETE'), has_table_privilege('pg_read_all_stats', 'transition', 'SELECT'))`
	if got := says(t, dsn, may); got != "t f t" {
		t.Errorf("they may %s, want t f t", got)
	}
}

func TestEveryPartitionHasItsStorageParametersAndIndexes(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	if got := says(t, dsn, `SELECT make_partitions(now(), now() + interval '200 days')::text`); got == "0" {
		t.Fatal("none was made")
	}
	const partitions = `SELECT i.inhparent::regclass || ' ' || coalesce((SELECT string_agg(o, ',' ORDER BY o) FROM unnest(c.reloptions) o), '')
		|| ' ' || (SELECT count(*) FROM pg_index x WHERE x.indrelid = c.oid)
		FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE c.relkind = 'r' AND c.relname NOT LIKE '%_default'`
	kinds := map[string]int{}
	for line := range strings.SplitSeq(says(t, dsn, partitions), "\n") {
		kinds[line]++
	}
	if len(kinds) != 2 {
		t.Errorf("partitions of one table differ: %v", kinds)
	}
	for kind, n := range kinds {
		if n < 5 || !strings.Contains(kind, "autovacuum") || strings.HasPrefix(kind, "delivery") != strings.Contains(kind, "fillfactor=90") {
			t.Errorf("%d partitions are %s", n, kind)
		}
	}
}

func TestPartitionsLieOneAfterTheOther(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	for range 2 {
		says(t, dsn, `SELECT make_partitions(now(), now() + interval '400 days')::text`)
	}
	const gaps = `SELECT count(*)::text FROM (
		SELECT p.first_id, lag(p.end_id) OVER (ORDER BY p.end_id) AS before FROM partitions_of('transition') p) o
		WHERE before <> first_id`
	if got := says(t, dsn, gaps); got != "0" {
		t.Errorf("there are %s gaps", got)
	}
	if got := says(t, dsn, `SELECT make_partitions(now(), now() + interval '400 days')::text`); got != "0" {
		t.Errorf("what is there was made again: %s", got)
	}
	if got := says(t, dsn, `SELECT earliest_id('2026-11-22T17:00:00.123Z') || ' ' || period_start('2026-11-22T17:00:00Z') AT TIME ZONE 'UTC'`); got != "01a20433-4afb-0000-0000-000000000000 2026-11-19 00:00:00" {
		t.Errorf("the moment's first id and four weeks are %s", got)
	}
}
