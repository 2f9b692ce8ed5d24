package db

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

const (
	// QueueSchema is where River keeps its tables, apart from ours.
	QueueSchema = "river"
	// queueMigration is our migration that makes them, queueVersion River's own
	// version that it goes to. A later version of River that brings migrations
	// gets another migration of ours.
	queueMigration = 4
	queueName      = "00004_river.go"
	queueVersion   = 8
)

// queueMigrations makes and drops the job queue's tables. River's migrations are
// its own; ours only says when they are applied, so that one history and one
// command are enough.
func queueMigrations(dsn string) *goose.Migration {
	return goose.NewGoMigration(queueMigration,
		&goose.GoFunc{RunDB: func(ctx context.Context, conn *sql.DB) error {
			if _, err := conn.ExecContext(ctx, "CREATE SCHEMA IF NOT EXISTS "+QueueSchema); err != nil {
				return fmt.Errorf("making the schema of the job queue: %w", err)
			}
			return migrateQueue(ctx, dsn)
		}},
		&goose.GoFunc{RunDB: func(ctx context.Context, conn *sql.DB) error {
			_, err := conn.ExecContext(ctx, "DROP SCHEMA IF EXISTS "+QueueSchema+" CASCADE")
			return err
		}})
}

func migrateQueue(ctx context.Context, dsn string) error {
	pool, err := pgxpool.New(ctx, dsn)
	if err != nil {
		return ErrURL
	}
	defer pool.Close()
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Schema: QueueSchema})
	if err != nil {
		return fmt.Errorf("preparing the job queue's migrations: %w", err)
	}
	// A repeat after a death in between finds some applied.
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, &rivermigrate.MigrateOpts{TargetVersion: queueVersion}); err != nil {
		return fmt.Errorf("applying the job queue's migrations: %w", err)
	}
	return nil
}
