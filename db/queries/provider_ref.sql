-- name: ProviderRefFind :many
SELECT * FROM provider_ref WHERE connection = @connection AND ref = ANY (@refs::text[]);

-- name: ProviderRefInsert :execrows
-- The first binding of a ref stays.
INSERT INTO provider_ref (connection, ref, verification_id, match, create_time)
VALUES (@connection, @ref, @verification_id, @match, @create_time)
ON CONFLICT (connection, ref) DO NOTHING;

-- name: ReturnHintInsert :exec
INSERT INTO return_hint (connection, ref, verification_id, create_time)
VALUES (@connection, @ref, @verification_id, @create_time)
ON CONFLICT DO NOTHING;

-- name: ReturnHintFind :many
SELECT DISTINCT verification_id FROM return_hint
WHERE connection = @connection AND ref = ANY (@refs::text[])
LIMIT 2;
