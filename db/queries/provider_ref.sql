-- name: ProviderRefFind :many
SELECT * FROM provider_ref WHERE connection = @connection AND ref = ANY (@refs::text[]);

-- name: ProviderRefInsert :execrows
-- The first binding of a ref stays, also when it was erased since.
INSERT INTO provider_ref (connection, ref, verification_id, match, create_time)
SELECT @connection::text, @ref::text, @verification_id::uuid, @match::text, @create_time::timestamptz
WHERE NOT EXISTS (SELECT 1 FROM provider_ref r WHERE r.connection = @connection::text AND r.ref = @erased_ref::text)
ON CONFLICT (connection, ref) DO NOTHING;

-- name: ProviderRefListOfVerification :many
SELECT * FROM provider_ref WHERE verification_id = @verification_id ORDER BY connection, ref;

-- name: ProviderRefHasOther :one
-- Whether a verification has a ref of one of the kinds that is not one of the
-- keys.
SELECT EXISTS (
    SELECT 1 FROM provider_ref
    WHERE verification_id = @verification_id AND connection = @connection
      AND split_part(ref, ':', 1) = ANY (@kinds::text[]) AND NOT ref = ANY (@keys::text[])
) AS other;

-- name: ProviderRefErase :exec
-- Puts erased forms in the place of refs; the two lists go together. An erased
-- form that is there already stays.
WITH erased AS (
    DELETE FROM provider_ref d
    WHERE d.verification_id = @verification_id AND d.connection = @connection AND d.ref = ANY (@refs::text[])
    RETURNING d.*
)
INSERT INTO provider_ref (connection, ref, verification_id, match, create_time)
SELECT e.connection, f.erased_ref, e.verification_id, e.match, e.create_time
FROM erased e
JOIN (SELECT unnest(@refs::text[]) AS ref, unnest(@erased_refs::text[]) AS erased_ref) f ON f.ref = e.ref
ON CONFLICT (connection, ref) DO NOTHING;

-- name: ReturnHintInsert :exec
-- A claim on a ref that was erased is erased from the start, whoever makes it.
INSERT INTO return_hint (connection, ref, verification_id, create_time)
SELECT @connection::text,
    CASE WHEN EXISTS (SELECT 1 FROM provider_ref r WHERE r.connection = @connection::text AND r.ref = @erased_ref::text)
           OR EXISTS (SELECT 1 FROM return_hint h WHERE h.connection = @connection::text AND h.ref = @erased_ref::text)
         THEN @erased_ref::text ELSE @ref::text END,
    @verification_id::uuid, @create_time::timestamptz
ON CONFLICT DO NOTHING;

-- name: ReturnHintFind :many
SELECT DISTINCT verification_id FROM return_hint
WHERE connection = @connection AND ref = ANY (@refs::text[])
LIMIT 2;

-- name: ReturnHintListOfVerification :many
SELECT * FROM return_hint WHERE verification_id = @verification_id ORDER BY connection, ref;

-- name: ReturnHintErase :exec
-- All claims on the refs, whoever made them: one person's provider id must not
-- stay readable because another claimed it. A claim outlives its erasure:
-- without it, a false claim on the same ref would be the only one, and be
-- believed.
WITH erased AS (
    DELETE FROM return_hint d
    WHERE d.connection = @connection AND d.ref = ANY (@refs::text[])
    RETURNING d.*
)
INSERT INTO return_hint (connection, ref, verification_id, create_time)
SELECT e.connection, f.erased_ref, e.verification_id, e.create_time
FROM erased e
JOIN (SELECT unnest(@refs::text[]) AS ref, unnest(@erased_refs::text[]) AS erased_ref) f ON f.ref = e.ref
ON CONFLICT DO NOTHING;
