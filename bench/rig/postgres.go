package rig

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/verigate/verigate/db"
	"github.com/verigate/verigate/server/pgdev"
)

const (
	// referenceName is the database that references write to: the gateways have
	// nothing to do with it, so they do not work while a reference is measured.
	referenceName = "reference"
	// emptyName is a migrated database that nobody visits: others are copied from it.
	emptyName   = "empty"
	stopTimeout = 60 * time.Second
	// passableMode lets the account that runs Postgres for root pass through.
	passableMode = 0o711
)

// settings are those of a production machine of this size. They hold for the
// gateway and for the references, because it is the same Postgres.
func settings() []string {
	return append(memorySettings(),
		"maintenance_work_mem=512MB",
		"max_wal_size=16GB",
		"min_wal_size=2GB",
		"checkpoint_timeout=15min",
		"checkpoint_completion_target=0.9",
		"wal_level=minimal",
		"max_wal_senders=0",
		"wal_compression=off",
		"max_parallel_maintenance_workers=0",
		// A scan that joins another in the middle of a table sorts what was sorted.
		"synchronize_seqscans=off",
	)
}

// Postgres is the database server of one run: a private one, or a target's.
type Postgres struct {
	// server is nil for a target's.
	server *pgdev.Server
	folder string
	// DSN is the gateways' database, ReferenceDSN the references'; empty, with its
	// pool, for a target without one.
	DSN, ReferenceDSN string
	// Pool and ReferencePool are the benchmark's own connections to the two.
	Pool, ReferencePool *pgxpool.Pool
	// Version is what the server calls itself.
	Version string
}

// OpenPostgres starts a private Postgres and migrates both databases. Close
// ends it and removes all it wrote.
func OpenPostgres(ctx context.Context, log *slog.Logger) (_ *Postgres, err error) {
	folder, err := os.MkdirTemp("", "verigate-bench-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for the database: %w; set TMPDIR to one that can be written", err)
	}
	p := &Postgres{folder: folder}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close(ctx))
		}
	}()
	if err := os.Chmod(folder, passableMode); err != nil {
		return nil, fmt.Errorf("opening %s: %w", folder, err)
	}
	if err := p.start(ctx, log); err != nil {
		return nil, err
	}
	if err := p.prepare(ctx); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Postgres) start(ctx context.Context, log *slog.Logger) error {
	server, err := pgdev.Start(ctx, pgdev.Options{
		DataDir: p.folder, Durable: true, CreateDatabases: true, Settings: settings(), Log: log,
	})
	if err != nil {
		return fmt.Errorf("starting a private Postgres: %w", err)
	}
	p.server, p.DSN = server, server.DSN()
	return nil
}

// prepare migrates, and copies the empty database for the references.
func (p *Postgres) prepare(ctx context.Context) error {
	if _, err := db.Migrate(ctx, p.DSN); err != nil {
		return fmt.Errorf("migrating the private database: %w", err)
	}
	parsed, err := url.Parse(p.DSN)
	if err != nil {
		return errors.New("the private Postgres has an address that is no URL")
	}
	name := strings.TrimPrefix(parsed.Path, "/")
	for _, to := range []string{emptyName, referenceName} {
		if p.ReferenceDSN, err = p.copyDatabase(ctx, name, to); err != nil {
			return err
		}
	}
	if p.Pool, err = pgxpool.New(ctx, p.DSN); err != nil {
		return fmt.Errorf("connecting to the private database: %w", err)
	}
	if p.ReferencePool, err = pgxpool.New(ctx, p.ReferenceDSN); err != nil {
		return fmt.Errorf("connecting to the references' database: %w", err)
	}
	if err := p.fillWAL(ctx); err != nil {
		return err
	}
	return p.readVersion(ctx)
}

func (p *Postgres) readVersion(ctx context.Context) error {
	return p.Pool.QueryRow(ctx, "SELECT split_part(current_setting('server_version'), ' ', 1)").Scan(&p.Version)
}

// Another makes one more empty database on the same server, and returns it with a
// pool of its own. drop closes that and removes the database, with the room that it
// takes on the disk and in memory; it works after ctx is done.
func (p *Postgres) Another(ctx context.Context, name string) (_ *Postgres, drop func() error, err error) {
	dsn, err := p.copyDatabase(ctx, emptyName, name)
	if err != nil {
		return nil, nil, err
	}
	pool, err := pgxpool.New(ctx, dsn)
	if err != nil {
		return nil, nil, fmt.Errorf("connecting to the database %s: %w", name, err)
	}
	drop = func() error {
		pool.Close()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		if _, err := p.Pool.Exec(ctx, "DROP DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
			return fmt.Errorf("removing the database %s: %w", name, err)
		}
		return nil
	}
	return &Postgres{DSN: dsn, Pool: pool, Version: p.Version}, drop, nil
}

// WithoutAutovacuum keeps autovacuum away from the tables of a database: what one
// measurement leaves behind would be cleaned up during the next, of another one.
func (p *Postgres) WithoutAutovacuum(ctx context.Context) error {
	_, err := p.Pool.Exec(ctx, `DO $$ DECLARE part regclass; BEGIN
		FOR part IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace LOOP
			EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = off)', part);
		END LOOP; END $$`)
	if err != nil {
		return fmt.Errorf("keeping autovacuum away: %w", err)
	}
	return nil
}

// copyDatabase returns where the copy is. It connects elsewhere: what is copied must
// have no visitors.
func (p *Postgres) copyDatabase(ctx context.Context, from, to string) (dsn string, err error) {
	parsed, err := url.Parse(p.DSN)
	if err != nil {
		return "", errors.New("the private Postgres has an address that is no URL")
	}
	parsed.Path = "/postgres"
	conn, err := pgx.Connect(ctx, parsed.String())
	if err != nil {
		return "", fmt.Errorf("connecting to the private Postgres: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{to}.Sanitize()+" TEMPLATE "+pgx.Identifier{from}.Sanitize())
	if err != nil {
		return "", fmt.Errorf("copying the private database %s: %w", from, err)
	}
	parsed.Path = "/" + to
	return parsed.String(), nil
}

// Program returns the path of a program of Postgres: the one that came with this
// server, or else the one on PATH. The error names the package that has it.
func (p *Postgres) Program(name string) (string, error) {
	where := ""
	if p.server != nil {
		path := filepath.Join(p.server.BinDir(), name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
		where = "neither in " + p.server.BinDir() + " nor "
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf(
			"%s is %son PATH: %w; install the package that has it: apt-get install postgresql (Debian, Ubuntu), dnf install postgresql-contrib (Fedora), brew install postgresql (macOS)",
			name, where, err)
	}
	return path, nil
}

// Close ends a private database and removes its folder, and leaves a target's as
// it was but for what was decided in it. It works after ctx is done.
func (p *Postgres) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	var err error
	if p.server == nil && p.ReferencePool != nil {
		err = p.emptyReference(ctx)
	}
	for _, pool := range []*pgxpool.Pool{p.Pool, p.ReferencePool} {
		if pool != nil {
			pool.Close()
		}
	}
	if p.server != nil {
		err = p.server.Stop(ctx)
	}
	if p.folder != "" {
		err = errors.Join(err, os.RemoveAll(p.folder))
	}
	return err
}
