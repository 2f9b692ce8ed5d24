package rig

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5/pgxpool"
)

// The kinds of names that a seeded verification has at its provider.
const (
	KindToken        = "tok"
	KindVerification = "vh"
	KindEvent        = "evt"
)

// What the benchmark's subjects and references begin with.
const (
	SubjectPrefix   = "bench-subject"
	ReferencePrefix = "bench-order"
)

// seedSessions is how many connections write at a time.
const seedSessions = 2

// Seed makes the verifications from..until-1 of a set, as StartVerification
// leaves them: the row pending in version 2, its provider's token bound to it,
// the two transitions and their places in the event stream. No gateway may run
// meanwhile: it would follow what is written here.
func Seed(ctx context.Context, pool *pgxpool.Pool, s Set, from, until int64) error {
	if err := seedAll(ctx, pool, s, from, until, true); err != nil {
		return err
	}
	return skipEvents(ctx, pool)
}

// SeedBeside does the same beside a gateway that runs, without the transitions:
// they would be news to it, to be placed and told. So the verifications have no
// history before they are decided.
func SeedBeside(ctx context.Context, pool *pgxpool.Pool, s Set, from, until int64) error {
	if err := seedAll(ctx, pool, s, from, until, false); err != nil {
		return err
	}
	if _, err := pool.Exec(ctx, "ANALYZE verification, verification_lookup, provider_ref"); err != nil {
		return fmt.Errorf("refreshing statistics: %w", err)
	}
	return nil
}

// RemoveUndecided removes what nobody decided of the rows until-1 and before of a
// set that SeedBeside made.
func RemoveUndecided(ctx context.Context, pool *pgxpool.Pool, s Set, until int64) error {
	_, err := pool.Exec(ctx, `WITH gone AS (
			DELETE FROM verification WHERE id BETWEEN $1 AND $2 AND version = 2 RETURNING id)
		DELETE FROM provider_ref WHERE verification_id IN (SELECT id FROM gone)`, s.ID(0), s.ID(until-1))
	if err != nil {
		return fmt.Errorf("removing generated verifications: %w", err)
	}
	return nil
}

func seedAll(ctx context.Context, pool *pgxpool.Pool, s Set, from, until int64, history bool) error {
	var group sync.WaitGroup
	errs := make([]error, seedSessions)
	step := (until - from + seedSessions - 1) / seedSessions
	for i := range errs {
		first := from + int64(i)*step
		group.Go(func() { errs[i] = seedRange(ctx, pool, s, first, min(first+step, until), history) })
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("making verifications in the database: %w", err)
	}
	return nil
}

func seedRange(ctx context.Context, pool *pgxpool.Pool, s Set, from, until int64, history bool) error {
	if from >= until {
		return nil
	}
	source := fmt.Sprintf("generate_series(%d::bigint, %d::bigint) AS n", from, until-1)
	at := "'" + s.Time.UTC().Format("2006-01-02 15:04:05.000Z") + "'::timestamptz"
	id := s.IDSQL("n")
	scope := "'" + s.Project + "', '" + Environment + "'"
	statements := []string{
		`INSERT INTO verification (id, project, environment, flow, connection, product, subject, reference, metadata,
			state, version, hosted_url, redirect_url, nonce_hash, create_time, update_time, expire_time, grace_until, page_until)
		SELECT ` + id + `, ` + scope + `, '` + s.Flow + `', '` + s.Connection + `', '` + s.Product + `',
			` + s.NameSQL(SubjectPrefix, "n") + `, ` + s.NameSQL(ReferencePrefix, "n") + `, '{"channel": "app"}',
			'pending', 2, 'https://provider.invalid/hosted/' || ` + s.NameSQL(KindToken, "n") + `, 'https://app.invalid/verified',
			` + nonceSQL + `, ` + at + `, ` + at + `,
			` + at + ` + interval '30 days', ` + at + ` + interval '31 days', ` + at + ` + interval '30 days'
		FROM ` + source,
		`INSERT INTO provider_ref (connection, ref, verification_id, match, create_time)
		SELECT '` + s.Connection + `', 'token:' || encode(sha256(convert_to(` + s.NameSQL(KindToken, "n") + `, 'UTF8')), 'hex'),
			` + id + `, 'exact', ` + at + ` FROM ` + source,
		`INSERT INTO transition (verification_id, version, project, environment, from_state, to_state, event, source, create_time)
		SELECT ` + id + `, step.version, ` + scope + `, step.was, step.becomes, step.event, step.source, ` + at + `
		FROM ` + source + `, (VALUES (1, '', 'created', 'started', 'caller'), (2, 'created', 'pending', 'session_opened', 'gateway'))
			AS step (version, was, becomes, event, source)`,
	}
	if !history {
		statements = statements[:2]
	}
	for _, statement := range statements {
		if _, err := pool.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// skipEvents gives all new transitions their places in the event stream, and
// tells the gateways that they were read: no one would wait for a backlog of
// callbacks that never existed.
func skipEvents(ctx context.Context, pool *pgxpool.Pool) error {
	return inOne(ctx, pool, []string{
		`INSERT INTO event_position (verification_id, version, project, environment, position, create_time)
		SELECT t.verification_id, t.version, t.project, t.environment,
			h.position + row_number() OVER (ORDER BY t.verification_id, t.version), t.create_time
		FROM event_head h, transition t
		WHERE t.xid >= pg_snapshot_xmin(h.snapshot::pg_snapshot) AND NOT pg_visible_in_snapshot(t.xid, h.snapshot::pg_snapshot)`,
		`UPDATE event_head SET snapshot = pg_current_snapshot()::text,
			position = greatest(position, (SELECT coalesce(max(position), 0) FROM event_position)),
			queued = greatest(queued, (SELECT coalesce(max(position), 0) FROM event_position))`,
	})
}

// inOne runs statements in one transaction that sees one state of the database.
func inOne(ctx context.Context, pool *pgxpool.Pool, statements []string) error {
	script := "BEGIN ISOLATION LEVEL REPEATABLE READ;\n" + strings.Join(statements, ";\n") + ";\nCOMMIT"
	if _, err := pool.Exec(ctx, script); err != nil {
		return fmt.Errorf("giving generated transitions their places: %w", err)
	}
	return nil
}

// Checkpoint writes out what was generated, so that measurements find a server as
// one that has run for a while: with files of the log to use again, if as many were
// written (fillWAL). Before Postgres 15 it does nothing: only a superuser may.
func Checkpoint(ctx context.Context, pool *pgxpool.Pool) error {
	var may bool
	if err := pool.QueryRow(ctx, "SELECT current_setting('server_version_num')::int >= 150000").Scan(&may); err != nil || !may {
		return err
	}
	if _, err := pool.Exec(ctx, "CHECKPOINT"); err != nil {
		return fmt.Errorf("writing out what was generated: %w", err)
	}
	return nil
}

// Settle refreshes the statistics and the visibility map of the growing tables,
// as autovacuum does on a machine that has run for a while.
func Settle(ctx context.Context, pool *pgxpool.Pool) error {
	for _, table := range []string{"verification", "verification_lookup", "provider_ref", "transition", "event_position", "delivery", "seen"} {
		if _, err := pool.Exec(ctx, "VACUUM (ANALYZE) "+table); err != nil {
			return fmt.Errorf("vacuuming %s: %w", table, err)
		}
	}
	return nil
}
