package store_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/verigate/verigate/server/verification"
)

// database looks into the tables, past the store.
type database struct {
	t    *testing.T
	conn *pgx.Conn
}

func look(t *testing.T, dsn string) database {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return database{t, conn}
}

func (d database) exec(statement string, args ...any) {
	d.t.Helper()
	if _, err := d.conn.Exec(d.t.Context(), statement, args...); err != nil {
		d.t.Fatal(err)
	}
}

func (d database) text(query string, args ...any) string {
	d.t.Helper()
	var text string
	if err := d.conn.QueryRow(d.t.Context(), query, args...).Scan(&text); err != nil {
		d.t.Fatal(err)
	}
	return text
}

// events returns the names of the events in their order.
func (d database) events() []string {
	d.t.Helper()
	rows, err := d.conn.Query(d.t.Context(), "SELECT verification_id, version FROM event_position ORDER BY position")
	if err != nil {
		d.t.Fatal(err)
	}
	events, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		var id uuid.UUID
		var version int64
		err := row.Scan(&id, &version)
		return verification.EventID(id, version), err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return events
}
