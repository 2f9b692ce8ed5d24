-- name: IdempotencyInsert :execrows
INSERT INTO idempotency (project, environment, key, request_hash, verification_id, create_time)
VALUES (@project, @environment, @key, @request_hash, @verification_id, @create_time)
ON CONFLICT (project, environment, key) DO NOTHING;

-- name: IdempotencyGet :one
SELECT * FROM idempotency WHERE project = @project AND environment = @environment AND key = @key;

-- name: IdempotencyDeleteByVerification :exec
DELETE FROM idempotency WHERE project = @project AND environment = @environment AND verification_id = @verification_id;
