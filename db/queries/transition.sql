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
-- their transaction committed: what came after it, and what ran while it was
-- taken. Each part is a range of the index of xid, so that the price is that of
-- what is new, however long the oldest transaction stays open. Restored from a
-- dump, rows may carry transactions that this cluster has not reached: they are
-- old.
SELECT t.verification_id, max(t.version)::bigint AS version
FROM (
    SELECT a.verification_id, a.version FROM transition a
    WHERE a.xid >= pg_snapshot_xmax(CAST(@snapshot::text AS pg_snapshot))
      AND a.xid < pg_snapshot_xmax(pg_current_snapshot())
    UNION ALL
    SELECT b.verification_id, b.version FROM transition b
    WHERE b.xid = ANY (ARRAY(SELECT pg_snapshot_xip(CAST(@snapshot::text AS pg_snapshot))))
      AND b.xid < pg_snapshot_xmax(pg_current_snapshot())
) t
GROUP BY t.verification_id;
