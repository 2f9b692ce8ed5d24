package rig

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"
)

// Bulk is a way to make very many verifications: it empties the tables, fills each
// anew in one transaction, and indexes them afterwards. With wal_level = minimal
// that writes every row once and no log, and FREEZE spares the vacuum.
//
// Each verification has one row in the tables verification, verification_lookup and
// provider_ref each, and where it is decided one in seen, transition and
// event_position. What
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
	if b.Rows < 1 {
		return fmt.Errorf("%d verifications cannot be made", b.Rows)
	}
	_, err := pool.Exec(ctx, "TRUNCATE delivery, seen, provider_ref, transition, event_position, callback, callback_attempt, idempotency, return_hint, verification_lookup, verification")
	if err != nil {
		return fmt.Errorf("emptying the tables: %w", err)
	}
	var position int64
	if err := pool.QueryRow(ctx, "SELECT position FROM event_head").Scan(&position); err != nil {
		return fmt.Errorf("asking for the last event: %w", err)
	}
	// The widest tables first, so that both sessions end at about the same time, and
	// last those where a delivery meets a page that nobody met lately: as many of
	// those as there is memory for are in memory then, as where a gateway has run for long.
	group, grouped := errgroup.WithContext(ctx)
	group.SetLimit(seedSessions)
	for _, f := range append([]fill{b.verification(), b.lookup()}, b.others(position)...) {
		group.Go(func() error { return b.load(grouped, pool, f) })
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("making %d verifications in the database: %w", b.Rows, err)
	}
	// Frozen rows are passed over; but autovacuum would come to see whether they are.
	if _, err := pool.Exec(ctx, "VACUUM (ANALYZE, INDEX_CLEANUP off) verification, verification_lookup, provider_ref, seen, transition, event_position"); err != nil {
		return fmt.Errorf("counting what was made: %w", err)
	}
	_, err = pool.Exec(ctx, `UPDATE event_head SET snapshot = pg_current_snapshot()::text,
		position = greatest(position, (SELECT coalesce(max(position), 0) FROM event_position)),
		queued = greatest(queued, (SELECT coalesce(max(position), 0) FROM event_position))`)
	if err != nil {
		return fmt.Errorf("placing the generated transitions: %w", err)
	}
	return nil
}

// Meet leaves the two indexes in which a delivery meets any page, because hashes
// lead there, as a gateway leaves them that has run for a while since the last
// checkpoint: every page of what was seen was written to since, which the first time
// writes the whole of it to the log, and every page of the refs is in memory. A
// checkpoint undoes it.
func (b Bulk) Meet(ctx context.Context, pool *pgxpool.Pool) error {
	const apart = 64 // a page has some seventy entries
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if err := b.seen("met", apart).copy(ctx, tx, "seen", 0, b.Rows/apart, ""); err != nil {
			return err
		}
		// Else it would read the table.
		if _, err := tx.Exec(ctx, "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off"); err != nil {
			return err
		}
		var refs int64
		return tx.QueryRow(ctx, "SELECT count(*) FROM provider_ref WHERE connection = $1 AND ref > ''", b.Set.Connection).Scan(&refs)
	})
	if err != nil {
		return fmt.Errorf("meeting what was generated: %w", err)
	}
	return nil
}

// load fills one table and builds its indexes at once, while its rows are in memory.
func (b Bulk) load(ctx context.Context, pool *pgxpool.Pool, f fill) error {
	indexes, err := f.run(ctx, pool, b)
	if err != nil {
		return err
	}
	for _, index := range indexes {
		if _, err := pool.Exec(ctx, index.make); err != nil {
			return fmt.Errorf("building an index of %s: %w", f.table, err)
		}
	}
	return nil
}

// fill is one table and what goes into it.
type fill struct {
	table   string
	columns []string
	// row adds the columns of the n-th row.
	row func(c *copied, n int64)
}

// run fills the table in one transaction, without its indexes: to build them
// afterwards costs a fraction of keeping them. Those that are constraints it builds
// as well, because that closes the table. It returns the others. All rows are of one
// kind: an index that the first of them does not get into is empty, and stays. What
// triggers would write is filled by itself.
func (f fill) run(ctx context.Context, pool *pgxpool.Pool, b Bulk) (rest []index, err error) {
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "TRUNCATE "+f.table+"; ALTER TABLE "+f.table+" DISABLE TRIGGER USER"); err != nil {
			return fmt.Errorf("emptying %s: %w", f.table, err)
		}
		into, err := partOf(ctx, tx, f.table, b.Set.ID(0))
		if err != nil {
			return err
		}
		if err := f.copy(ctx, tx, into, 0, 1, ", FREEZE"); err != nil {
			return err
		}
		indexes, err := indexesOf(ctx, tx, f.table)
		if err != nil {
			return err
		}
		if err := takeOff(ctx, tx, indexes); err != nil {
			return fmt.Errorf("taking an index off %s: %w", f.table, err)
		}
		if err := f.copy(ctx, tx, into, 1, b.Rows, ", FREEZE"); err != nil {
			return err
		}
		for _, index := range indexes {
			if !index.constraint {
				rest = append(rest, index)
			} else if _, err := tx.Exec(ctx, index.make); err != nil {
				return fmt.Errorf("building an index of %s: %w", f.table, err)
			}
		}
		if _, err := tx.Exec(ctx, "ALTER TABLE "+f.table+" ENABLE TRIGGER USER"); err != nil {
			return fmt.Errorf("giving %s its triggers back: %w", f.table, err)
		}
		return nil
	})
	return rest, err
}

// partOf returns the partition that rows of one time go to, or the table itself:
// FREEZE is for tables, not for partitioned ones.
func partOf(ctx context.Context, tx pgx.Tx, table string, id uuid.UUID) (part string, err error) {
	err = tx.QueryRow(ctx, "SELECT coalesce((SELECT name FROM partitions_of($1) WHERE first_id <= $2 AND $2 < end_id), $1)", table, id).Scan(&part)
	if err != nil {
		return "", fmt.Errorf("looking for the partitions of %s: %w", table, err)
	}
	return part, nil
}

func takeOff(ctx context.Context, tx pgx.Tx, indexes []index) error {
	for _, index := range indexes {
		if _, err := tx.Exec(ctx, index.drop); err != nil {
			return err
		}
	}
	return nil
}

// copy writes the rows from..until-1. options are more of those of COPY.
func (f fill) copy(ctx context.Context, tx pgx.Tx, into string, from, until int64, options string) error {
	rows := copyRows(int16(len(f.columns)), from, until, f.row)
	statement := fmt.Sprintf("COPY %s (%s) FROM STDIN (FORMAT binary%s)", into, strings.Join(f.columns, ", "), options)
	if _, err := tx.Conn().PgConn().CopyFrom(ctx, rows, statement); err != nil {
		return fmt.Errorf("filling %s: %w", f.table, err)
	}
	return nil
}

// index is how one is taken away and made again.
type index struct {
	drop, make string
	constraint bool
	// condition is that of a partial index.
	condition string
}

// indexesOf reads the definitions of a table's indexes from the catalog, so that
// they are made again as the migrations made them, without those whose condition no
// row meets. Those of a partitioned table
// are told of with ONLY, and are to be made on its partitions too.
func indexesOf(ctx context.Context, tx pgx.Tx, table string) ([]index, error) {
	rows, err := tx.Query(ctx, `
		SELECT CASE WHEN c.oid IS NULL THEN 'DROP INDEX ' || i.indexrelid::regclass
				ELSE 'ALTER TABLE ' || i.indrelid::regclass || ' DROP CONSTRAINT ' || quote_ident(c.conname) END,
			CASE WHEN c.oid IS NULL THEN replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ')
				ELSE 'ALTER TABLE ' || i.indrelid::regclass || ' ADD CONSTRAINT ' || quote_ident(c.conname) || ' ' || pg_get_constraintdef(c.oid) END,
			c.oid IS NOT NULL, coalesce(pg_get_expr(i.indpred, i.indrelid), '')
		FROM pg_index i LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.contype IN ('p', 'u')
		WHERE i.indrelid = $1::text::regclass
		ORDER BY i.indexrelid`, table)
	if err != nil {
		return nil, fmt.Errorf("reading the indexes of %s: %w", table, err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (index, error) {
		var i index
		return i, row.Scan(&i.drop, &i.make, &i.constraint, &i.condition)
	})
	if err != nil {
		return nil, err
	}
	var used []index
	for _, index := range all {
		met := index.condition == ""
		if !met {
			if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+table+" WHERE "+index.condition+")").Scan(&met); err != nil {
				return nil, fmt.Errorf("looking who gets into an index of %s: %w", table, err)
			}
		}
		if met {
			used = append(used, index)
		}
	}
	return used, nil
}
