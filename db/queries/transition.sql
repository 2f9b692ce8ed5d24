-- name: TransitionInsert :exec
INSERT INTO transition (
    verification_id, version, project, environment, from_state, to_state, event, source,
    rung, match, reason_codes, reason, delivery_id, create_time
) VALUES (
    @verification_id, @version, @project, @environment, @from_state, @to_state, @event, @source,
    @rung, @match, @reason_codes, @reason, @delivery_id, @create_time
);

-- name: TransitionList :many
SELECT * FROM transition
WHERE verification_id = @verification_id AND project = @project AND environment = @environment
ORDER BY version;

-- name: TransitionLast :many
SELECT * FROM transition
WHERE verification_id = @verification_id AND project = @project AND environment = @environment
ORDER BY version DESC
LIMIT @row_limit;

-- name: TransitionErase :exec
-- The one column that holds anybody's own words.
UPDATE transition SET reason = ''
WHERE verification_id = @verification_id AND project = @project AND environment = @environment AND reason <> '';

-- name: TransitionSnapshot :one
-- Where the log ends now: every transaction is either visible in this snapshot
-- or will be returned by TransitionTail.
SELECT pg_current_snapshot()::text AS snapshot;

-- name: TransitionTail :many
-- Exactly the transitions that became visible since a snapshot, however late
-- their transaction committed.
SELECT verification_id, max(version)::bigint AS version
FROM transition
WHERE xid >= pg_snapshot_xmin(CAST(@snapshot::text AS pg_snapshot))
  AND NOT pg_visible_in_snapshot(xid, CAST(@snapshot::text AS pg_snapshot))
  -- Restored from a dump, rows may carry transactions that this cluster has not
  -- reached: they are old.
  AND xid < pg_snapshot_xmax(pg_current_snapshot())
GROUP BY verification_id;
