// Package db holds the schema: the migrations, embedded in the binary, and the
// few functions that apply and inspect them. The files in migrations/ are
// readable without Go.
//
// It imports the migration library and the database driver, and nothing of
// this project.
//
//	dev      Migrate, then serve
//	migrate  Migrate
//	serve    Pending: anything pending, or a newer database, refuses the start
package db

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var files embed.FS

const (
	folder = "migrations"

	// How often, in seconds, and how many times a migration asks for the lock
	// that another process holds: ten minutes in all.
	lockPeriod   = 1
	lockAttempts = 600
)

// Errors that a caller tells apart with errors.Is.
var (
	// ErrURL says that the database URL cannot be read. The URL itself is not
	// repeated: it may hold a password.
	ErrURL = errors.New("the database URL is not valid; write it as postgres://user:password@host:5432/database")

	// ErrNewer says that the database has migrations which this binary does
	// not know: it belongs to a newer release.
	ErrNewer = errors.New("the database is newer than this binary; run the release that migrated it, or a later one")
)

// Migrate applies every pending migration and returns how many it applied,
// also when a later one fails. Processes that migrate one database at the same
// time take turns under a session lock, so dsn must lead to Postgres itself or
// to a pooler in session mode. Errors: ErrURL, ErrNewer, a connection that
// fails, a migration that fails (named).
func Migrate(ctx context.Context, dsn string) (applied int, err error) {
	err = withProvider(dsn, func(conn *sql.DB, provider *goose.Provider) error {
		if _, err := pending(ctx, conn, provider); err != nil {
			return err
		}
		results, err := provider.Up(ctx)
		applied = len(results)
		if partial, ok := errors.AsType[*goose.PartialError](err); ok {
			applied = len(partial.Applied)
		}
		if err != nil {
			return fmt.Errorf("applying migrations: %w", err)
		}
		return nil
	})
	return applied, err
}

// Pending returns the file names of the migrations that are not applied yet,
// oldest first. It writes nothing. Errors: ErrURL, ErrNewer, a connection that
// fails.
func Pending(ctx context.Context, dsn string) ([]string, error) {
	var names []string
	err := withProvider(dsn, func(conn *sql.DB, provider *goose.Provider) error {
		var err error
		names, err = pending(ctx, conn, provider)
		return err
	})
	return names, err
}

// Down takes the newest applied migration back, and its data with it.
func Down(ctx context.Context, dsn string) error {
	return withProvider(dsn, func(_ *sql.DB, provider *goose.Provider) error {
		if _, err := provider.Down(ctx); err != nil {
			return fmt.Errorf("taking the newest migration back: %w", err)
		}
		return nil
	})
}

// Reset takes every migration back, and all data with them.
func Reset(ctx context.Context, dsn string) error {
	return withProvider(dsn, func(_ *sql.DB, provider *goose.Provider) error {
		if _, err := provider.DownTo(ctx, 0); err != nil {
			return fmt.Errorf("taking all migrations back: %w", err)
		}
		return nil
	})
}

// Fingerprint returns a hash over the names and texts of all migrations, in
// hexadecimal: it changes exactly when the schema's history does.
func Fingerprint() (string, error) {
	names, err := fs.Glob(files, path.Join(folder, "*.sql"))
	if err != nil {
		return "", fmt.Errorf("listing the embedded migrations: %w", err)
	}
	slices.Sort(names)
	hash := sha256.New()
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			return "", fmt.Errorf("reading the embedded migration %s: %w", name, err)
		}
		_, _ = fmt.Fprintf(hash, "%s %d\n", name, len(text))
		_, _ = hash.Write(text)
	}
	_, _ = fmt.Fprintf(hash, "%s %d\n", queueName, queueVersion)
	return hex.EncodeToString(hash.Sum(nil)), nil
}

func withProvider(dsn string, do func(*sql.DB, *goose.Provider) error) (err error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		// The parser's own error quotes the URL.
		return ErrURL
	}
	conn := stdlib.OpenDB(*config)
	defer func() { err = errors.Join(err, conn.Close()) }()
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(lockPeriod, lockAttempts))
	if err != nil {
		return fmt.Errorf("preparing the migration lock: %w", err)
	}
	migrations, err := fs.Sub(files, folder)
	if err != nil {
		return fmt.Errorf("opening the embedded migrations: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, conn, migrations,
		goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true), goose.WithGoMigrations(queueMigrations(dsn)))
	if err != nil {
		return fmt.Errorf("reading the embedded migrations: %w", err)
	}
	return do(conn, provider)
}

// pending compares what is embedded with what the database recorded. The
// library's own status call would create its table, which a process that only
// serves may not be allowed to.
func pending(ctx context.Context, conn *sql.DB, provider *goose.Provider) ([]string, error) {
	applied, err := appliedVersions(ctx, conn)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, source := range provider.ListSources() {
		if !applied[source.Version] {
			names = append(names, fileName(source))
		}
		delete(applied, source.Version)
	}
	// Version 0 is the library's own row.
	delete(applied, 0)
	for version := range applied {
		return nil, fmt.Errorf("migration %d: %w", version, ErrNewer)
	}
	return names, nil
}

// fileName is what a migration is called to people.
func fileName(source *goose.Source) string {
	if source.Version == queueMigration {
		return queueName
	}
	return path.Base(source.Path)
}

func appliedVersions(ctx context.Context, conn *sql.DB) (map[int64]bool, error) {
	applied := make(map[int64]bool)
	var exists bool
	row := conn.QueryRowContext(ctx, "SELECT to_regclass($1) IS NOT NULL", goose.DefaultTablename)
	if err := row.Scan(&exists); err != nil {
		return nil, fmt.Errorf("asking the database for its migrations: %w", err)
	}
	if !exists {
		return applied, nil
	}
	store, err := database.NewStore(database.DialectPostgres, goose.DefaultTablename)
	if err != nil {
		return nil, fmt.Errorf("preparing to read the applied migrations: %w", err)
	}
	rows, err := store.ListMigrations(ctx, conn)
	if err != nil {
		return nil, fmt.Errorf("reading the applied migrations: %w", err)
	}
	for _, row := range rows {
		applied[row.Version] = row.IsApplied
	}
	return applied, nil
}
