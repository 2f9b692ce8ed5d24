package db_test

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/verigate/verigate/db"
	"github.com/verigate/verigate/server/pgdev/pgtest"
)

const (
	// aCrowd is more than one step of the migration takes; the last one is anna.
	aCrowd = `INSERT INTO verification (id, project, environment, flow, connection, product, subject, reference, state, version,
		nonce_hash, create_time, update_time, expire_time, grace_until, page_until)
	SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'shop', 'test', 'identity', 'human', 'identity',
		CASE WHEN n = 25000 THEN 'anna' ELSE 's' || n END, 'r' || n, 'created', 1, sha256(n::text::bytea), now(), now(), now(), now(), now()
	FROM generate_series(1, 25000) n`
	another = `INSERT INTO verification (id, project, environment, flow, connection, product, subject, reference, state, version,
		nonce_hash, create_time, update_time, expire_time, grace_until, page_until)
	VALUES ('00000000-0000-7000-9000-000000000001', 'shop', 'test', 'identity', 'human', 'identity', 'berta', '', 'created', 1,
		'\x01', now(), now(), now(), now(), now())`
	// lookedUp counts whom all that finds leads to.
	lookedUp = `SELECT count(*)::text FROM verification v
		JOIN verification_lookup l USING (project, environment, id, flow, subject, reference, nonce_hash)`
)

func wantSays(t *testing.T, dsn, statement, want string) {
	t.Helper()
	if got := says(t, dsn, statement); got != want {
		t.Errorf("%s: %s, want %s", statement, got, want)
	}
}

// TestTheLookupHasWhatWasThereAndFollowsWhatComes goes the way of an operator who
// updates with rows, then of a start, a change of state, an erasure and
// a row that somebody deletes.
func TestTheLookupHasWhatWasThereAndFollowsWhatComes(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	downBy(t, dsn, 1)
	run(t, dsn, aCrowd)
	run(t, dsn, `GRANT SELECT, INSERT ON verification TO pg_monitor`)
	migrate(t, dsn)
	wantSays(t, dsn, lookedUp, "25000")
	wantSays(t, dsn, `SELECT concat_ws(' ', has_table_privilege('pg_monitor', 'verification_lookup', 'INSERT'),
		has_table_privilege('pg_monitor', 'verification_lookup', 'DELETE'))`, "t f")
	run(t, dsn, another)
	run(t, dsn, `UPDATE verification SET state = 'pending', version = 2`)
	run(t, dsn, `UPDATE verification SET subject = '[erased]', reference = '' WHERE subject = 'anna'`)
	wantSays(t, dsn, lookedUp, "25001")
	wantSays(t, dsn, `SELECT subject || reference FROM verification_lookup WHERE id = '00000000-0000-7000-8000-0000000061a8'`, "[erased]")
	run(t, dsn, `DELETE FROM verification WHERE subject = '[erased]'`)
	wantSays(t, dsn, `SELECT count(*)::text FROM verification_lookup`, "25000")
}

// TestALookupThatWasInterruptedIsTakenUp ends the migration in the middle, and has
// rows erased before it goes on.
func TestALookupThatWasInterruptedIsTakenUp(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	want := schema(t, dsn)
	downBy(t, dsn, 1)
	run(t, dsn, aCrowd)
	// A table of that name stops the step that would make an index of it.
	run(t, dsn, `CREATE TABLE verification_lookup_flow ()`)
	if _, err := db.Migrate(t.Context(), dsn); err == nil {
		t.Fatal("it went through")
	}
	run(t, dsn, `DELETE FROM verification_lookup WHERE subject LIKE 's2%' AND subject <> 's23'`)
	run(t, dsn, `UPDATE verification SET subject = '[erased]' WHERE subject IN ('anna', 's22')`)
	// Somebody deletes a verification between the copying of it and its end.
	run(t, dsn, `ALTER TABLE verification DISABLE TRIGGER USER; DELETE FROM verification WHERE subject = 's23'; ALTER TABLE verification ENABLE TRIGGER USER`)
	run(t, dsn, `DROP TABLE verification_lookup_flow`)
	migrate(t, dsn)
	wantSays(t, dsn, lookedUp, "24999")
	wantSays(t, dsn, `SELECT count(*)::text FROM verification_lookup WHERE subject IN ('anna', 's22', 's23')`, "0")
	if got := schema(t, dsn); !slices.Equal(got, want) {
		t.Errorf("it makes\n%s\ninstead of\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestAChangeOfStateLeavesTheLookupAlone is what the table is for.
func TestAChangeOfStateLeavesTheLookupAlone(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	run(t, dsn, another)
	before := says(t, dsn, `SELECT xmin::text || ctid::text FROM verification_lookup`)
	run(t, dsn, `UPDATE verification SET state = 'pending', version = 2`)
	wantSays(t, dsn, `SELECT xmin::text || ctid::text FROM verification_lookup`, before)
}

// TestWhoWritesWhileTheLookupIsMadeIsInIt has a start and an erasure under way when the
// migration comes, so that it has to wait for both before it copies.
func TestWhoWritesWhileTheLookupIsMadeIsInIt(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	downBy(t, dsn, 1)
	run(t, dsn, aCrowd)
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	const open = "BEGIN; " + another + "; UPDATE verification SET subject = '[erased]', reference = '' WHERE subject = 'anna'; DELETE FROM verification WHERE subject = 's7'"
	if _, err := conn.Exec(t.Context(), open); err != nil {
		t.Fatal(err)
	}
	migrated := make(chan error, 1)
	go func() {
		_, err := db.Migrate(t.Context(), dsn)
		migrated <- err
	}()
	deadline := time.Now().Add(time.Minute)
	for says(t, dsn, `SELECT count(*)::text FROM pg_locks WHERE NOT granted AND relation = 'verification'::regclass`) == "0" {
		if time.Now().After(deadline) {
			t.Fatal("the migration waits for nobody")
		}
		runtime.Gosched()
	}
	if _, err := conn.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	if err := <-migrated; err != nil {
		t.Fatal(err)
	}
	wantSays(t, dsn, lookedUp, "25000")
	wantSays(t, dsn, `SELECT count(*)::text FROM verification_lookup`, "25000")
	wantSays(t, dsn, `SELECT count(*)::text FROM verification_lookup WHERE subject = 'anna' OR subject = 's7'`, "0")
}
