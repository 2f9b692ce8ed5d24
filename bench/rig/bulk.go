package rig

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Bulk is a way to make very many verifications: it empties the tables, and
// fills them anew in one transaction each, which with wal_level = minimal writes
// every row once and no log.
//
// Each verification has one row in the table verification, and where it is
// decided one in provider_ref, seen, transition and event_position each. What
// was sent for it (delivery) is not made: those rows are dropped with their
// partitions after retention.deliveries, while the others stay.
type Bulk struct {
	Set  Set
	Rows int64
	// Decided makes approved verifications; otherwise they are pending in version
	// 2 and have a provider ref, as Seed makes them.
	Decided bool
}

// Load replaces whatever is in the gateways' tables. No gateway may run.
func (b Bulk) Load(ctx context.Context, pool *pgxpool.Pool) error {
	_, err := pool.Exec(ctx, "TRUNCATE delivery, seen, provider_ref, transition, event_position, callback, callback_attempt, idempotency, return_hint, verification")
	if err != nil {
		return fmt.Errorf("emptying the tables: %w", err)
	}
	// The heaviest first, so that both sessions end at about the same time.
	work := make(chan fill, len(b.others())+1)
	for _, f := range append([]fill{b.verification()}, b.others()...) {
		work <- f
	}
	close(work)
	errs := make([]error, seedSessions)
	var group sync.WaitGroup
	for i := range errs {
		group.Go(func() {
			for f := range work {
				errs[i] = errors.Join(errs[i], f.run(ctx, pool), f.settle(ctx, pool))
			}
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("making %d verifications in the database: %w", b.Rows, err)
	}
	_, err = pool.Exec(ctx, `UPDATE event_head SET snapshot = pg_current_snapshot()::text,
		position = greatest(position, (SELECT coalesce(max(position), 0) FROM event_position)),
		queued = greatest(queued, (SELECT coalesce(max(position), 0) FROM event_position))`)
	if err != nil {
		return fmt.Errorf("placing the generated transitions: %w", err)
	}
	return nil
}

// fill is one table and what goes into it.
type fill struct{ table, insert string }

func (b Bulk) source() string {
	return fmt.Sprintf("FROM generate_series(0::bigint, %d::bigint) AS n", b.Rows-1)
}

func (b Bulk) at() string {
	return "'" + b.Set.Time.UTC().Format("2006-01-02 15:04:05.000Z") + "'::timestamptz"
}

func (s Set) scope() string { return "'" + s.Project + "', '" + Environment + "'" }

// verification writes the newest row first, because the indexes of its pages are
// in that order: sorting what is sorted costs a fraction. Subjects and references
// are numbered the other way round for the same reason.
func (b Bulk) verification() fill {
	last := fmt.Sprintf("(%d::bigint - n)", b.Rows-1)
	state, version, match, final := "'pending'", "2", "''", "NULL"
	if b.Decided {
		state, version, match, final = "'approved'", "3", "'exact'", b.at()
	}
	return fill{
		table: "verification",
		insert: `INSERT INTO verification (id, project, environment, flow, connection, product, subject, reference, metadata,
			state, version, match, hosted_url, redirect_url, nonce_hash, create_time, update_time, expire_time, grace_until, page_until,
			bind_time, final_time)
		SELECT ` + b.Set.IDSQL("n") + `, ` + b.Set.scope() + `, '` + b.Set.Flow + `', '` + b.Set.Connection + `', '` + b.Set.Product + `',
			` + b.Set.NameSQL(SubjectPrefix, last) + `, ` + b.Set.NameSQL(ReferencePrefix, last) + `, '{"channel": "app"}',
			` + state + `, ` + version + `, ` + match + `, 'https://provider.invalid/hosted/' || ` + b.Set.NameSQL(KindToken, "n") + `, 'https://app.invalid/verified',
			` + nonceSQL + `, ` + b.at() + `, ` + b.at() + `,
			` + b.at() + ` + interval '30 days', ` + b.at() + ` + interval '31 days', ` + b.at() + ` + interval '30 days',
			` + final + `, ` + final + fmt.Sprintf(" FROM generate_series(%d::bigint, 0, -1) AS n", b.Rows-1),
	}
}

// others are the tables that grow beside verification.
func (b Bulk) others() []fill {
	ref := "'token:' || encode(sha256(convert_to(" + b.Set.NameSQL(KindToken, "n") + ", 'UTF8')), 'hex')"
	id := b.Set.IDSQL("n")
	fills := []fill{{
		table: "provider_ref",
		insert: `INSERT INTO provider_ref (connection, ref, verification_id, match, create_time)
			SELECT '` + b.Set.Connection + `', ` + ref + `, ` + id + `, 'exact', ` + b.at() + ` ` + b.source(),
	}}
	if !b.Decided {
		return fills
	}
	return append(fills, fill{
		table: "transition",
		insert: `INSERT INTO transition (verification_id, version, project, environment, from_state, to_state, event, source, rung, match, create_time)
			SELECT ` + id + `, 3, ` + b.Set.scope() + `, 'pending', 'approved', 'passed', 'provider', 'payload_key', 'exact', ` + b.at() + ` ` + b.source(),
	}, fill{
		table: "event_position",
		insert: `INSERT INTO event_position (verification_id, version, project, environment, position, create_time)
			SELECT ` + id + `, 3, ` + b.Set.scope() + `, h.position + n + 1, ` + b.at() + ` ` + b.source() + `, event_head h`,
	}, fill{
		table: "seen",
		insert: `INSERT INTO seen (connection, dedupe_key, delivery_id, create_time)
			SELECT '` + b.Set.Connection + `', encode(sha256(int8send(n)), 'hex'), ` + id + `, ` + b.at() + ` ` + b.source(),
	})
}

// run fills the table in one transaction. Indexes are built afterwards: that costs
// a fraction of keeping them.
func (f fill) run(ctx context.Context, pool *pgxpool.Pool) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "TRUNCATE "+f.table); err != nil {
			return fmt.Errorf("emptying %s: %w", f.table, err)
		}
		indexes, err := indexesOf(ctx, tx, f.table)
		if err != nil {
			return err
		}
		for _, index := range indexes {
			if _, err := tx.Exec(ctx, index.drop); err != nil {
				return fmt.Errorf("taking an index off %s: %w", f.table, err)
			}
		}
		if _, err := tx.Exec(ctx, f.insert); err != nil {
			return fmt.Errorf("filling %s: %w", f.table, err)
		}
		for _, index := range indexes {
			if _, err := tx.Exec(ctx, index.make); err != nil {
				return fmt.Errorf("building an index of %s: %w", f.table, err)
			}
		}
		return nil
	})
}

// index is how one is taken away and made again.
type index struct{ drop, make string }

// settle does what Settle does, for one table without dead rows.
func (f fill) settle(ctx context.Context, pool *pgxpool.Pool) error {
	if _, err := pool.Exec(ctx, "VACUUM (ANALYZE, INDEX_CLEANUP off) "+f.table); err != nil {
		return fmt.Errorf("vacuuming %s: %w", f.table, err)
	}
	return nil
}

// indexesOf reads the definitions of a table's indexes from the catalog, so that
// they are made again as the migrations made them. Those of a partitioned table
// are told of with ONLY, and are to be made on its partitions too.
func indexesOf(ctx context.Context, tx pgx.Tx, table string) ([]index, error) {
	rows, err := tx.Query(ctx, `
		SELECT CASE WHEN c.oid IS NULL THEN 'DROP INDEX ' || i.indexrelid::regclass
				ELSE 'ALTER TABLE ' || i.indrelid::regclass || ' DROP CONSTRAINT ' || quote_ident(c.conname) END,
			CASE WHEN c.oid IS NULL THEN replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ')
				ELSE 'ALTER TABLE ' || i.indrelid::regclass || ' ADD CONSTRAINT ' || quote_ident(c.conname) || ' ' || pg_get_constraintdef(c.oid) END
		FROM pg_index i LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.contype IN ('p', 'u')
		WHERE i.indrelid = $1::text::regclass
		ORDER BY i.indexrelid`, table)
	if err != nil {
		return nil, fmt.Errorf("reading the indexes of %s: %w", table, err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (index, error) {
		var i index
		return i, row.Scan(&i.drop, &i.make)
	})
}
