-- +goose Up

-- What a key may do, until when, and what replaced it. The default is what a
-- caller's backend needs: keys from before get it, and so do keys that the last
-- release makes while this migration is already there.
ALTER TABLE api_key
    ADD COLUMN scopes text[] NOT NULL DEFAULT '{verifications:write,verifications:read,events:read}'
        CONSTRAINT scopes_known CHECK (cardinality(scopes) > 0 AND scopes <@ ARRAY[
            'verifications:write', 'verifications:read', 'events:read', 'operator']::text[]),
    ADD COLUMN expire_time   timestamptz,
    -- Within about a minute: a write for each call would cost more than the call.
    ADD COLUMN last_use_time timestamptz,
    -- The key that replaces this one; empty if none does.
    ADD COLUMN successor_id  text NOT NULL DEFAULT '';

CREATE INDEX api_key_scope ON api_key (project, environment, create_time, id);

-- Who did what, when and from where. Nothing in it is personal but the
-- operator's own traces.
CREATE TABLE audit_entry (
    id          uuid        PRIMARY KEY,
    -- Both are empty for what concerns the whole gateway.
    project     text        NOT NULL,
    environment text        NOT NULL,
    create_time timestamptz NOT NULL,
    actor       text        NOT NULL,
    -- Empty for what came from no network.
    address     text        NOT NULL DEFAULT '',
    action      text        NOT NULL CONSTRAINT action_known CHECK (action IN (
        'api_key.create', 'api_key.rotate', 'api_key.revoke', 'subject.erase',
        'deliveries.reencrypt', 'configuration.reload', 'configuration.refuse', 'gateway.start')),
    -- The id of what it was done to.
    target      text        NOT NULL DEFAULT '',
    details     jsonb       NOT NULL DEFAULT '{}',
    request_id  text        NOT NULL DEFAULT '',

    CONSTRAINT scope_known CHECK (
        (project <> '' AND environment IN ('live', 'test')) OR (project = '' AND environment = ''))
);

CREATE INDEX audit_entry_page ON audit_entry (project, environment, id DESC);

-- +goose StatementBegin
CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_entry is append-only: % is refused', TG_OP
        USING ERRCODE = 'insufficient_privilege',
              HINT = 'Record what is to be corrected as an entry of its own.';
END
$$;
-- +goose StatementEnd

-- For each statement, so that one that meets no row is refused as well.
CREATE TRIGGER audit_entry_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entry
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
-- Replication's way of switching triggers off does not reach this one.
ALTER TABLE audit_entry ENABLE ALWAYS TRIGGER audit_entry_append_only;

-- When everything personal was removed from the row.
ALTER TABLE verification ADD COLUMN erase_time timestamptz;

-- What the limits of a flow, and of one subject in it, count.
CREATE INDEX verification_open ON verification (project, environment, flow, subject)
    WHERE state IN ('created', 'pending', 'processing', 'in_review');
-- Pages of one flow: a flow that has few of them must not cost a walk over all.
CREATE INDEX verification_flow_page ON verification (project, environment, flow, id DESC);

-- A repeat is kept without its content from now on: the first one has it. Those
-- from before name nobody that an erasure could find them by.
UPDATE delivery SET body = '', headers = '{}', keys = '{}', refs = '{}', named_id = ''
WHERE effect = 'duplicate' AND verification_id IS NULL;

-- Headers and body are sealed from now on, under the key that key_id names. An
-- empty key_id is a row from before, or one that the last release wrote while
-- this migration was already there: its headers are JSON text, its body is as
-- it came. Changing the type rewrites the table, which is closed meanwhile.
ALTER TABLE delivery
    ALTER COLUMN headers TYPE bytea USING convert_to(headers::text, 'UTF8'),
    ALTER COLUMN headers DROP NOT NULL,
    ALTER COLUMN body DROP NOT NULL,
    ADD COLUMN key_id text NOT NULL DEFAULT '',
    -- When headers and body were removed.
    ADD COLUMN purge_time timestamptz;

UPDATE delivery SET headers = NULL, body = NULL, purge_time = coalesce(apply_time, receive_time)
WHERE effect = 'duplicate' AND verification_id IS NULL;

-- An adapter's key may contain a provider's id: only its hash is kept. Adapters
-- begin theirs with a word, so what is a hash already was up here before.
UPDATE delivery SET dedupe_key = encode(sha256(convert_to(dedupe_key, 'UTF8')), 'hex')
WHERE dedupe_key !~ '^[0-9a-f]{64}$';
UPDATE seen SET dedupe_key = encode(sha256(convert_to(dedupe_key, 'UTF8')), 'hex')
WHERE dedupe_key !~ '^[0-9a-f]{64}$';

ALTER TABLE delivery ADD CONSTRAINT purged_exactly_when_empty CHECK (
    (body IS NULL) = (purge_time IS NOT NULL) AND (headers IS NULL) = (purge_time IS NOT NULL)
    AND (purge_time IS NULL OR key_id = '' AND keys = '{}' AND named_id = ''
         -- What nobody was found for keeps its refs, hashed.
         AND (refs = '{}' OR effect = 'unmatched')));

-- What the purge reads: what still has its content, oldest first.
CREATE INDEX delivery_unpurged ON delivery (receive_time) WHERE purge_time IS NULL;
-- What an erasure reads.
CREATE INDEX delivery_verification ON delivery (verification_id) WHERE verification_id IS NOT NULL;
CREATE INDEX return_hint_verification ON return_hint (verification_id);

-- +goose Down

-- The way down cannot open, unhash or bring back. What was sealed or purged
-- comes out empty; dedupe keys and the refs of erased verifications stay
-- hashed; the audit log is dropped.
DROP INDEX return_hint_verification, delivery_verification, delivery_unpurged, verification_flow_page, verification_open,
    api_key_scope;

ALTER TABLE delivery DROP CONSTRAINT purged_exactly_when_empty;
UPDATE delivery SET headers = convert_to('{}', 'UTF8'), body = '' WHERE purge_time IS NOT NULL OR key_id <> '';
ALTER TABLE delivery
    ALTER COLUMN headers TYPE jsonb USING convert_from(headers, 'UTF8')::jsonb,
    ALTER COLUMN headers SET NOT NULL,
    ALTER COLUMN body SET NOT NULL,
    DROP COLUMN key_id,
    DROP COLUMN purge_time;

ALTER TABLE verification DROP COLUMN erase_time;

DROP TABLE audit_entry;
DROP FUNCTION refuse_audit_change;

-- The schema before knows neither scopes nor an end: a key that had less than a
-- backend's scopes, or an end, is revoked rather than made mightier.
UPDATE api_key SET revoke_time = now()
WHERE revoke_time IS NULL
  AND (expire_time IS NOT NULL OR NOT scopes @> '{verifications:write,verifications:read,events:read}');
ALTER TABLE api_key
    DROP COLUMN scopes,
    DROP COLUMN expire_time,
    DROP COLUMN last_use_time,
    DROP COLUMN successor_id;
