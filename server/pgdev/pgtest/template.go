package pgtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/verigate/verigate/db"
)

const (
	templatePrefix = "verigate_template_"
	hashLength     = 16
	// templateLock is the advisory lock under which test processes that share
	// one server build a template: any number that only this package uses.
	templateLock = 7_241_835_501
)

// buildTemplate returns the name of a database with the current schema, made
// when the server has none yet. The name holds a hash of the migrations, so
// processes of one server share it and an old one is never mistaken for it.
func buildTemplate(ctx context.Context, s *server) (name string, err error) {
	hash, err := db.Fingerprint()
	if err != nil {
		return "", fmt.Errorf("hashing the migrations: %w", err)
	}
	name = templatePrefix + hash[:hashLength]
	conn, err := s.admin.Conn(ctx)
	if err != nil {
		return "", fmt.Errorf("connecting to the test server: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", templateLock); err != nil {
		return "", fmt.Errorf("waiting for the template: %w", err)
	}
	defer func() {
		_, unlockErr := conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", templateLock)
		err = errors.Join(err, unlockErr)
	}()
	exists, err := databaseExists(ctx, conn, name)
	if err != nil || exists {
		return name, err
	}
	return name, s.migrateTemplate(ctx, name)
}

func databaseExists(ctx context.Context, conn *sql.Conn, name string) (bool, error) {
	var exists bool
	row := conn.QueryRowContext(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name)
	if err := row.Scan(&exists); err != nil {
		return false, fmt.Errorf("looking for the template: %w", err)
	}
	return exists, nil
}

// migrateTemplate builds under another name and renames at the end: whoever
// dies on the way leaves nothing that looks like a template. Closing it to
// connections keeps clones from failing because somebody looks into it.
func (s *server) migrateTemplate(ctx context.Context, name string) error {
	building := name + "_building"
	if err := s.drop(ctx, building); err != nil {
		return err
	}
	if err := s.create(ctx, building, "template0"); err != nil {
		return err
	}
	dsn, err := withDatabase(s.dsn, building)
	if err != nil {
		return err
	}
	if _, err := db.Migrate(ctx, dsn); err != nil {
		return fmt.Errorf("migrating the template: %w", err)
	}
	if err := s.exec(ctx, "closing the template", "ALTER DATABASE "+quote(building)+" WITH ALLOW_CONNECTIONS false"); err != nil {
		return err
	}
	return s.exec(ctx, "naming the template", "ALTER DATABASE "+quote(building)+" RENAME TO "+quote(name))
}
