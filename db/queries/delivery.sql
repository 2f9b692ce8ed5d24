-- name: SeenInsert :execrows
INSERT INTO seen (connection, dedupe_key, delivery_id, create_time)
VALUES (@connection, @dedupe_key, @delivery_id, @create_time)
ON CONFLICT (connection, dedupe_key) DO NOTHING;

-- name: DeliveryInsert :exec
INSERT INTO delivery (
    id, project, environment, connection, receive_time, headers, body, dedupe_key, provider_event,
    event, product, keys, refs, named_id, reason_codes, provider_time, effect, verification_id, apply_time
) VALUES (
    @id, @project, @environment, @connection, @receive_time, @headers, @body, @dedupe_key, @provider_event,
    @event, @product, @keys, @refs, @named_id, @reason_codes, @provider_time, @effect, @verification_id, @apply_time
);

-- name: DeliveryLockIfParked :one
SELECT * FROM delivery WHERE id = @id AND effect = 'unmatched' FOR UPDATE SKIP LOCKED;

-- name: DeliverySettleIfParked :execrows
UPDATE delivery SET effect = @effect, verification_id = @verification_id, apply_time = @apply_time
WHERE id = @id AND effect = 'unmatched';

-- name: DeliveryParkedFor :many
-- What may have been waiting for one verification: its refs, its id, or its
-- person's return.
SELECT d.id FROM delivery d
WHERE d.effect = 'unmatched' AND d.connection = @connection
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
SELECT d.id FROM delivery d
WHERE d.effect = 'unmatched' AND d.receive_time >= @since
  AND (EXISTS (SELECT 1 FROM return_hint h
               WHERE h.connection = d.connection AND h.ref = ANY (d.refs))
    OR EXISTS (SELECT 1 FROM verification v
               WHERE v.connection = d.connection AND v.product = d.product AND v.bind_time IS NULL
                 AND greatest(v.grace_until, v.page_until) > d.receive_time
                 AND v.return_time >= d.receive_time - interval '10 minutes'
                 AND v.return_time <= d.receive_time + interval '10 minutes'))
ORDER BY d.receive_time DESC
LIMIT @row_limit;

-- name: DeliveryParkedAndBound :many
-- Parked deliveries, however old, whose ref was bound since.
SELECT d.id FROM provider_ref r
JOIN delivery d ON d.connection = r.connection AND d.effect = 'unmatched' AND r.ref = ANY (d.keys || d.refs)
WHERE r.create_time >= @since
ORDER BY d.receive_time
LIMIT @row_limit;

-- name: DeliveryHasParkedTwin :one
-- One that names somebody, by key or id, is about that somebody and no twin; one
-- with the same ref tells of the same run.
SELECT EXISTS (
    SELECT 1 FROM delivery
    WHERE effect = 'unmatched' AND connection = @connection AND product = @product AND id <> @id
      AND keys = '{}' AND named_id = '' AND NOT (refs && @refs::text[])
      AND receive_time >= @window_from AND receive_time <= @window_until
) AS twin;

-- name: DeliveryFirstOfRun :one
-- When the first waiting delivery arrived that tells of the same run.
SELECT receive_time FROM delivery
WHERE effect = 'unmatched' AND connection = @connection AND product = @product
  AND refs && @refs::text[] AND receive_time < @at
ORDER BY receive_time
LIMIT 1;

-- name: DeliveryGet :one
SELECT * FROM delivery WHERE id = @id AND project = @project AND environment = @environment;
