-- name: CallbackInsert :many
-- Those that wait are not tried yet. A transition that has its callback already
-- gets no second one.
INSERT INTO callback (
    id, project, environment, verification_id, version, channel, url, state, create_time, first_time, next_time
)
SELECT n.id, n.project, n.environment, n.verification_id, n.version, n.channel, n.url, n.state, @now::timestamptz,
    CASE WHEN n.state = 'pending' THEN @now::timestamptz END, CASE WHEN n.state = 'pending' THEN @now::timestamptz END
FROM (
    SELECT unnest(@ids::uuid[]) AS id, unnest(@projects::text[]) AS project, unnest(@environments::text[]) AS environment,
        unnest(@verification_ids::uuid[]) AS verification_id, unnest(@versions::bigint[]) AS version,
        unnest(@channels::text[]) AS channel, unnest(@urls::text[]) AS url, unnest(@states::text[]) AS state
) n
ON CONFLICT (verification_id, version) DO NOTHING
RETURNING id, project, environment, state;

-- name: CallbackLockUnfinished :many
-- In the order in which everybody locks callbacks.
SELECT verification_id, url FROM callback
WHERE verification_id = ANY(@verification_ids::uuid[]) AND state IN ('waiting', 'pending')
ORDER BY verification_id, version
FOR UPDATE;

-- name: CallbackLockChain :many
-- Some callbacks, and the unfinished ones of their verifications.
SELECT * FROM callback
WHERE verification_id = ANY(@verification_ids::uuid[]) AND project = @project AND environment = @environment
  AND (id = ANY(@ids::uuid[]) OR state IN ('waiting', 'pending'))
ORDER BY verification_id, version
FOR UPDATE;

-- name: CallbackGet :one
SELECT sqlc.embed(c), sqlc.embed(t), v.flow
FROM callback c
JOIN transition t ON t.verification_id = c.verification_id AND t.version = c.version
    AND t.project = @project AND t.environment = @environment
JOIN verification v ON v.id = c.verification_id AND v.project = @project AND v.environment = @environment
WHERE c.id = @id AND c.project = @project AND c.environment = @environment;

-- name: CallbackList :many
SELECT * FROM callback
WHERE project = @project AND environment = @environment AND id < @id_before::uuid
  AND (cardinality(@states::text[]) = 0 OR state = ANY(@states::text[]))
ORDER BY id DESC
LIMIT @row_limit;

-- name: CallbackListOfVerification :many
-- A verification has few: they are read by its id and sorted.
SELECT * FROM callback
WHERE verification_id = @verification_id AND project = @project AND environment = @environment AND id < @id_before::uuid
  AND (cardinality(@states::text[]) = 0 OR state = ANY(@states::text[]))
ORDER BY id DESC
LIMIT @row_limit;

-- name: CallbackListDead :many
-- The oldest ones that can be retried.
SELECT id, verification_id FROM callback
WHERE project = @project AND environment = @environment AND state = 'dead' AND url <> ''
ORDER BY id
LIMIT @row_limit;

-- name: CallbackBegin :one
-- Counts an attempt and keeps others from it until a time. It tells how many
-- were recorded since the callback is tried.
UPDATE callback c SET attempts = c.attempts + 1, next_time = @until_time::timestamptz
WHERE c.id = @id AND c.project = @project AND c.environment = @environment
  AND c.state = 'pending' AND c.attempts = @attempts AND c.next_time <= @now::timestamptz
RETURNING (SELECT count(*) FROM callback_attempt a
    WHERE a.callback_id = c.id AND a.project = @project AND a.environment = @environment AND a.start_time >= c.first_time) AS earlier;

-- name: CallbackUpdate :exec
UPDATE callback SET
    state = @state, reason = @reason, first_time = @first_time, next_time = @next_time, finish_time = @finish_time
WHERE id = @id AND project = @project AND environment = @environment;

-- name: CallbackErase :exec
UPDATE callback SET
    url = '',
    state = CASE WHEN state IN ('waiting', 'pending') THEN 'dead' ELSE state END,
    reason = CASE WHEN state IN ('waiting', 'pending') THEN 'erased' ELSE reason END,
    next_time = NULL, finish_time = coalesce(finish_time, @erase_time::timestamptz)
WHERE id = ANY(@ids::uuid[]) AND project = @project AND environment = @environment;

-- name: CallbackLockOfVerification :many
SELECT id FROM callback
WHERE verification_id = @verification_id AND project = @project AND environment = @environment
ORDER BY version
FOR UPDATE;

-- name: CallbackAttemptInsert :exec
INSERT INTO callback_attempt (callback_id, number, project, environment, start_time, duration_ms, status_code, reason)
VALUES (@callback_id, @number, @project, @environment, @start_time, @duration_ms, @status_code, @reason)
ON CONFLICT (callback_id, number) DO NOTHING;

-- name: CallbackAttemptList :many
SELECT * FROM callback_attempt
WHERE callback_id = @callback_id AND project = @project AND environment = @environment
ORDER BY number DESC
LIMIT @row_limit;

-- name: CallbackPurge :execrows
-- Nodes that purge at the same time take different ones.
WITH finished AS (
    SELECT c.id FROM callback c
    WHERE c.finish_time < @before
    ORDER BY c.finish_time LIMIT @row_limit
    FOR UPDATE SKIP LOCKED
), attempts AS (
    DELETE FROM callback_attempt a WHERE a.callback_id = ANY (ARRAY(SELECT f.id FROM finished f))
)
DELETE FROM callback c WHERE c.id = ANY (ARRAY(SELECT f.id FROM finished f));

-- name: CallbackOldest :one
-- Since when the callback is tried that is tried for longest; none if there is
-- nothing to deliver.
SELECT c.first_time FROM callback c WHERE c.state = 'pending' ORDER BY c.first_time LIMIT 1;

-- name: CallbackOverdue :many
-- The next ones, from the one that is tried for longest on, that were due a
-- while ago. Those that began together are not parted.
SELECT id, project, environment, first_time FROM callback
WHERE state = 'pending' AND first_time > @after::timestamptz AND next_time < @before::timestamptz
ORDER BY first_time
FETCH FIRST 500 ROWS WITH TIES;
