-- name: EventHeadRead :one
SELECT h.position, h.snapshot, h.queued FROM event_head h;

-- name: EventHeadLock :one
-- Nothing, while somebody else holds the row.
SELECT h.position, h.snapshot, h.queued FROM event_head h FOR UPDATE SKIP LOCKED;

-- name: EventHeadAdvance :exec
UPDATE event_head SET position = @position, snapshot = @snapshot;

-- name: EventHeadQueued :exec
UPDATE event_head SET queued = @queued;

-- name: EventPeek :one
-- What there is to do since a snapshot, found without a write.
SELECT
    -- Restored from a dump, the snapshot may be of another cluster's future.
    (pg_snapshot_xmax(CAST(@snapshot::text AS pg_snapshot)) > pg_snapshot_xmax(pg_current_snapshot()))::boolean AS ahead,
    -- An old snapshot stays true, it only makes the next reads longer.
    (CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)
        - CAST(CAST(pg_snapshot_xmin(CAST(@snapshot::text AS pg_snapshot)) AS text) AS bigint) > @tolerance::bigint)::boolean AS old,
    -- What the snapshot does not see is what came after it, and what ran while it
    -- was taken: looking for it costs as much as is new, however long the oldest
    -- transaction stays open. The order makes Postgres read the index of xid: it
    -- would expect to meet a match soon, and walk through the table when there is
    -- none.
    ((SELECT version FROM transition
        WHERE xid >= pg_snapshot_xmax(CAST(@snapshot::text AS pg_snapshot))
          AND xid < pg_snapshot_xmax(pg_current_snapshot())
        ORDER BY xid LIMIT 1) IS NOT NULL
    OR (SELECT version FROM transition
        WHERE xid = ANY (ARRAY(SELECT pg_snapshot_xip(CAST(@snapshot::text AS pg_snapshot))))
          AND xid < pg_snapshot_xmax(pg_current_snapshot())
        ORDER BY xid LIMIT 1) IS NOT NULL)::boolean AS fresh;

-- name: EventSequence :one
-- Gives a place to every transition that became visible since a snapshot, and
-- says in which snapshot that was. Versions of one verification keep their order
-- whatever the clocks say.
WITH placed AS (
    INSERT INTO event_position (verification_id, version, project, environment, position, create_time)
    SELECT log.verification_id, log.version, log.project, log.environment,
        row_number() OVER (ORDER BY log.at, log.verification_id, log.version) + @head::bigint, log.create_time
    FROM (
        SELECT t.verification_id, t.version, t.project, t.environment, t.create_time,
            max(t.create_time) OVER (PARTITION BY t.verification_id ORDER BY t.version) AS at
        FROM (
            -- The two parts of what the snapshot does not see, each by the index.
            SELECT a.verification_id, a.version, a.project, a.environment, a.create_time, a.xid,
                CAST(CAST(a.xmin AS text) AS bigint) AS written
            FROM transition a
            WHERE a.xid >= pg_snapshot_xmax(CAST(@snapshot::text AS pg_snapshot))
              AND a.xid < pg_snapshot_xmax(pg_current_snapshot())
            UNION ALL
            SELECT b.verification_id, b.version, b.project, b.environment, b.create_time, b.xid,
                CAST(CAST(b.xmin AS text) AS bigint) AS written
            FROM transition b
            WHERE b.xid = ANY (ARRAY(SELECT pg_snapshot_xip(CAST(@snapshot::text AS pg_snapshot))))
              AND b.xid < pg_snapshot_xmax(pg_current_snapshot())
        ) t
        -- Restored from a dump, old rows look new one by one as this cluster
        -- reaches their transactions; those whose places were purged are not
        -- told again. What the transaction of its xid wrote itself is new,
        -- whatever the clock of its node says.
        WHERE t.written = CAST(CAST(t.xid AS text) AS bigint) % 4294967296
          OR t.create_time >= coalesce((
              SELECT CASE WHEN p.position > 1 THEN least(p.create_time, now() - interval '1 day') END
              FROM event_position p ORDER BY p.position LIMIT 1), '-infinity')
    ) log
    ON CONFLICT (verification_id, version) DO NOTHING
    RETURNING event_position.position AS place
)
SELECT count(p.place) AS given, coalesce(max(p.place), @head::bigint)::bigint AS head, pg_current_snapshot()::text AS snapshot
FROM placed p;

-- name: EventResync :one
-- The same without a snapshot to trust: what has no place and is not from long
-- before the newest one that has.
WITH placed AS (
    INSERT INTO event_position (verification_id, version, project, environment, position, create_time)
    SELECT log.verification_id, log.version, log.project, log.environment,
        row_number() OVER (ORDER BY log.at, log.verification_id, log.version) + @head::bigint, log.create_time
    FROM (
        SELECT t.verification_id, t.version, t.project, t.environment, t.create_time,
            max(t.create_time) OVER (PARTITION BY t.verification_id ORDER BY t.version) AS at
        FROM transition t
        WHERE t.create_time >= coalesce((SELECT max(p.create_time) FROM event_position p) - interval '1 day', '-infinity')
          AND NOT EXISTS (
              SELECT 1 FROM event_position p WHERE p.verification_id = t.verification_id AND p.version = t.version)
    ) log
    ON CONFLICT (verification_id, version) DO NOTHING
    RETURNING event_position.position AS place
)
SELECT count(p.place) AS given, coalesce(max(p.place), @head::bigint)::bigint AS head, pg_current_snapshot()::text AS snapshot
FROM placed p;

-- name: EventToQueue :many
-- The next transitions in their order, with where callbacks about them may go.
-- The page is cut first and its rows are looked up by their keys, whatever
-- Postgres believes of the tables (OFFSET keeps it from merging the parts). Whoever
-- erases a verification holds its row: its addresses are read before that, and
-- the erasure finds the callbacks, or after it, and there are none. One that has
-- no address is not held: that would be a write for each event.
SELECT looked.position, looked.verification_id, looked.version, looked.project, looked.environment,
    coalesce(t.from_state, '')::text AS from_state, coalesce(t.to_state, '')::text AS to_state,
    coalesce(v.callback_url, '')::text AS callback_url,
    coalesce(v.events_callback_url, '')::text AS events_callback_url
FROM (
    SELECT p.* FROM event_position p
    WHERE p.position > @queued AND p.position <= @head
    ORDER BY p.position
    LIMIT @row_limit
) looked
LEFT JOIN LATERAL (
    SELECT from_state, to_state FROM transition
    WHERE verification_id = looked.verification_id AND version = looked.version OFFSET 0
) t ON true
LEFT JOIN LATERAL (
    SELECT callback_url, events_callback_url FROM verification
    WHERE id = looked.verification_id AND t.to_state IS NOT NULL AND (callback_url <> '' OR events_callback_url <> '') OFFSET 0 FOR KEY SHARE
) v ON true
ORDER BY looked.position;

-- name: EventPurge :execrows
-- From the oldest place on and without holes: whoever reads on after a place
-- that is still there misses nothing.
DELETE FROM event_position WHERE position = ANY (ARRAY(
    SELECT place FROM (
        SELECT place, bool_and(made < @before::timestamptz) OVER (ORDER BY place) AS expired
        FROM (
            SELECT p.position AS place, p.create_time AS made FROM event_position p
            WHERE p.position < @queued::bigint
            ORDER BY p.position LIMIT @row_limit
        ) oldest
    ) looked
    WHERE expired
));
