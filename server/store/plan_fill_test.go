package store_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
)

// fill makes 20,000 old verifications over five months, with their transitions,
// deliveries and refs, of which 2,000 are open. Each month's lie in a partition of
// their own. Partitions are counted one by one, as autovacuum does it: nobody
// counts the whole.
const fill = `
ALTER TABLE delivery DETACH PARTITION delivery_first;
ALTER TABLE transition DETACH PARTITION transition_first;
DROP TABLE delivery_first, transition_first;
DO $$
DECLARE part text;
BEGIN
	FOR part IN SELECT name FROM partitions_of('delivery') UNION SELECT name FROM partitions_of('transition') LOOP
		EXECUTE 'DROP TABLE ' || part;
	END LOOP;
END $$;
SELECT make_partitions('2026-02-20Z', '2026-07-20Z');
INSERT INTO verification (id, project, environment, flow, connection, product, subject, reference, state, version,
	nonce_hash, create_time, update_time, expire_time, grace_until, page_until, return_time, bind_time, final_time)
SELECT (left(earliest_id(at)::text, 14) || '7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, 'shop', 'test', 'identity', 'human', 'identity',
	's' || i % 500, 'r' || i, CASE WHEN i % 10 = 0 THEN 'pending' ELSE 'approved' END, 2,
	sha256(i::text::bytea), at, at, at + interval '1 hour', at + interval '70 minutes', at + interval '1 hour',
	CASE WHEN i % 10 > 0 THEN at + interval '5 minutes' END,
	CASE WHEN i % 10 > 0 THEN at + interval '5 minutes' END,
	CASE WHEN i % 10 > 0 THEN at + interval '5 minutes' END
FROM generate_series(1, 20000) i, LATERAL (SELECT timestamptz '2026-03-01Z' + i * interval '10 minutes' AS at) t;
INSERT INTO transition (verification_id, version, project, environment, from_state, to_state, event, source, create_time, xid)
SELECT id, 1, project, environment, '', 'created', 'started', 'caller', create_time,
	(100 + row_number() OVER (ORDER BY id))::text::xid8 FROM verification;
INSERT INTO event_position (verification_id, version, project, environment, position, create_time)
SELECT verification_id, version, project, environment, row_number() OVER (ORDER BY verification_id), create_time FROM transition;
INSERT INTO callback (id, project, environment, verification_id, version, channel, url, state, attempts, create_time, first_time, next_time, finish_time)
SELECT id, project, environment, id, 1, 'events', 'https://shop.example.com/' || reference, at.state, 1, create_time, create_time,
	CASE WHEN at.state = 'pending' THEN create_time END, CASE WHEN at.state IN ('delivered', 'dead') THEN create_time END
FROM verification, LATERAL (SELECT CASE WHEN reference LIKE '%00' THEN 'pending' WHEN reference LIKE '%11' THEN 'dead'
	ELSE 'delivered' END AS state) at;
INSERT INTO callback_attempt SELECT id, 1, project, environment, create_time, 5, 200, '' FROM callback;
INSERT INTO provider_ref SELECT 'human', 'verification:' || id, id, 'exact', create_time FROM verification;
INSERT INTO return_hint SELECT 'human', 'verification:' || id, id, create_time FROM verification;
INSERT INTO seen SELECT 'human', 'key:' || id, id, create_time FROM verification;
INSERT INTO idempotency SELECT 'shop', 'test', 'k' || id, '\x00', id, create_time FROM verification;
INSERT INTO delivery (id, project, environment, connection, receive_time, headers, body, key_id, dedupe_key, product, refs, effect, verification_id)
SELECT id, 'shop', 'test', 'human', create_time, '{}', '', 'k' || (create_time > '2026-06-01')::int, 'key:' || id, 'identity', ARRAY['verification:' || id],
	CASE WHEN reference LIKE '%00' THEN 'unmatched' ELSE 'applied' END,
	CASE WHEN reference LIKE '%00' THEN NULL ELSE id END FROM verification;
INSERT INTO api_key (id, project, environment, name, secret_hash, create_time)
SELECT 'key' || i, 'shop' || i % 100, 'test', 'n', sha256('s'), now() FROM generate_series(1, 20000) i;
INSERT INTO audit_entry (id, project, environment, create_time, actor, action)
SELECT id, CASE WHEN reference LIKE '%0' THEN '' ELSE project END, CASE WHEN reference LIKE '%0' THEN '' ELSE environment END,
	create_time, 'key:1', 'api_key.create' FROM verification;
` + analyze

// analyze counts tables and partitions one by one.
const analyze = `DO $$
DECLARE part text;
BEGIN
	FOR part IN SELECT oid::regclass FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname NOT LIKE '%_default' LOOP
		EXECUTE 'ANALYZE ' || part;
	END LOOP;
END $$`

// filled fills a database and returns the id of one of its verifications, of
// 2026-05-25, which is that of its delivery and its callback as well.
func filled(t *testing.T, conn *pgx.Conn) string {
	t.Helper()
	if _, err := conn.Exec(t.Context(), fill); err != nil {
		t.Fatal(err)
	}
	var id string
	if err := conn.QueryRow(t.Context(), `SELECT id::text FROM verification WHERE reference = 'r12345'`).Scan(&id); err != nil {
		t.Fatal(err)
	}
	return id
}
