package server_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/verigate/verigate/server/pgdev/pgtest"
)

// TestANodeMakesPartitionsAsItStarts is about nodes that were away for longer
// than there were partitions for.
func TestANodeMakesPartitionsAsItStarts(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	const ahead = `SELECT name FROM (SELECT * FROM partitions_of('delivery') UNION ALL SELECT * FROM partitions_of('transition')) p
		WHERE name NOT LIKE '%_first'`
	names := rowsOf(t, dsn, ahead)
	for _, row := range names {
		if _, err := conn.Exec(t.Context(), "DROP TABLE "+fmt.Sprint(row[0])); err != nil {
			t.Fatal(err)
		}
	}
	if left := rowsOf(t, dsn, ahead); len(names) < 2 || len(left) != 0 {
		t.Fatalf("of %v there are left %v", names, left)
	}
	g := openOn(t, dsn, nil)
	eventually(t, "the partitions are there again", func() bool { return len(rowsOf(t, dsn, ahead)) >= len(names) })
	id := g.start(g.api(g.key)).GetVerification().GetId()
	if lies := rowsOf(t, dsn, "SELECT DISTINCT tableoid::regclass::text FROM transition"); len(lies) != 1 || lies[0][0] != "transition_first" {
		t.Errorf("the history of %s lies in %v", id, lies)
	}
}
