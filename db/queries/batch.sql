-- Deliveries that arrive together are applied in one transaction, by statements
-- over all of them. Lists go together, element by element; a text[] column comes
-- as its literal, since lists of lists must be rectangular, and a column that may
-- be null as a value that means it: the zero time, the zero id, the empty text.

-- name: BatchSeenInsert :many
-- The deliveries whose dedupe keys are new. Keys come sorted, so that nobody who
-- does the same waits in a ring.
INSERT INTO seen (connection, dedupe_key, delivery_id, create_time)
SELECT unnest(@connections::text[]), unnest(@dedupe_keys::text[]), unnest(@delivery_ids::uuid[]), unnest(@create_times::timestamptz[])
ON CONFLICT (connection, dedupe_key) DO NOTHING
RETURNING delivery_id;

-- name: BatchSeenForget :exec
-- The marks of deliveries that were not applied after all.
DELETE FROM seen s
USING (SELECT unnest(@connections::text[]) AS connection, unnest(@dedupe_keys::text[]) AS dedupe_key,
    unnest(@delivery_ids::uuid[]) AS delivery_id) f
WHERE s.connection = f.connection AND s.dedupe_key = f.dedupe_key AND s.delivery_id = f.delivery_id;

-- name: BatchRefFind :many
SELECT r.* FROM provider_ref r
JOIN (SELECT DISTINCT unnest(@connections::text[]) AS connection, unnest(@refs::text[]) AS ref) f
    ON f.connection = r.connection AND f.ref = r.ref;

-- name: BatchLock :many
-- Whom ids and refs name. Whoever is held by somebody else is left out: one slow
-- neighbour must not hold up all.
SELECT v.* FROM verification v
JOIN (
    SELECT unnest(@ids::uuid[]) AS id, unnest(@projects::text[]) AS project, unnest(@environments::text[]) AS environment
    UNION
    SELECT r.verification_id, f.project, f.environment
    FROM (SELECT unnest(@connections::text[]) AS connection, unnest(@refs::text[]) AS ref,
        unnest(@ref_projects::text[]) AS project, unnest(@ref_environments::text[]) AS environment) f
    JOIN provider_ref r ON r.connection = f.connection AND r.ref = f.ref
) n ON n.id = v.id AND n.project = v.project AND n.environment = v.environment
ORDER BY v.id
FOR UPDATE OF v SKIP LOCKED;

-- name: BatchRefInsert :exec
-- The first binding of a ref stays, also when it was erased since; then nothing
-- of the batch is written.
WITH bound AS (
INSERT INTO provider_ref (connection, ref, verification_id, match, create_time)
SELECT b.connection, b.ref, b.verification_id, b.match, b.create_time
FROM (SELECT unnest(@connections::text[]) AS connection, unnest(@refs::text[]) AS ref, unnest(@erased_refs::text[]) AS erased_ref,
    unnest(@verification_ids::uuid[]) AS verification_id, unnest(@matches::text[]) AS match,
    unnest(@create_times::timestamptz[]) AS create_time) b
WHERE NOT EXISTS (SELECT 1 FROM provider_ref r WHERE r.connection = b.connection AND r.ref = b.erased_ref)
ON CONFLICT (connection, ref) DO NOTHING
RETURNING 1
)
SELECT written_all((SELECT count(*) FROM bound), cardinality(@refs::text[]));

-- name: BatchUpdateIfVersion :exec
-- The guard is in the WHERE clause, as for a single one; if it holds one row back,
-- nothing of the batch is written.
WITH updated AS (
UPDATE verification v SET
    state = n.state, version = n.version, reason_codes = n.reason_codes, match = n.match,
    hosted_url = n.hosted_url, lane = n.lane,
    update_time = n.update_time, expire_time = n.expire_time, grace_until = n.grace_until, page_until = n.page_until,
    return_time = n.return_time, bind_time = n.bind_time, final_time = n.final_time,
    fetch_time = n.fetch_time, fetches = n.fetches
FROM (SELECT unnest(@ids::uuid[]) AS id, unnest(@projects::text[]) AS project, unnest(@environments::text[]) AS environment,
    unnest(@old_versions::bigint[]) AS old_version, unnest(@states::text[]) AS state, unnest(@versions::bigint[]) AS version,
    CAST(unnest(@reason_codes::text[]) AS text[]) AS reason_codes, unnest(@matches::text[]) AS match,
    unnest(@hosted_urls::text[]) AS hosted_url, nullif(unnest(@lanes::text[]), '') AS lane,
    unnest(@update_times::timestamptz[]) AS update_time, unnest(@expire_times::timestamptz[]) AS expire_time,
    unnest(@grace_untils::timestamptz[]) AS grace_until, unnest(@page_untils::timestamptz[]) AS page_until,
    nullif(unnest(@return_times::timestamptz[]), '0001-01-01T00:00:00Z') AS return_time,
    nullif(unnest(@bind_times::timestamptz[]), '0001-01-01T00:00:00Z') AS bind_time,
    nullif(unnest(@final_times::timestamptz[]), '0001-01-01T00:00:00Z') AS final_time,
    nullif(unnest(@fetch_times::timestamptz[]), '0001-01-01T00:00:00Z') AS fetch_time,
    unnest(@fetches::integer[]) AS fetches) n
WHERE v.id = n.id AND v.project = n.project AND v.environment = n.environment AND v.version = n.old_version
RETURNING 1
)
SELECT written_all((SELECT count(*) FROM updated), cardinality(@ids::uuid[]));

-- name: BatchTransitionInsert :exec
INSERT INTO transition (
    verification_id, version, project, environment, from_state, to_state, event, source,
    rung, match, reason_codes, reason, delivery_id, create_time
)
SELECT unnest(@verification_ids::uuid[]), unnest(@versions::bigint[]), unnest(@projects::text[]), unnest(@environments::text[]),
    unnest(@from_states::text[]), unnest(@to_states::text[]), unnest(@events::text[]), unnest(@sources::text[]),
    unnest(@rungs::text[]), unnest(@matches::text[]), CAST(unnest(@reason_codes::text[]) AS text[]), unnest(@reasons::text[]),
    nullif(unnest(@delivery_ids::uuid[]), '00000000-0000-0000-0000-000000000000'), unnest(@create_times::timestamptz[]);

-- name: BatchDeliveryInsert :exec
INSERT INTO delivery (
    id, project, environment, connection, receive_time, headers, body, key_id, purge_time, dedupe_key, provider_event,
    provider_status, event, product, keys, refs, named_id, reason_codes, provider_time, effect, verification_id, apply_time
)
SELECT unnest(@ids::uuid[]), unnest(@projects::text[]), unnest(@environments::text[]), unnest(@connections::text[]),
    unnest(@receive_times::timestamptz[]), unnest(@headers::bytea[]), unnest(@bodies::bytea[]), unnest(@key_ids::text[]),
    nullif(unnest(@purge_times::timestamptz[]), '0001-01-01T00:00:00Z'), unnest(@dedupe_keys::text[]), unnest(@provider_events::text[]),
    unnest(@provider_statuses::text[]), unnest(@events::text[]), unnest(@products::text[]),
    CAST(unnest(@keys::text[]) AS text[]), CAST(unnest(@refs::text[]) AS text[]), unnest(@named_ids::text[]),
    CAST(unnest(@reason_codes::text[]) AS text[]), nullif(unnest(@provider_times::timestamptz[]), '0001-01-01T00:00:00Z'),
    unnest(@effects::text[]), nullif(unnest(@verification_ids::uuid[]), '00000000-0000-0000-0000-000000000000'),
    unnest(@apply_times::timestamptz[]);
