-- name: EventPositionList :many
-- What comes after a place, and the place itself first: so that one reading
-- tells both whether it is still kept and what follows. A place that is not
-- there begins with the oldest. The rows are compared as wholes so that only the
-- index of the tenant's own places can find them: the one of all places would
-- walk through what others did since. The page is cut before it is joined, so
-- that the price is that of a page.
SELECT v.flow, sqlc.embed(t)
FROM (
    SELECT p.verification_id, p.version, p.project, p.environment, p.position
    FROM event_position p
    WHERE (p.project, p.environment, p.position) >= (@project::text, @environment::text, coalesce((
            SELECT a.position FROM event_position a
            WHERE a.verification_id = @after_id AND a.version = @after_version
              AND a.project = @project::text AND a.environment = @environment::text), 0))
      AND (p.project, p.environment) <= (@project::text, @environment::text)
    ORDER BY p.project, p.environment, p.position
    LIMIT @row_limit
) looked
JOIN transition t ON t.verification_id = looked.verification_id AND t.version = looked.version
    AND t.project = looked.project AND t.environment = looked.environment
JOIN verification v ON v.id = looked.verification_id
    AND v.project = looked.project AND v.environment = looked.environment
WHERE looked.project = @project::text AND looked.environment = @environment::text
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
