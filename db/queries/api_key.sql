-- name: APIKeyInsert :exec
INSERT INTO api_key (id, project, environment, name, secret_hash, create_time)
VALUES (@id, @project, @environment, @name, @secret_hash, @create_time);

-- name: APIKeyGet :one
SELECT * FROM api_key WHERE id = @id;

-- name: APIKeyList :many
SELECT * FROM api_key ORDER BY create_time, id;

-- name: APIKeyRevokeIfActive :execrows
UPDATE api_key SET revoke_time = @revoke_time WHERE id = @id AND revoke_time IS NULL;
