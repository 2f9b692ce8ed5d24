package db_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/verigate/verigate/db"
	"github.com/verigate/verigate/server/pgdev/pgtest"
)

// The way of migration 00002 with rows in the tables. What the store makes of
// the rows is tested there.

// before fills a database of the first schema; after adds what only the second
// can hold.
const (
	before = `
INSERT INTO api_key (id, project, environment, name, secret_hash, create_time) VALUES ('plain', 'shop', 'test', 'n', sha256('s'), now());
INSERT INTO seen VALUES ('human', 'verification:1', gen_random_uuid(), now());
INSERT INTO delivery (id, project, environment, connection, receive_time, headers, body, dedupe_key, refs, effect, verification_id, apply_time) VALUES
	('00000000-0000-7000-8000-000000000001', 'shop', 'test', 'human', now(), '{"A": "é"}', 'one', 'verification:1', '{r}', 'applied', gen_random_uuid(), now()),
	('00000000-0000-7000-8000-000000000002', 'shop', 'test', 'human', now(), '{"A": "b"}', 'two', 'verification:1', '{r}', 'duplicate', NULL, NULL),
	('00000000-0000-7000-8000-000000000003', 'shop', 'test', 'human', now(), '{"A": "b"}', 'three', 'verification:3', '{r}', 'duplicate', gen_random_uuid(), now())`
	after = `
INSERT INTO api_key (id, project, environment, name, secret_hash, create_time, scopes, expire_time) VALUES
	('operator', 'shop', 'test', 'n', sha256('s'), now(), '{operator}', NULL),
	('ends', 'shop', 'test', 'n', sha256('s'), now(), '{verifications:write,verifications:read,events:read}', now() + interval '1 day'),
	('mighty', 'shop', 'test', 'n', sha256('s'), now(), '{verifications:write,verifications:read,events:read,operator}', NULL);
INSERT INTO delivery (id, project, environment, connection, receive_time, headers, body, key_id, dedupe_key, effect) VALUES
	('00000000-0000-7000-8000-000000000004', 'shop', 'test', 'human', now(), '\x0001ff', '\x0001ff', 'k1', 'd', 'ping');
INSERT INTO audit_entry (id, project, environment, create_time, actor, action) VALUES (gen_random_uuid(), '', '', now(), 'signal', 'configuration.reload')`
)

func run(t *testing.T, dsn, statements string) {
	t.Helper()
	if _, err := connect(t, dsn).Exec(t.Context(), statements); err != nil {
		t.Fatal(err)
	}
}

// says returns the rows of a statement with one column of text, joined.
func says(t *testing.T, dsn, statement string) string {
	t.Helper()
	rows, err := connect(t, dsn).Query(t.Context(), statement)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

func TestTheAccessMigrationGoesUpAndDownWithRows(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	// 00007 to 00002, newest first.
	down := func() {
		t.Helper()
		for range 6 {
			if err := db.Down(t.Context(), dsn); err != nil {
				t.Fatal(err)
			}
		}
	}
	down()
	run(t, dsn, before)
	migrate(t, dsn)
	for statement, want := range map[string]string{
		`SELECT scopes::text FROM api_key`:         `{verifications:write,verifications:read,events:read}`,
		`SELECT DISTINCT key_id FROM delivery`:     ``,
		`SELECT dedupe_key FROM seen`:              hashOf(t, dsn, "verification:1"),
		`SELECT DISTINCT dedupe_key FROM delivery`: hashOf(t, dsn, "verification:1") + "\n" + hashOf(t, dsn, "verification:3"),
		// The repeat that no verification has is emptied, the other is not.
		`SELECT concat_ws(' ', convert_from(headers, 'UTF8'), convert_from(body, 'UTF8'), refs, purge_time IS NOT NULL) FROM delivery ORDER BY id`: "{\"A\": \"é\"} one {r} f\n{} t\n{\"A\": \"b\"} three {r} f",
	} {
		if got := says(t, dsn, statement); got != want && !sameLines(got, want) {
			t.Errorf("%s:\n%s\nwant\n%s", statement, got, want)
		}
	}
	run(t, dsn, after)
	down()
	for statement, want := range map[string]string{
		// Sealed and purged content is gone, plain content is back.
		`SELECT concat_ws(' ', headers, convert_from(body, 'UTF8')) FROM delivery ORDER BY id`: "{\"A\": \"é\"} one\n{} \n{\"A\": \"b\"} three\n{} ",
		// A key that could do less, or for a time, does not come out mightier.
		`SELECT id FROM api_key WHERE revoke_time IS NULL ORDER BY id`: "mighty\nplain",
		`SELECT coalesce(to_regclass('audit_entry')::text, 'gone')`:    "gone",
	} {
		if got := says(t, dsn, statement); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", statement, got, want)
		}
	}
	migrate(t, dsn)
	if got, want := says(t, dsn, `SELECT dedupe_key FROM seen`), hashOf(t, dsn, "verification:1"); got != want {
		t.Errorf("after the second way up a key is %q, want it hashed once: %q", got, want)
	}
}

func hashOf(t *testing.T, dsn, text string) string {
	t.Helper()
	return says(t, dsn, fmt.Sprintf(`SELECT encode(sha256('%s'), 'hex')`, text))
}

// sameLines compares without regard to order.
func sameLines(a, b string) bool {
	lines := map[string]int{}
	for _, line := range strings.Split(a, "\n") {
		lines[line]++
	}
	for _, line := range strings.Split(b, "\n") {
		lines[line]--
	}
	for _, n := range lines {
		if n != 0 {
			return false
		}
	}
	return true
}

func TestTheDatabaseRefusesAHalfEmptiedDelivery(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	run(t, dsn, `INSERT INTO delivery (id, project, environment, connection, receive_time, headers, body, key_id, dedupe_key, keys, refs, named_id, effect)
		VALUES (gen_random_uuid(), 'shop', 'test', 'human', now(), '', '', 'k1', 'd', '{a}', '{b}', 'c', 'stale')`)
	conn := connect(t, dsn)
	const empty = "headers = NULL, body = NULL, key_id = '', purge_time = now()"
	for _, change := range []string{
		"body = NULL", "headers = NULL", "body = NULL, headers = NULL", "purge_time = now()",
		"body = NULL, purge_time = now()", "headers = NULL, purge_time = now()", "headers = NULL, body = NULL, purge_time = now()",
		empty + ", refs = '{}', named_id = ''", empty + ", keys = '{}', named_id = ''", empty + ", keys = '{}', refs = '{}'",
	} {
		if _, err := conn.Exec(t.Context(), "UPDATE delivery SET "+change); err == nil || !strings.Contains(err.Error(), "purged_exactly_when_empty") {
			t.Errorf("%s: %v, want a refusal", change, err)
		}
	}
	for what, change := range map[string]string{
		"emptying it whole":                    empty + ", keys = '{}', refs = '{}', named_id = ''",
		"emptying one that waits but its refs": empty + ", keys = '{}', refs = '{b}', named_id = '', effect = 'unmatched'",
	} {
		if _, err := conn.Exec(t.Context(), "UPDATE delivery SET "+change); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}
