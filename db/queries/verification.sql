-- name: VerificationInsert :exec
INSERT INTO verification (
    id, project, environment, flow, connection, product, subject, reference, metadata,
    state, version, hosted_url, redirect_url, failure_redirect_url, callback_url, events_callback_url,
    nonce_hash, lane, create_time, update_time, expire_time, grace_until, page_until
) VALUES (
    @id, @project, @environment, @flow, @connection, @product, @subject, @reference, @metadata,
    @state, @version, @hosted_url, @redirect_url, @failure_redirect_url, @callback_url, @events_callback_url,
    @nonce_hash, @lane, @create_time, @update_time, @expire_time, @grace_until, @page_until
);

-- name: VerificationGet :one
SELECT * FROM verification
WHERE id = @id AND project = @project AND environment = @environment;

-- name: VerificationGetWatched :many
SELECT * FROM verification WHERE id = ANY (@ids::uuid[]);

-- name: VerificationGetByReference :one
SELECT v.* FROM verification v
WHERE v.project = @project AND v.environment = @environment AND v.id = (
    SELECT l.id FROM verification_lookup l
    WHERE l.project = @project AND l.environment = @environment AND l.reference = @reference AND l.reference <> ''
      AND (@subject::text = '' OR l.subject = @subject::text)
    ORDER BY l.id DESC
    LIMIT 1);

-- name: VerificationLock :one
SELECT * FROM verification
WHERE id = @id AND project = @project AND environment = @environment
FOR UPDATE;

-- name: VerificationLockSubject :many
-- The subject is asked for twice: somebody else may erase a row that is waited for.
SELECT v.* FROM verification_lookup l
JOIN verification v ON v.id = l.id AND v.project = l.project AND v.environment = l.environment
WHERE l.project = @project AND l.environment = @environment AND l.subject = @subject AND v.subject = @subject
ORDER BY l.id
LIMIT @row_limit
FOR UPDATE OF v;

-- name: VerificationLockByNonce :one
SELECT v.* FROM verification_lookup l JOIN verification v ON v.id = l.id
WHERE l.nonce_hash = @nonce_hash
FOR UPDATE OF v;

-- name: VerificationUpdateIfVersion :execrows
-- The guard is in the WHERE clause: a version moves forward by one or stays.
UPDATE verification SET
    state = @state, version = @version, reason_codes = @reason_codes, match = @match,
    hosted_url = @hosted_url, lane = @lane,
    update_time = @update_time, expire_time = @expire_time, grace_until = @grace_until,
    page_until = @page_until,
    return_time = @return_time, bind_time = @bind_time, final_time = @final_time,
    fetch_time = @fetch_time, fetches = @fetches
WHERE id = @id AND project = @project AND environment = @environment AND version = @old_version;

-- name: VerificationErase :execrows
UPDATE verification SET
    subject = @subject, reference = @reference, metadata = @metadata,
    hosted_url = @hosted_url, redirect_url = @redirect_url, failure_redirect_url = @failure_redirect_url,
    callback_url = @callback_url, events_callback_url = @events_callback_url, erase_time = @erase_time
WHERE id = @id AND project = @project AND environment = @environment AND version = @version;

-- name: VerificationCountOpen :one
SELECT count(*) FROM (
    SELECT 1 FROM verification
    WHERE project = @project AND environment = @environment AND flow = @flow
      AND state IN ('created', 'pending', 'processing', 'in_review')
    LIMIT @row_limit
) counted;

-- name: VerificationCountOpenOfSubject :one
SELECT count(*) FROM (
    SELECT 1 FROM verification
    WHERE project = @project AND environment = @environment AND flow = @flow AND subject = @subject
      AND state IN ('created', 'pending', 'processing', 'in_review')
    LIMIT @row_limit
) counted;

-- name: TransactionTakeTurn :exec
-- Holds the name until the transaction ends; others that take it wait.
SELECT pg_advisory_xact_lock(hashtextextended(@name::text, 0));

-- name: VerificationList :many
-- Pages are cut from verification_lookup, and each of its rows is looked up by its
-- key, whatever Postgres believes of the tables (OFFSET keeps it from merging
-- them). The bounds of ids are always there, so that they are a range of the index
-- in every plan; the times are the exact bounds within them.
SELECT v.* FROM verification_lookup l
CROSS JOIN LATERAL (
    SELECT * FROM verification r
    WHERE r.id = l.id AND r.project = @project AND r.environment = @environment
      AND (cardinality(@states::text[]) = 0 OR r.state = ANY (@states::text[]))
      AND (sqlc.narg(from_time)::timestamptz IS NULL OR r.create_time >= sqlc.narg(from_time)::timestamptz)
      AND (sqlc.narg(until_time)::timestamptz IS NULL OR r.create_time < sqlc.narg(until_time)::timestamptz)
    OFFSET 0
) v
WHERE l.project = @project AND l.environment = @environment
  AND l.id >= @id_from AND l.id < @id_before
ORDER BY l.id DESC
LIMIT @row_limit;

-- name: VerificationListByFlow :many
SELECT v.* FROM verification_lookup l
CROSS JOIN LATERAL (
    SELECT * FROM verification r
    WHERE r.id = l.id AND r.project = @project AND r.environment = @environment
      AND (cardinality(@states::text[]) = 0 OR r.state = ANY (@states::text[]))
      AND (sqlc.narg(from_time)::timestamptz IS NULL OR r.create_time >= sqlc.narg(from_time)::timestamptz)
      AND (sqlc.narg(until_time)::timestamptz IS NULL OR r.create_time < sqlc.narg(until_time)::timestamptz)
    OFFSET 0
) v
WHERE l.project = @project AND l.environment = @environment AND l.flow = @flow
  AND l.id >= @id_from AND l.id < @id_before
ORDER BY l.id DESC
LIMIT @row_limit;

-- name: VerificationListRare :many
-- Only states that few are in: each a range of an index of its own, however many
-- others there are. Each part stops at a page.
SELECT v.* FROM unnest(@states::text[]) AS wanted
CROSS JOIN LATERAL (
    SELECT * FROM verification r
    WHERE r.project = @project AND r.environment = @environment AND r.state = wanted
      AND r.state IN ('created', 'pending', 'processing', 'in_review', 'failed')
      AND r.id >= @id_from AND r.id < @id_before
      AND (@flow::text = '' OR r.flow = @flow::text)
      AND (sqlc.narg(from_time)::timestamptz IS NULL OR r.create_time >= sqlc.narg(from_time)::timestamptz)
      AND (sqlc.narg(until_time)::timestamptz IS NULL OR r.create_time < sqlc.narg(until_time)::timestamptz)
    ORDER BY r.id DESC
    LIMIT @row_limit
) v
ORDER BY v.id DESC
LIMIT @row_limit;

-- name: VerificationListBySubject :many
SELECT v.* FROM verification_lookup l
CROSS JOIN LATERAL (
    SELECT * FROM verification r
    WHERE r.id = l.id AND r.project = @project AND r.environment = @environment
      AND (cardinality(@states::text[]) = 0 OR r.state = ANY (@states::text[]))
      AND (sqlc.narg(from_time)::timestamptz IS NULL OR r.create_time >= sqlc.narg(from_time)::timestamptz)
      AND (sqlc.narg(until_time)::timestamptz IS NULL OR r.create_time < sqlc.narg(until_time)::timestamptz)
    OFFSET 0
) v
WHERE l.project = @project AND l.environment = @environment AND l.subject = @subject
  AND l.id >= @id_from AND l.id < @id_before
  AND (@flow::text = '' OR l.flow = @flow::text)
ORDER BY l.id DESC
LIMIT @row_limit;

-- name: VerificationOverdue :many
SELECT id, project, environment FROM verification
WHERE state IN ('created', 'pending', 'processing', 'in_review') AND expire_time <= @now
ORDER BY expire_time
LIMIT @row_limit;

-- name: VerificationUnstarted :many
SELECT id, project, environment FROM verification
WHERE state = 'created' AND create_time < @before
ORDER BY create_time
LIMIT @row_limit;

-- name: VerificationFreeLanes :exec
-- Lanes of expired and canceled verifications stay taken while their page may
-- still be finished.
UPDATE verification SET lane = NULL
WHERE lane IS NOT NULL
  AND (state = 'canceled' AND page_until <= @now
       OR state = 'expired' AND greatest(grace_until, page_until) <= @now);

-- name: VerificationCandidates :many
-- Whoever a webhook without a key might have been about when it arrived: not
-- decided before that moment. An expired one counts while a late decision still
-- would or its page works, a canceled one while its page works, and one that is bound
-- to another provider id while it is open: it may have got a second. Only its
-- return tells nothing any more. Each part stops at two rows, so that the price
-- does not grow with what is open.
SELECT c.id, c.create_time, c.return_time, bool_or(c.is_returned)::bool AS returned
FROM (
    (SELECT v.id, v.create_time, v.return_time, true AS is_returned
     FROM verification v
     WHERE v.project = @project AND v.environment = @environment
       AND v.connection = @connection AND v.product = @product
       AND v.return_time >= @window_from AND v.return_time <= @window_until
       AND greatest(v.grace_until, v.page_until) > @at
       AND (v.bind_time IS NULL OR v.bind_time >= @at)
       AND (v.final_time IS NULL OR v.final_time >= @at
            OR v.state = 'expired' OR (v.state = 'canceled' AND v.page_until > @at))
     ORDER BY v.return_time LIMIT 2)
    UNION ALL
    (SELECT v.id, v.create_time, v.return_time, false
     FROM verification v
     WHERE v.project = @project AND v.environment = @environment
       AND v.connection = @connection AND v.product = @product
       AND v.state IN ('created', 'pending', 'processing', 'in_review', 'expired', 'canceled')
       AND greatest(v.grace_until, v.page_until) > @at
       AND (v.state <> 'canceled' OR v.page_until > @at OR v.final_time >= @at)
     ORDER BY greatest(v.grace_until, v.page_until) LIMIT 2)
    UNION ALL
    (SELECT v.id, v.create_time, v.return_time, false
     FROM verification v
     WHERE v.project = @project AND v.environment = @environment
       AND v.connection = @connection AND v.product = @product
       AND v.state IN ('approved', 'declined', 'failed')
       AND v.final_time >= @at AND greatest(v.grace_until, v.page_until) > @at
     ORDER BY v.final_time LIMIT 2)
) c
GROUP BY c.id, c.create_time, c.return_time
ORDER BY returned DESC, c.id
LIMIT 2;
