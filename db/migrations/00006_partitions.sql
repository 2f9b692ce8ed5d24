-- +goose NO TRANSACTION
-- +goose Up

-- Each statement commits by itself, so that nothing is closed while the tables
-- are read and indexed. What was interrupted is taken up by the next run.

-- The first id of a moment: a UUIDv7 begins with the milliseconds since 1970, in
-- 48 bits (RFC 9562). A range of ids is a range of time.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION earliest_id(at timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (lpad(to_hex(greatest(0, floor(extract(epoch FROM at) * 1000))::bigint), 12, '0') || repeat('0', 20))::uuid
$$;
-- +goose StatementEnd

-- Where the four weeks begin that a moment lies in, counted from 1970. They are
-- long: what has to look into every partition looks into few.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION period_start(at timestamptz) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT to_timestamp((floor(extract(epoch FROM at) / 2419200) * 2419200)::double precision)
$$;
-- +goose StatementEnd

-- The partitions of a table that are ranges of ids: all but its default one.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION partitions_of(parent text) RETURNS TABLE (name text, first_id uuid, end_id uuid)
LANGUAGE sql STABLE AS $$
    SELECT p.named, coalesce(substring(p.bounds FROM 'FROM \(''([^'']+)''\)'), '00000000-0000-0000-0000-000000000000')::uuid,
        substring(p.bounds FROM 'TO \(''([^'']+)''\)')::uuid
    FROM (
        SELECT c.relname::text AS named, pg_get_expr(c.relpartbound, c.oid) AS bounds
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = parent::regclass
    ) p
    WHERE p.bounds <> 'DEFAULT'
$$;
-- +goose StatementEnd

-- Tells the planner how many rows a transaction writes in a table of transitions.
-- What it counts after an import, which is one transaction, would make it expect a
-- good part of the table from each, and read all of it to find what is new.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION know_xid(part text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I ALTER COLUMN xid SET (n_distinct = -0.1)', part);
END
$$;
-- +goose StatementEnd

-- Makes the partitions that a stretch of time lacks, and returns how many those
-- were; none while somebody else is at it. Only the default partition is closed
-- meanwhile: what it holds of the range moves. Storage parameters are not
-- inherited, so each partition gets them here.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION make_partitions(from_time timestamptz, until_time timestamptz) RETURNS integer
LANGUAGE plpgsql SET lock_timeout = '1s' AS $$
DECLARE
    parent  text;
    key     text;
    storage text;
    part    text;
    begins  timestamptz;
    ends    timestamptz;
    made    integer := 0;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('partitions', 0)) THEN
        RETURN 0;
    END IF;
    FOR parent, key, storage IN VALUES
        -- A delivery changes when it is settled and when it is purged; a fifth of
        -- a large partition would be much to clean at once.
        ('delivery', 'id', 'fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05,'
            ' autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05'),
        -- Insert-only: vacuum freezes it in small steps.
        ('transition', 'verification_id', 'autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05')
    LOOP
        begins := period_start(from_time);
        WHILE begins < until_time LOOP
            ends := begins + interval '672 hours';
            IF NOT EXISTS (SELECT FROM partitions_of(parent) p WHERE p.first_id < earliest_id(ends) AND p.end_id > earliest_id(begins)) THEN
                part := parent || '_' || to_char(begins AT TIME ZONE 'UTC', 'YYYYMMDD');
                EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', parent || '_default');
                EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS) WITH (%s)', part, parent, storage);
                PERFORM know_xid(part) WHERE parent = 'transition';
                EXECUTE format('WITH strays AS (DELETE FROM %I WHERE %I >= $1 AND %2$I < $2 RETURNING *) INSERT INTO %I SELECT * FROM strays',
                    parent || '_default', key, part) USING earliest_id(begins), earliest_id(ends);
                EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                    parent, part, earliest_id(begins), earliest_id(ends));
                made := made + 1;
            END IF;
            begins := ends;
        END LOOP;
    END LOOP;
    RETURN made;
END
$$;
-- +goose StatementEnd

-- Drops one partition that lies wholly before a time and returns its name; an
-- empty text if there is none, or none that may go yet. Nobody can read the table
-- for the moment that this takes. A partition waits
--   while a verification is open that began before its end,
--   while a delivery in it still has its content,
--   while more has to be kept of it than can be moved in a moment.
-- The history of a verification that still has an event, a callback or a
-- transition without a place among the events moves to the default partition.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION drop_partition(before timestamptz) RETURNS text
LANGUAGE plpgsql SET lock_timeout = '500ms' AS $$
DECLARE
    most    CONSTANT integer := 10000;
    parent  text;
    part    record;
    held    boolean;
    kept    uuid[];
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('partitions', 0)) THEN
        RETURN '';
    END IF;
    FOREACH parent IN ARRAY ARRAY['delivery', 'transition'] LOOP
        FOR part IN SELECT * FROM partitions_of(parent) p WHERE p.end_id <= earliest_id(before) ORDER BY p.end_id LOOP
            -- OFFSET: what is open is few, what is old is not.
            IF EXISTS (SELECT FROM (SELECT v.id FROM verification v
                    WHERE v.state IN ('created', 'pending', 'processing', 'in_review') OFFSET 0) opened
                    WHERE opened.id < part.end_id) THEN
                RETURN '';
            END IF;
            IF parent = 'delivery' THEN
                EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE purge_time IS NULL)', part.name) INTO held;
                CONTINUE WHEN held;
            END IF;
            EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', parent);
            IF parent = 'transition' THEN
                EXECUTE format('SELECT ARRAY(
                    SELECT p.verification_id FROM event_position p WHERE p.verification_id >= $1 AND p.verification_id < $2
                    UNION SELECT c.verification_id FROM callback c WHERE c.verification_id >= $1 AND c.verification_id < $2
                    UNION SELECT t.verification_id FROM event_head h JOIN %I t
                        ON t.xid >= pg_snapshot_xmin(CAST(h.snapshot AS pg_snapshot))
                        AND NOT pg_visible_in_snapshot(t.xid, CAST(h.snapshot AS pg_snapshot))
                        AND t.xid < pg_snapshot_xmax(pg_current_snapshot())
                    LIMIT $3)', part.name) USING part.first_id, part.end_id, most INTO kept;
                CONTINUE WHEN cardinality(kept) = most;
            END IF;
            EXECUTE format('ALTER TABLE %I DETACH PARTITION %I', parent, part.name);
            IF cardinality(kept) > 0 THEN
                EXECUTE format('INSERT INTO transition SELECT * FROM %I WHERE verification_id = ANY ($1)', part.name) USING kept;
            END IF;
            EXECUTE format('DROP TABLE %I', part.name);
            RETURN part.name;
        END LOOP;
    END LOOP;
    RETURN '';
END
$$;
-- +goose StatementEnd

-- Under which keys anything is sealed: one step in the index for each, and no
-- count. An empty one is content from before deliveries were sealed.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION sealing_keys() RETURNS SETOF text LANGUAGE sql STABLE ROWS 3 AS $$
    WITH RECURSIVE used AS (
        (SELECT f.key_id FROM delivery f WHERE f.purge_time IS NULL ORDER BY f.key_id LIMIT 1)
        UNION ALL
        SELECT (SELECT n.key_id FROM delivery n WHERE n.purge_time IS NULL AND n.key_id > u.key_id ORDER BY n.key_id LIMIT 1)
        FROM used u WHERE u.key_id IS NOT NULL
    )
    SELECT key_id FROM used WHERE key_id IS NOT NULL
$$;
-- +goose StatementEnd

-- What the clock of no node can have made yet goes aside: the old tables are
-- bounded by a check.
CREATE TABLE IF NOT EXISTS delivery_default (LIKE delivery INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
CREATE TABLE IF NOT EXISTS transition_default (LIKE transition INCLUDING DEFAULTS INCLUDING CONSTRAINTS);

-- Until the end of the next four weeks everything stays where it is. What is
-- written from now on keeps to the bound; what is there is looked at next.
-- +goose StatementBegin
DO $$
DECLARE
    bound CONSTANT uuid := earliest_id(period_start(now() + interval '672 hours') + interval '672 hours');
    parent text;
    key    text;
BEGIN
    SET LOCAL lock_timeout = '10s';
    FOR parent, key IN VALUES ('delivery', 'id'), ('transition', 'verification_id') LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_constraint WHERE conrelid = parent::regclass AND conname = parent || '_first_bound')
            OR EXISTS (SELECT FROM pg_partitioned_table WHERE partrelid = parent::regclass);
        EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I CHECK (%I < %L) NOT VALID', parent, parent || '_first_bound', key, bound);
        EXECUTE format('WITH strays AS (DELETE FROM %I WHERE %I >= $1 RETURNING *) INSERT INTO %I SELECT * FROM strays',
            parent, key, parent || '_default') USING bound;
    END LOOP;
END
$$;
-- +goose StatementEnd

-- Reads both tables while everybody reads and writes them.
-- +goose StatementBegin
DO $$
DECLARE
    parent text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['delivery', 'transition'] LOOP
        IF NOT EXISTS (SELECT FROM pg_partitioned_table WHERE partrelid = parent::regclass) THEN
            EXECUTE format('ALTER TABLE %I VALIDATE CONSTRAINT %I', parent, parent || '_first_bound');
        END IF;
    END LOOP;
END
$$;
-- +goose StatementEnd

-- The old tables become the first partitions, indexes and all: this writes to the
-- catalog only, and both tables are closed for that moment.
-- +goose StatementBegin
DO $$
DECLARE
    parent text;
    key    text;
    bound  text;
    item   record;
BEGIN
    SET LOCAL lock_timeout = '10s';
    IF EXISTS (SELECT FROM pg_partitioned_table WHERE partrelid = 'delivery'::regclass) THEN
        RETURN;
    END IF;
    LOCK TABLE delivery, transition IN ACCESS EXCLUSIVE MODE;
    ALTER TABLE delivery SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05,
        autovacuum_analyze_scale_factor = 0.05);
    ALTER TABLE transition SET (autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
    FOR parent, key IN VALUES ('delivery', 'id'), ('transition', 'verification_id') LOOP
        SELECT substring(pg_get_constraintdef(oid) FROM '''([0-9a-f-]{36})''') INTO bound
        FROM pg_constraint WHERE conrelid = parent::regclass AND conname = parent || '_first_bound';
        EXECUTE format('ALTER TABLE %I RENAME TO %I', parent, parent || '_first');
        FOR item IN SELECT indexrelid::regclass::text AS name FROM pg_index WHERE indrelid = (parent || '_first')::regclass LOOP
            EXECUTE format('ALTER INDEX %s RENAME TO %I', item.name,
                overlay(item.name PLACING parent || '_first' FROM 1 FOR length(parent)));
        END LOOP;
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY RANGE (%I)',
            parent, parent || '_first', key);
        EXECUTE format('ALTER TABLE %I DROP CONSTRAINT %I', parent, parent || '_first_bound');
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (MINVALUE) TO (%L)', parent, parent || '_first', bound);
        EXECUTE format('ALTER TABLE %I DROP CONSTRAINT %I', parent || '_first', parent || '_first_bound');
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I DEFAULT', parent, parent || '_default');
        -- Whoever might do something with the old table may do it with the new one.
        FOR item IN SELECT a.privilege_type AS may, a.grantee AS who FROM pg_class c, aclexplode(c.relacl) a
                    WHERE c.oid = (parent || '_first')::regclass LOOP
            EXECUTE format('GRANT %s ON %I TO %s', item.may, parent,
                CASE item.who WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(item.who)) END);
        END LOOP;
    END LOOP;
    -- The indexes that are there already become the first partitions' share.
    ALTER TABLE delivery ADD PRIMARY KEY (id);
    CREATE INDEX delivery_page ON delivery (project, environment, id DESC);
    CREATE INDEX delivery_odd_page ON delivery (project, environment, effect, id DESC)
        WHERE effect IN ('refused', 'unmatched', 'unreadable', 'unknown');
    CREATE INDEX delivery_verification ON delivery (verification_id) WHERE verification_id IS NOT NULL;
    CREATE INDEX delivery_sealed ON delivery (key_id, receive_time) WHERE purge_time IS NULL;
    CREATE INDEX delivery_parked ON delivery (connection, product, receive_time) WHERE effect = 'unmatched';
    CREATE INDEX delivery_waiting_since ON delivery (receive_time) WHERE effect = 'unmatched' AND purge_time IS NULL;
    CREATE INDEX delivery_parked_refs ON delivery USING gin (refs) WHERE effect = 'unmatched';
    CREATE INDEX delivery_waiting ON delivery (connection, product, receive_time)
        WHERE effect = 'unmatched' AND purge_time IS NULL;
    ALTER TABLE transition ADD PRIMARY KEY (verification_id, version);
    CREATE INDEX transition_tail ON transition (xid);
    PERFORM know_xid(named) FROM unnest(ARRAY['transition_first', 'transition_default']) AS named;
    ALTER TABLE transition ALTER COLUMN xid SET (n_distinct_inherited = -0.1);
END
$$;
-- +goose StatementEnd

SELECT make_partitions(now(), now() + interval '1344 hours');

-- +goose Down

-- Everything that is left is copied into one table again, and both are closed for
-- as long as that takes.
-- +goose StatementBegin
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_partitioned_table WHERE partrelid = 'delivery'::regclass) THEN
        RETURN;
    END IF;
    LOCK TABLE delivery, transition IN ACCESS EXCLUSIVE MODE;
    ALTER TABLE delivery RENAME TO delivery_parted;
    CREATE TABLE delivery (LIKE delivery_parted INCLUDING DEFAULTS INCLUDING CONSTRAINTS) WITH (fillfactor = 90);
    INSERT INTO delivery SELECT * FROM delivery_parted;
    DROP TABLE delivery_parted;
    ALTER TABLE transition RENAME TO transition_parted;
    CREATE TABLE transition (LIKE transition_parted INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
    INSERT INTO transition SELECT * FROM transition_parted;
    DROP TABLE transition_parted;
    ALTER TABLE delivery ADD PRIMARY KEY (id);
    CREATE INDEX delivery_page ON delivery (project, environment, id DESC);
    CREATE INDEX delivery_odd_page ON delivery (project, environment, effect, id DESC)
        WHERE effect IN ('refused', 'unmatched', 'unreadable', 'unknown');
    CREATE INDEX delivery_verification ON delivery (verification_id) WHERE verification_id IS NOT NULL;
    CREATE INDEX delivery_sealed ON delivery (key_id, receive_time) WHERE purge_time IS NULL;
    CREATE INDEX delivery_parked ON delivery (connection, product, receive_time) WHERE effect = 'unmatched';
    CREATE INDEX delivery_waiting_since ON delivery (receive_time) WHERE effect = 'unmatched' AND purge_time IS NULL;
    CREATE INDEX delivery_parked_refs ON delivery USING gin (refs) WHERE effect = 'unmatched';
    CREATE INDEX delivery_waiting ON delivery (connection, product, receive_time)
        WHERE effect = 'unmatched' AND purge_time IS NULL;
    ALTER TABLE transition ADD PRIMARY KEY (verification_id, version);
    CREATE INDEX transition_tail ON transition (xid);
END
$$;
-- +goose StatementEnd
-- Those of an unfinished way up are there still.
DROP TABLE IF EXISTS delivery_default, transition_default;
ALTER TABLE delivery DROP CONSTRAINT IF EXISTS delivery_first_bound;
ALTER TABLE transition DROP CONSTRAINT IF EXISTS transition_first_bound;
DROP FUNCTION IF EXISTS sealing_keys();
DROP FUNCTION IF EXISTS drop_partition(timestamptz);
DROP FUNCTION IF EXISTS make_partitions(timestamptz, timestamptz);
DROP FUNCTION IF EXISTS know_xid(text);
DROP FUNCTION IF EXISTS partitions_of(text);
DROP FUNCTION IF EXISTS period_start(timestamptz);
DROP FUNCTION IF EXISTS earliest_id(timestamptz);
