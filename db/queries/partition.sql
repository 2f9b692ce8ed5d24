-- name: PartitionMake :one
-- How many partitions of deliveries and transitions were missing for a time.
SELECT make_partitions(@from_time, @until_time)::integer AS made;

-- name: PartitionDrop :one
-- The partition that was dropped, one that lies wholly before a time; empty if
-- none may go.
SELECT drop_partition(@before)::text AS dropped;

-- name: PartitionPurgeDeliveries :execrows
-- What no range had room for: the default partition is never dropped.
DELETE FROM delivery_default WHERE id = ANY (ARRAY(
    SELECT s.id FROM delivery_default s
    WHERE s.receive_time < @before AND s.purge_time IS NOT NULL
    LIMIT @row_limit
    FOR UPDATE SKIP LOCKED));

-- name: PartitionPurgeTransitions :execrows
-- As long as a verification is open, or has an event or a callback, its history
-- stays.
DELETE FROM transition_default WHERE (verification_id, version) IN (
    SELECT s.verification_id, s.version FROM transition_default s
    WHERE s.create_time < @before
      AND NOT EXISTS (SELECT 1 FROM event_position p WHERE p.verification_id = s.verification_id)
      AND NOT EXISTS (SELECT 1 FROM callback c WHERE c.verification_id = s.verification_id)
      AND NOT EXISTS (SELECT 1 FROM verification v WHERE v.id = s.verification_id
                        AND v.state IN ('created', 'pending', 'processing', 'in_review'))
    LIMIT @row_limit
    FOR UPDATE OF s SKIP LOCKED);
