-- name: APIKeyInsert :exec
INSERT INTO api_key (id, project, environment, name, scopes, secret_hash, create_time, expire_time)
VALUES (@id, @project, @environment, @name, @scopes, @secret_hash, @create_time, @expire_time);

-- name: APIKeyGet :one
SELECT * FROM api_key WHERE id = @id;

-- name: APIKeyList :many
SELECT * FROM api_key
WHERE project = @project AND environment = @environment
ORDER BY create_time, id;

-- name: APIKeyLock :one
SELECT * FROM api_key
WHERE id = @id AND project = @project AND environment = @environment
FOR UPDATE;

-- name: APIKeyUpdate :exec
UPDATE api_key SET expire_time = @expire_time, revoke_time = @revoke_time, successor_id = @successor_id
WHERE id = @id AND project = @project AND environment = @environment;

-- name: APIKeyUse :exec
-- The rows are locked in one order, so that two nodes never wait for each
-- other. A use that somebody else wrote already is newer or the same.
WITH use AS (
    SELECT unnest(@ids::text[]) AS id, unnest(@use_times::timestamptz[]) AS use_time
), locked AS (
    SELECT k.id FROM api_key k WHERE k.id = ANY (@ids::text[]) ORDER BY k.id FOR UPDATE
)
UPDATE api_key SET last_use_time = greatest(api_key.last_use_time, use.use_time)
FROM use, locked
WHERE api_key.id = locked.id AND use.id = locked.id;
