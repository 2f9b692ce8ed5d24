-- name: SeenInsert :execrows
INSERT INTO seen (connection, dedupe_key, delivery_id, create_time)
VALUES (@connection, @dedupe_key, @delivery_id, @create_time)
ON CONFLICT (connection, dedupe_key) DO NOTHING;

-- name: SeenDelivery :one
-- Which delivery brought a dedupe key first.
SELECT delivery_id FROM seen WHERE connection = @connection AND dedupe_key = @dedupe_key;

-- name: DeliveryInsert :exec
-- It may be there: a batch whose commit was not answered is tried one by one.
INSERT INTO delivery (
    id, project, environment, connection, receive_time, headers, body, key_id, purge_time, dedupe_key, provider_event,
    provider_status, event, product, keys, refs, named_id, reason_codes, provider_time, effect, verification_id, apply_time
) VALUES (
    @id, @project, @environment, @connection, @receive_time, @headers, @body, @key_id, @purge_time, @dedupe_key, @provider_event,
    @provider_status, @event, @product, @keys, @refs, @named_id, @reason_codes, @provider_time, @effect, @verification_id, @apply_time
)
ON CONFLICT (id) DO NOTHING;

-- name: DeliveryGet :one
SELECT * FROM delivery WHERE id = @id AND project = @project AND environment = @environment;

-- name: DeliveryGetBare :one
-- Without headers and body, as all that only tell of a delivery.
SELECT id, project, environment, connection, receive_time, dedupe_key, provider_event,
    provider_status, event, product, keys, refs, named_id, reason_codes, provider_time,
    effect, verification_id, apply_time, purge_time
FROM delivery
WHERE id = @id AND project = @project AND environment = @environment;

-- name: DeliveryLock :one
-- Without headers and body, which whoever needs them asks for.
SELECT id, project, environment, connection, receive_time, dedupe_key, provider_event,
    provider_status, event, product, keys, refs, named_id, reason_codes, provider_time,
    effect, verification_id, apply_time, purge_time
FROM delivery
WHERE id = @id AND project = @project AND environment = @environment
FOR UPDATE;

-- name: DeliveryReplace :execrows
-- What a second reading found in a locked delivery, and what it did.
UPDATE delivery SET dedupe_key = @dedupe_key, provider_event = @provider_event, provider_status = @provider_status,
    event = @event, product = @product, keys = @keys, refs = @refs, named_id = @named_id,
    reason_codes = @reason_codes, provider_time = @provider_time,
    effect = @effect, verification_id = @verification_id, apply_time = @apply_time
WHERE id = @id AND project = @project AND environment = @environment;

-- name: DeliveryEmpty :execrows
-- Removes the content of a locked delivery that was settled.
UPDATE delivery SET headers = NULL, body = NULL, key_id = '', keys = '{}', refs = '{}', named_id = '',
    purge_time = coalesce(purge_time, @purge_time)
WHERE id = @id AND project = @project AND environment = @environment AND effect <> 'unmatched';

-- name: DeliveryList :many
-- The bound of ids is always there, so that it is a range of the index in every
-- plan.
SELECT id, project, environment, connection, receive_time, dedupe_key, provider_event,
    provider_status, event, product, keys, refs, named_id, reason_codes, provider_time,
    effect, verification_id, apply_time, purge_time
FROM delivery
WHERE project = @project AND environment = @environment AND id < @id_before
  AND (cardinality(@effects::text[]) = 0 OR effect = ANY (@effects::text[]))
  AND (@connection::text = '' OR connection = @connection::text)
ORDER BY id DESC
LIMIT @row_limit;

-- name: DeliveryListOdd :many
-- Only effects that want an operator's eye: rare ones, each a range of an index
-- of its own. Each part stops at a page.
SELECT d.id, d.project, d.environment, d.connection, d.receive_time, d.dedupe_key, d.provider_event,
    d.provider_status, d.event, d.product, d.keys, d.refs, d.named_id, d.reason_codes, d.provider_time,
    d.effect, d.verification_id, d.apply_time, d.purge_time
FROM unnest(@effects::text[]) AS wanted
CROSS JOIN LATERAL (
    SELECT * FROM delivery o
    WHERE o.project = @project AND o.environment = @environment AND o.effect = wanted
      AND o.effect IN ('refused', 'unmatched', 'unreadable', 'unknown')
      AND o.id < @id_before
      AND (@connection::text = '' OR o.connection = @connection::text)
    ORDER BY o.id DESC
    LIMIT @row_limit
) d
ORDER BY d.id DESC
LIMIT @row_limit;

-- name: DeliveryListOfVerification :many
SELECT id, project, environment, connection, receive_time, dedupe_key, provider_event,
    provider_status, event, product, keys, refs, named_id, reason_codes, provider_time,
    effect, verification_id, apply_time, purge_time
FROM delivery
WHERE project = @project AND environment = @environment AND verification_id = @verification_id AND id < @id_before
  AND (cardinality(@effects::text[]) = 0 OR effect = ANY (@effects::text[]))
  AND (@connection::text = '' OR connection = @connection::text)
ORDER BY id DESC
LIMIT @row_limit;

-- name: DeliverySaidLast :many
-- What was said last about a verification and moved nothing.
SELECT id, project, environment, connection, receive_time, dedupe_key, provider_event,
    provider_status, event, product, keys, refs, named_id, reason_codes, provider_time,
    effect, verification_id, apply_time, purge_time
FROM delivery
WHERE project = @project AND environment = @environment AND verification_id = @verification_id AND effect <> 'applied'
ORDER BY receive_time DESC, id DESC
LIMIT @row_limit;

-- name: DeliveryLockIfParked :one
-- Without headers and body: what waits is applied by what was read in it. Once
-- it is purged, nothing tells any more whom it named: it can be applied no more.
SELECT id, project, environment, connection, receive_time, dedupe_key, provider_event,
    provider_status, event, product, keys, refs, named_id, reason_codes, provider_time
FROM delivery
WHERE id = @id AND project = @project AND environment = @environment AND effect = 'unmatched' AND purge_time IS NULL
FOR UPDATE SKIP LOCKED;

-- name: DeliverySettleIfParked :execrows
UPDATE delivery SET effect = @effect, verification_id = @verification_id, apply_time = @apply_time
WHERE id = @id AND project = @project AND environment = @environment AND effect = 'unmatched';

-- name: DeliverySettleEmptyIfParked :execrows
UPDATE delivery SET effect = @effect, verification_id = @verification_id, apply_time = @apply_time,
    headers = NULL, body = NULL, key_id = '', keys = '{}', refs = '{}', named_id = '',
    purge_time = coalesce(purge_time, @apply_time)
WHERE id = @id AND project = @project AND environment = @environment AND effect = 'unmatched';

-- name: DeliveryParkedFor :many
-- What may have been waiting for one verification: its refs, its id, or its
-- person's return.
SELECT d.id FROM delivery d
WHERE d.project = @project AND d.environment = @environment
  AND d.effect = 'unmatched' AND d.purge_time IS NULL AND d.connection = @connection
  AND d.product IN (@product, '') AND d.receive_time >= @create_time
  AND ((d.receive_time >= @window_from AND d.receive_time <= @window_until)
    OR d.named_id = @named_id
    OR EXISTS (SELECT 1 FROM provider_ref r
               WHERE r.verification_id = @verification_id AND r.connection = d.connection
                 AND (r.ref = ANY (d.keys) OR r.ref = ANY (d.refs)))
    OR EXISTS (SELECT 1 FROM return_hint h
               WHERE h.verification_id = @verification_id AND h.connection = d.connection
                 AND h.ref = ANY (d.refs)))
ORDER BY d.receive_time
LIMIT 100;

-- name: DeliveryParkedRecently :many
-- Parked deliveries near which somebody returned, or whose ref was claimed.
SELECT d.id, d.project, d.environment FROM delivery d
WHERE d.effect = 'unmatched' AND d.purge_time IS NULL AND d.receive_time >= @since
  AND (EXISTS (SELECT 1 FROM return_hint h
               WHERE h.connection = d.connection AND h.ref = ANY (d.refs))
    OR EXISTS (SELECT 1 FROM verification v
               WHERE v.project = d.project AND v.environment = d.environment
                 AND v.connection = d.connection AND v.product = d.product AND v.bind_time IS NULL
                 AND greatest(v.grace_until, v.page_until) > d.receive_time
                 AND v.return_time >= d.receive_time - interval '10 minutes'
                 AND v.return_time <= d.receive_time + interval '10 minutes'))
ORDER BY d.receive_time DESC
LIMIT @row_limit;

-- name: DeliveryParkedAndBound :many
-- Parked deliveries, however old while they have their content, whose ref was
-- bound since.
SELECT d.id, d.project, d.environment FROM provider_ref r
JOIN delivery d ON d.connection = r.connection AND d.effect = 'unmatched' AND d.purge_time IS NULL
    AND r.ref = ANY (d.keys || d.refs)
WHERE r.create_time >= @since
ORDER BY d.receive_time
LIMIT @row_limit;

-- name: DeliveryHasParkedTwin :one
-- One that names somebody, by key or id, is about that somebody and no twin; one
-- with the same ref tells of the same run. A purged one may have named nobody,
-- and so it counts.
SELECT EXISTS (
    SELECT 1 FROM delivery
    WHERE project = @project AND environment = @environment
      AND effect = 'unmatched' AND connection = @connection AND product = @product AND id <> @id
      AND keys = '{}' AND named_id = '' AND NOT (refs && @refs::text[])
      AND receive_time >= @window_from AND receive_time <= @window_until
) AS twin;

-- name: DeliveryFirstOfRun :one
-- When the first waiting delivery arrived that tells of the same run, purged or
-- not: the refs are asked for in both their forms. Few have one of the refs, so
-- they are found by that (OFFSET keeps the rest from being asked first): most of
-- the time there is none, and the order of arrival would be walked to its end.
SELECT run.receive_time FROM (
    SELECT d.project, d.environment, d.connection, d.product, d.receive_time FROM delivery d
    WHERE d.effect = 'unmatched' AND d.refs && @refs::text[] OFFSET 0
) run
WHERE run.project = @project::text AND run.environment = @environment::text
  AND run.connection = @connection::text AND run.product = @product::text AND run.receive_time < @at::timestamptz
ORDER BY run.receive_time
LIMIT 1;

-- name: DeliveryEraseApplied :execrows
-- What was settled on an erased verification.
UPDATE delivery SET headers = NULL, body = NULL, key_id = '', keys = '{}', refs = '{}', named_id = '',
    purge_time = @erase_time
WHERE project = @project AND environment = @environment AND verification_id = @verification_id AND purge_time IS NULL;

-- name: DeliveryEraseParked :execrows
-- What waits and names an erased verification, by its id or by a ref, and no
-- other one that is not erased: what contradicts itself may be another person's
-- evidence, and waits for an operator. The refs of erased verifications are
-- stored hashed, so a ref that is found is a living one's.
UPDATE delivery d SET effect = 'stale', verification_id = @verification_id, apply_time = @erase_time,
    headers = NULL, body = NULL, key_id = '', keys = '{}', refs = '{}', named_id = '', purge_time = @erase_time
WHERE d.project = @project AND d.environment = @environment
  AND d.effect = 'unmatched' AND d.purge_time IS NULL AND d.connection = @connection
  AND (lower(d.named_id) = @named_id::text OR d.keys && @refs::text[] OR d.refs && @refs::text[])
  AND NOT EXISTS (SELECT 1 FROM provider_ref r
                  WHERE r.connection = d.connection AND r.ref = ANY (d.keys || d.refs)
                    AND r.verification_id <> @verification_id)
  AND NOT EXISTS (SELECT 1 FROM verification v
                  WHERE v.project = d.project AND v.environment = d.environment
                    AND v.id = CASE WHEN d.named_id ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN d.named_id::uuid END
                    AND v.id <> @verification_id AND v.erase_time IS NULL);

-- name: DeliveryPurge :execrows
-- Content goes, and with it every id of a provider: repeats are recognised by
-- seen, bindings by provider_ref. What waits can be applied no more, but the next
-- delivery of its run still has to be judged as of its arrival, or it would be
-- taken for somebody who came later: its refs are hashed, as an erasure does.
-- The ids are an array, so that the plan never reads the whole table. The index
-- has the keys first: they are few, and each is asked for its oldest.
UPDATE delivery SET headers = NULL, body = NULL, key_id = '', keys = '{}', named_id = '', purge_time = now(),
    refs = CASE WHEN effect = 'unmatched' THEN ARRAY(
        SELECT 'erased:' || encode(sha256(int8send(octet_length(connection)) || convert_to(connection || ref, 'UTF8')), 'hex')
        FROM unnest(refs) AS ref) ELSE '{}' END
WHERE id = ANY (ARRAY(
    SELECT oldest.id FROM (SELECT sealing_keys()::text AS key_id) used
    CROSS JOIN LATERAL (
        SELECT d.id, d.receive_time FROM delivery d
        WHERE d.purge_time IS NULL AND d.key_id = used.key_id AND d.receive_time < @before
        ORDER BY d.receive_time
        LIMIT @row_limit
        FOR UPDATE SKIP LOCKED
    ) oldest
    ORDER BY oldest.receive_time
    LIMIT @row_limit));

-- name: DeliveryWalk :many
-- All deliveries in the order of their ids, and what each is sealed under: a
-- statement's price is its limit, however few there are to seal anew.
SELECT id, project, environment, key_id, (purge_time IS NULL)::bool AS kept FROM delivery
WHERE id > @after
ORDER BY id
LIMIT @row_limit;

-- name: DeliveryResealIfUnder :execrows
-- The guard is in the WHERE clause: whoever purged, erased or resealed it
-- meanwhile wins.
UPDATE delivery SET headers = @headers, body = @body, key_id = @key_id
WHERE id = @id AND project = @project AND environment = @environment
  AND key_id = @old_key_id AND purge_time IS NULL;

-- name: DeliveryKeysInUse :many
-- Under which keys anything is sealed.
SELECT sealing_keys()::text AS key_id;

-- name: DeliveryCountByKey :many
SELECT key_id, count(*) AS deliveries FROM delivery WHERE purge_time IS NULL GROUP BY key_id ORDER BY key_id;

-- name: TransactionAllowTime :exec
-- Lets the statements of this transaction take longer than a request's may.
SELECT set_config('statement_timeout', @milliseconds::text, true);
