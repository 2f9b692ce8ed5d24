package pgtest_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/verigate/verigate/server/pgdev/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Wrap(m)) }

func TestNew(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"one test writes", "another test does not see it", "nor does a third"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			dsn := pgtest.New(t)
			t.Logf("cloned in %s", time.Since(start))
			conn, err := pgx.Connect(t.Context(), dsn)
			if err != nil {
				t.Fatal(err)
			}
			// Left open: dropping the database has to cope.
			t.Cleanup(func() { _ = conn.PgConn().Conn().Close() })
			var keys int
			if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM api_key").Scan(&keys); err != nil {
				t.Fatal(err)
			}
			if keys != 0 {
				t.Errorf("a fresh database has %d rows in api_key, want none", keys)
			}
			if _, err := conn.Exec(t.Context(), `INSERT INTO api_key (id, project, environment, name, secret_hash, create_time)
				VALUES ('k', 'p', 'test', 'n', sha256('s'), now())`); err != nil {
				t.Fatal(err)
			}
		})
	}
}
