package db_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/verigate/verigate/db"
	"github.com/verigate/verigate/server/pgdev/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Wrap(m)) }

func TestMigrationsGoUpDownAndUpToTheSameSchema(t *testing.T) {
	t.Parallel()
	dsn := pgtest.NewEmpty(t)
	empty := schema(t, dsn)
	migrate(t, dsn)
	first := schema(t, dsn)
	if len(first) <= len(empty) {
		t.Fatalf("the migrations made nothing: %d objects before, %d after", len(empty), len(first))
	}
	if err := db.Reset(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	if left := schema(t, dsn); len(left) != len(empty) {
		t.Errorf("taking all migrations back leaves:\n%s", strings.Join(left, "\n"))
	}
	migrate(t, dsn)
	if again := schema(t, dsn); strings.Join(again, "\n") != strings.Join(first, "\n") {
		t.Errorf("the second way up made another schema:\n%s\ninstead of\n%s",
			strings.Join(again, "\n"), strings.Join(first, "\n"))
	}
}

func TestDownTakesBackOnlyTheNewest(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	if err := db.Down(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	if names := pending(t, dsn); len(names) != 1 {
		t.Errorf("pending after one step down: %q, want one name", names)
	}
}

func TestPendingNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	dsn := pgtest.NewEmpty(t)
	names := pending(t, dsn)
	if len(names) == 0 || names[0] != "00001_initial.sql" {
		t.Fatalf("pending on an empty database: %q, want 00001_initial.sql first", names)
	}
	if left := schema(t, dsn); len(left) != 0 {
		t.Errorf("asking what is pending wrote to the database: %q", left)
	}
	if applied := migrate(t, dsn); applied != len(names) {
		t.Errorf("applied %d migrations, want %d", applied, len(names))
	}
	if names := pending(t, dsn); len(names) != 0 {
		t.Errorf("pending after migrating: %q, want none", names)
	}
}

func TestANewerDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	conn := connect(t, dsn)
	if _, err := conn.Exec(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Pending(t.Context(), dsn); !errors.Is(err, db.ErrNewer) || !strings.Contains(err.Error(), "99999") {
		t.Errorf("Pending says %v, want ErrNewer with the version", err)
	}
	if _, err := db.Migrate(t.Context(), dsn); !errors.Is(err, db.ErrNewer) {
		t.Errorf("Migrate says %v, want ErrNewer", err)
	}
}

func TestProcessesThatMigrateAtOnceTakeTurns(t *testing.T) {
	t.Parallel()
	dsn := pgtest.NewEmpty(t)
	want := len(pending(t, dsn))
	const processes = 4
	applied := make([]int, processes)
	errs := make([]error, processes)
	var all sync.WaitGroup
	for i := range processes {
		all.Go(func() { applied[i], errs[i] = db.Migrate(t.Context(), dsn) })
	}
	all.Wait()
	total := 0
	for _, n := range applied {
		total += n
	}
	if err := errors.Join(errs...); err != nil || total != want {
		t.Errorf("%d processes applied %d migrations in all (%v), want %d", processes, total, err, want)
	}
}

func TestErrorsKeepThePasswordToThemselves(t *testing.T) {
	t.Parallel()
	for name, dsn := range map[string]string{
		"a URL that cannot be read":     "postgres://user:hunter2@host:notaport/database",
		"a text that is not a URL":      "password=hunter2 port=none",
		"a server that is not there":    "postgres://user:hunter2@127.0.0.1:1/database?sslmode=disable",
		"a host that cannot be reached": "postgres://user:hunter2@/database?host=/nonexistent",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := db.Pending(t.Context(), dsn)
			if err == nil {
				t.Fatal("no error")
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error repeats the password: %v", err)
			}
		})
	}
}

func migrate(t *testing.T, dsn string) int {
	t.Helper()
	applied, err := db.Migrate(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	return applied
}

func pending(t *testing.T, dsn string) []string {
	t.Helper()
	names, err := db.Pending(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.PgConn().Conn().Close() })
	return conn
}

// everything describes all that migrations can make, one line an object. The
// migration library's own table is left out.
const everything = `
WITH relation AS (
    SELECT c.oid, c.relname, c.relkind, c.reloptions FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relname NOT LIKE 'goose_%'
)
SELECT 'relation ' || relname || ' ' || relkind::text || ' ' || coalesce(reloptions::text, '') FROM relation
UNION ALL
SELECT format('column %s.%s %s %s %s', r.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
              pg_get_expr(d.adbin, d.adrelid))
FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum WHERE r.relkind IN ('r', 'p', 'v', 'm')
UNION ALL
SELECT 'constraint ' || r.relname || '.' || n.conname || ' ' || pg_get_constraintdef(n.oid)
FROM relation r JOIN pg_constraint n ON n.conrelid = r.oid
UNION ALL
SELECT 'index ' || pg_get_indexdef(i.indexrelid) FROM relation r JOIN pg_index i ON i.indrelid = r.oid
UNION ALL
SELECT 'trigger ' || pg_get_triggerdef(g.oid) FROM relation r JOIN pg_trigger g ON g.tgrelid = r.oid
UNION ALL
SELECT 'function ' || pg_get_functiondef(p.oid) FROM pg_proc p
WHERE p.pronamespace = 'public'::regnamespace AND p.prokind IN ('f', 'p')
UNION ALL
SELECT 'type ' || t.typname FROM pg_type t
WHERE t.typnamespace = 'public'::regnamespace AND t.typtype IN ('d', 'e', 'r')
ORDER BY 1`

func schema(t *testing.T, dsn string) []string {
	t.Helper()
	rows, err := connect(t, dsn).Query(t.Context(), everything)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return lines
}
