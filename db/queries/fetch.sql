-- name: VerificationLeaseFetches :many
-- Takes what is due off everybody's hands for a while: whoever dies at it leaves
-- it due again. The version stays, so nobody who changes the row is disturbed;
-- who has it locked decides on its next fetch anyway, so it is passed over.
UPDATE verification SET fetch_time = @leased_until
WHERE id = ANY (ARRAY(
    SELECT v.id FROM verification v
    WHERE v.fetch_time <= @now
    ORDER BY v.fetch_time
    LIMIT @row_limit
    FOR UPDATE SKIP LOCKED
))
RETURNING id, project, environment;

-- name: VerificationOldestUnresolved :one
SELECT create_time FROM verification
WHERE connection = @connection AND state IN ('created', 'pending', 'processing', 'in_review')
ORDER BY create_time
LIMIT 1;

-- name: ProviderRefListToFetch :many
-- What the provider can be asked by; an erased ref is only good for recognising.
SELECT r.* FROM provider_ref r
JOIN verification v ON v.id = r.verification_id AND v.connection = r.connection
WHERE v.id = @id AND v.project = @project AND v.environment = @environment
  AND NOT starts_with(r.ref, @erased_prefix)
ORDER BY r.create_time, r.ref;

-- name: VerificationDecidedAfter :one
-- Whether something was decided about a verification after a time, also by what
-- only repeated what was so.
SELECT (EXISTS (
    SELECT 1 FROM delivery d
    WHERE d.project = @project AND d.environment = @environment AND d.verification_id = @verification_id
      AND d.receive_time > @at AND d.effect IN ('applied', 'duplicate')
      AND d.event IN ('passed', 'rejected', 'revised_to_passed', 'revised_to_rejected')
) OR EXISTS (
    SELECT 1 FROM transition t
    WHERE t.project = @project AND t.environment = @environment AND t.verification_id = @verification_id
      AND t.create_time > @at AND t.source IN ('operator', 'poll')
      AND t.event IN ('passed', 'rejected', 'revised_to_passed', 'revised_to_rejected')
))::bool AS decided;
