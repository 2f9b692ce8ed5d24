package rig

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/verigate/verigate/db"
)

// OpenTarget connects to the database of a gateway that runs, and to an empty one
// for the references on the same server, which is migrated; referenceDSN may be
// empty. Close leaves the second one as empty as it was.
func OpenTarget(ctx context.Context, dsn, referenceDSN string) (_ *Postgres, err error) {
	pending, err := db.Pending(ctx, dsn)
	if err != nil {
		return nil, err
	}
	if len(pending) > 0 {
		return nil, fmt.Errorf("database_url: the database lacks migrations (%s); run `verigate migrate` first", strings.Join(pending, ", "))
	}
	p := &Postgres{DSN: dsn}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close(ctx))
		}
	}()
	if p.Pool, err = pgxpool.New(ctx, dsn); err != nil {
		return nil, fmt.Errorf("connecting to the gateway's database: %w", err)
	}
	if err := p.readVersion(ctx); err != nil {
		return nil, err
	}
	if referenceDSN == "" {
		return p, nil
	}
	if err := p.openReference(ctx, referenceDSN); err != nil {
		return nil, fmt.Errorf("--reference-database-url: %w", err)
	}
	return p, nil
}

// openReference refuses everything but an empty database on the same server.
func (p *Postgres) openReference(ctx context.Context, dsn string) error {
	pool, err := pgxpool.New(ctx, dsn)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	if err := p.checkReference(ctx, pool); err != nil {
		pool.Close()
		return err
	}
	p.ReferencePool, p.ReferenceDSN = pool, dsn
	if _, err := db.Migrate(ctx, dsn); err != nil {
		return fmt.Errorf("migrating: %w", err)
	}
	return nil
}

// The moment in which a server started tells it from others; the table in which
// the migrations are counted stays when they were taken back.
const (
	serverQuery = "SELECT pg_postmaster_start_time(), current_database()"
	tablesQuery = `SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'
			AND c.relname <> 'goose_db_version'`
)

func (p *Postgres) checkReference(ctx context.Context, pool *pgxpool.Pool) error {
	var started, theirs time.Time
	var name, theirName string
	if err := p.Pool.QueryRow(ctx, serverQuery).Scan(&started, &name); err != nil {
		return fmt.Errorf("asking the gateway's server when it started: %w", err)
	}
	if err := pool.QueryRow(ctx, serverQuery).Scan(&theirs, &theirName); err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	if !started.Equal(theirs) {
		return errors.New("must be a database on the same Postgres server as the gateway's; on another one it is no reference")
	}
	if name == theirName {
		return errors.New("must not be the gateway's own database; make an empty one beside it with createdb")
	}
	var tables int64
	if err := pool.QueryRow(ctx, tablesQuery).Scan(&tables); err != nil {
		return fmt.Errorf("counting tables: %w", err)
	}
	if tables > 0 {
		return fmt.Errorf("the database %s is not empty: it has %d tables; make an empty one with createdb", theirName, tables)
	}
	return nil
}

// emptyReference takes everything out of a target's reference that was put into
// it.
func (p *Postgres) emptyReference(ctx context.Context) error {
	// Emptied first: taking migrations back moves rows.
	tables, err := p.ReferencePool.Query(ctx, `SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p') AND n.nspname = current_schema()
			AND c.relname IN ('delivery', 'seen', 'provider_ref', 'transition', 'event_position', 'verification', 'verification_lookup')`)
	if err != nil {
		return fmt.Errorf("emptying the references' database: %w", err)
	}
	names, err := pgx.CollectRows(tables, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("emptying the references' database: %w", err)
	}
	if len(names) > 0 {
		if _, err := p.ReferencePool.Exec(ctx, "TRUNCATE "+strings.Join(names, ", ")); err != nil {
			return fmt.Errorf("emptying the references' database: %w", err)
		}
	}
	if _, err := p.ReferencePool.Exec(ctx, "DROP TABLE IF EXISTS "+BareTable); err != nil {
		return fmt.Errorf("emptying the references' database: %w", err)
	}
	return db.Reset(ctx, p.ReferenceDSN)
}

// BareTable is what the bare insert writes to, in the references' database.
const BareTable = "bench_bare"

// WithoutPassword returns a Postgres URL without its password, which would show
// in the process list, and the password.
func WithoutPassword(dsn string) (plain, password string, err error) {
	u, err := url.Parse(dsn)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return "", "", errors.New("pgbench needs a Postgres URL, such as postgres://user@host/name")
	}
	query := u.Query()
	password = query.Get("password")
	query.Del("password")
	u.RawQuery = query.Encode()
	if inUser, has := u.User.Password(); has {
		password = inUser
		u.User = url.User(u.User.Username())
	}
	return u.String(), password, nil
}
