-- +goose NO TRANSACTION
-- +goose Up

-- By what a verification is found and listed. None of it changes with the state,
-- so a change of state leaves these indexes alone: on the table verification each
-- of them would take a new entry every time. The row in verification is the truth,
-- and this follows it within the same transaction.
CREATE TABLE IF NOT EXISTS verification_lookup (
    project     text  NOT NULL,
    environment text  NOT NULL,
    id          uuid  NOT NULL,
    flow        text  NOT NULL,
    subject     text  NOT NULL,
    reference   text  NOT NULL,
    nonce_hash  bytea NOT NULL,

    -- Keyset pages, newest first: a UUIDv7 sorts by time.
    PRIMARY KEY (project, environment, id)
) WITH (autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02);

-- Whoever may do something with verification may do it with this as well.
-- +goose StatementBegin
DO $$
DECLARE
    item record;
BEGIN
    FOR item IN SELECT a.privilege_type AS may, a.grantee AS who FROM pg_class c, aclexplode(c.relacl) a
                WHERE c.oid = 'verification'::regclass LOOP
        EXECUTE format('GRANT %s ON verification_lookup TO %s', item.may,
            CASE item.who WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(item.who)) END);
    END LOOP;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION keep_lookup() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        DELETE FROM verification_lookup WHERE project = OLD.project AND environment = OLD.environment AND id = OLD.id;
        RETURN NULL;
    END IF;
    INSERT INTO verification_lookup (project, environment, id, flow, subject, reference, nonce_hash)
    VALUES (NEW.project, NEW.environment, NEW.id, NEW.flow, NEW.subject, NEW.reference, NEW.nonce_hash)
    ON CONFLICT (project, environment, id) DO UPDATE SET subject = EXCLUDED.subject, reference = EXCLUDED.reference;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

-- Before the old rows are copied, so that none falls between the two.
-- +goose StatementBegin
DO $$
BEGIN
    SET LOCAL lock_timeout = '10s';
    CREATE OR REPLACE TRIGGER verification_lookup AFTER INSERT OR UPDATE OF subject, reference OR DELETE ON verification
        FOR EACH ROW EXECUTE FUNCTION keep_lookup();
END
$$;
-- +goose StatementEnd

-- In small steps: an erasure waits for one of them at most, and in its order, so that
-- none waits for the other in a ring. What is there already stays, because it may be
-- newer.
-- +goose StatementBegin
DO $$
DECLARE
    last uuid;
    upto uuid := '00000000-0000-0000-0000-000000000000';
BEGIN
    LOOP
        last := upto;
        SELECT page.id INTO upto FROM (SELECT id FROM verification WHERE id > last ORDER BY id LIMIT 10000) page
        ORDER BY page.id DESC LIMIT 1;
        EXIT WHEN upto IS NULL;
        INSERT INTO verification_lookup (project, environment, id, flow, subject, reference, nonce_hash)
        SELECT project, environment, id, flow, subject, reference, nonce_hash FROM verification
        WHERE id > last AND id <= upto ORDER BY id
        ON CONFLICT (project, environment, id) DO NOTHING;
        COMMIT;
    END LOOP;
END
$$;
-- +goose StatementEnd

-- What somebody deleted while it was copied.
DELETE FROM verification_lookup l WHERE NOT EXISTS (SELECT FROM verification v WHERE v.id = l.id);

-- Built while everybody writes. A build that was interrupted leaves an index that
-- nobody may use: it goes first.
DROP INDEX CONCURRENTLY IF EXISTS verification_lookup_flow;
CREATE INDEX CONCURRENTLY verification_lookup_flow ON verification_lookup (project, environment, flow, id);
DROP INDEX CONCURRENTLY IF EXISTS verification_lookup_subject;
CREATE INDEX CONCURRENTLY verification_lookup_subject ON verification_lookup (project, environment, subject, id);
DROP INDEX CONCURRENTLY IF EXISTS verification_lookup_reference;
CREATE INDEX CONCURRENTLY verification_lookup_reference ON verification_lookup (project, environment, reference, id)
    WHERE reference <> '';
DROP INDEX CONCURRENTLY IF EXISTS verification_lookup_nonce;
CREATE UNIQUE INDEX CONCURRENTLY verification_lookup_nonce ON verification_lookup (nonce_hash);
ANALYZE verification_lookup;

DROP INDEX CONCURRENTLY IF EXISTS verification_page;
DROP INDEX CONCURRENTLY IF EXISTS verification_flow_page;
DROP INDEX CONCURRENTLY IF EXISTS verification_subject_page;
DROP INDEX CONCURRENTLY IF EXISTS verification_reference;
DROP INDEX CONCURRENTLY IF EXISTS verification_nonce;

-- +goose Down

DROP INDEX CONCURRENTLY IF EXISTS verification_page;
CREATE INDEX CONCURRENTLY verification_page ON verification (project, environment, id DESC);
DROP INDEX CONCURRENTLY IF EXISTS verification_flow_page;
CREATE INDEX CONCURRENTLY verification_flow_page ON verification (project, environment, flow, id DESC);
DROP INDEX CONCURRENTLY IF EXISTS verification_subject_page;
CREATE INDEX CONCURRENTLY verification_subject_page ON verification (project, environment, subject, id DESC);
DROP INDEX CONCURRENTLY IF EXISTS verification_reference;
CREATE INDEX CONCURRENTLY verification_reference ON verification (project, environment, reference, id DESC) WHERE reference <> '';
DROP INDEX CONCURRENTLY IF EXISTS verification_nonce;
CREATE UNIQUE INDEX CONCURRENTLY verification_nonce ON verification (nonce_hash);
DROP TRIGGER IF EXISTS verification_lookup ON verification;
DROP FUNCTION IF EXISTS keep_lookup();
DROP TABLE IF EXISTS verification_lookup;
