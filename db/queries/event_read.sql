-- name: EventPositionList :many
-- What comes after a place, and the place itself first: so that one reading
-- tells both whether it is still kept and what follows. A place that is not
-- there begins with the oldest.
--
-- The rows are compared as wholes so that only the index of the tenant's own
-- places can find them: the one of all places would walk through what others did
-- since. The page is cut first and its rows are looked up one by one by their
-- keys, whatever Postgres believes of the tables (OFFSET keeps it from merging
-- the parts): the price is that of a page.
SELECT v.flow, looked.verification_id, looked.version, t.from_state, t.to_state, t.event, t.source,
    t.rung, t.match, t.reason_codes, t.delivery_id, t.create_time
FROM (
    SELECT p.verification_id, p.version, p.project, p.environment, p.position
    FROM event_position p
    WHERE (p.project, p.environment, p.position) >= (@project::text, @environment::text, coalesce((
            SELECT place.position FROM (
                SELECT a.* FROM event_position a
                WHERE a.verification_id = @after_id AND a.version = @after_version OFFSET 0
            ) place
            WHERE place.project = @project::text AND place.environment = @environment::text), 0))
      AND (p.project, p.environment) <= (@project::text, @environment::text)
    ORDER BY p.project, p.environment, p.position
    LIMIT @row_limit
) looked
CROSS JOIN LATERAL (
    SELECT project, environment, from_state, to_state, event, source, rung, match, reason_codes, delivery_id, create_time
    FROM transition
    WHERE verification_id = looked.verification_id AND version = looked.version OFFSET 0
) t
CROSS JOIN LATERAL (
    SELECT project, environment, flow FROM verification WHERE id = looked.verification_id OFFSET 0
) v
WHERE looked.project = @project::text AND looked.environment = @environment::text
  AND t.project = looked.project AND t.environment = looked.environment
  AND v.project = looked.project AND v.environment = looked.environment
ORDER BY looked.position;

-- name: EventPositionLatest :one
-- Compared as in EventPositionList.
SELECT newest.verification_id, newest.version
FROM (
    SELECT p.* FROM event_position p
    WHERE (p.project, p.environment) >= (@project::text, @environment::text)
      AND (p.project, p.environment) <= (@project::text, @environment::text)
    ORDER BY p.project DESC, p.environment DESC, p.position DESC
    LIMIT 1
) newest
WHERE newest.project = @project::text AND newest.environment = @environment::text;

-- name: EventHeadGet :one
-- The last place that was given, to anybody's event.
SELECT position FROM event_head;

-- name: EventScopes :many
-- Whose events got the places after one and up to another.
SELECT DISTINCT project, environment FROM event_position
WHERE position > @after AND position <= @up_to;
