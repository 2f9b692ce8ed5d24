-- +goose Up

ALTER TABLE verification
    -- When the provider is asked next; null if it is not going to be.
    ADD COLUMN fetch_time timestamptz,
    -- How often it was asked since something last changed.
    ADD COLUMN fetches    integer NOT NULL DEFAULT 0;

-- What reconciliation reads.
CREATE INDEX verification_fetch ON verification (fetch_time) WHERE fetch_time IS NOT NULL;
-- How old the oldest open verification of a connection is.
CREATE INDEX verification_unresolved ON verification (connection, create_time)
    WHERE state IN ('created', 'pending', 'processing', 'in_review');

ALTER TABLE transition
    DROP CONSTRAINT source_known,
    ADD CONSTRAINT source_known CHECK (source IN (
        'caller', 'gateway', 'provider', 'return', 'clock', 'operator', 'poll')),
    DROP CONSTRAINT rung_known,
    ADD CONSTRAINT rung_known CHECK (rung IN (
        '', 'payload_key', 'bound_ref', 'return_hint', 'sole_returned', 'sole_open', 'operator'));

ALTER TABLE delivery
    -- What the provider said of the verification, in its own words.
    ADD COLUMN provider_status text NOT NULL DEFAULT '',
    DROP CONSTRAINT effect_known,
    ADD CONSTRAINT effect_known CHECK (effect IN (
        'applied', 'duplicate', 'stale', 'refused', 'unmatched', 'unreadable', 'unknown', 'ping', 'noted'));

-- Pages of what wants an operator's eye: rare among what went well.
CREATE INDEX delivery_odd_page ON delivery (project, environment, effect, id DESC)
    WHERE effect IN ('refused', 'unmatched', 'unreadable', 'unknown');

ALTER TABLE audit_entry
    DROP CONSTRAINT action_known,
    ADD CONSTRAINT action_known CHECK (action IN (
        'api_key.create', 'api_key.rotate', 'api_key.revoke', 'subject.erase',
        'verification.override', 'delivery.read', 'delivery.replay', 'delivery.bind', 'callback.retry',
        'deliveries.reencrypt', 'configuration.reload', 'configuration.refuse', 'gateway.start'));

-- The place of each transition in the total order that the event stream has.
-- Transitions commit in any order; they get their places afterwards, one after
-- the other, so that nothing ever appears before a place that was seen.
CREATE TABLE event_position (
    verification_id uuid        NOT NULL,
    version         bigint      NOT NULL,
    project         text        NOT NULL,
    environment     text        NOT NULL CONSTRAINT environment_known CHECK (environment IN ('live', 'test')),
    position        bigint      NOT NULL,
    create_time     timestamptz NOT NULL,

    PRIMARY KEY (verification_id, version)
);

CREATE UNIQUE INDEX event_position_order ON event_position (position);
CREATE INDEX event_position_page ON event_position (project, environment, position);

-- How far the transition log was read. Whoever holds its one row gives places.
CREATE TABLE event_head (
    only_row boolean PRIMARY KEY DEFAULT true CONSTRAINT only_row_true CHECK (only_row),
    -- The last place that was given.
    position bigint NOT NULL,
    -- The snapshot in which the transition log was last read.
    snapshot text   NOT NULL,
    -- The last place whose callback was queued.
    queued   bigint NOT NULL
);

-- What happened before is in the stream as well; nobody is called back about it.
INSERT INTO event_position (verification_id, version, project, environment, position, create_time)
SELECT verification_id, version, project, environment,
    row_number() OVER (ORDER BY at, verification_id, version), create_time
FROM (SELECT *, max(create_time) OVER (PARTITION BY verification_id ORDER BY version) AS at FROM transition) AS log;
INSERT INTO event_head (position, snapshot, queued)
SELECT coalesce(max(position), 0), pg_current_snapshot()::text, coalesce(max(position), 0) FROM event_position;

-- One signed message to a caller's backend: one transition, one callback.
CREATE TABLE callback (
    id              uuid        PRIMARY KEY,
    project         text        NOT NULL,
    environment     text        NOT NULL CONSTRAINT environment_known CHECK (environment IN ('live', 'test')),
    verification_id uuid        NOT NULL,
    version         bigint      NOT NULL,
    channel         text        NOT NULL CONSTRAINT channel_known CHECK (channel IN ('decisions', 'events')),
    -- Empty once its subject was erased.
    url             text        NOT NULL,
    state           text        NOT NULL CONSTRAINT callback_state_known CHECK (state IN ('waiting', 'pending', 'delivered', 'dead')),
    -- Why the last attempt failed, or why it is dead.
    reason          text        NOT NULL DEFAULT '',
    attempts        integer     NOT NULL DEFAULT 0,
    create_time     timestamptz NOT NULL,
    -- Since when it is tried; null while it waits.
    first_time      timestamptz,
    -- When it is tried next; null unless pending.
    next_time       timestamptz,
    finish_time     timestamptz,

    CONSTRAINT callback_once UNIQUE (verification_id, version),
    CONSTRAINT next_exactly_when_pending CHECK ((next_time IS NOT NULL) = (state = 'pending')),
    CONSTRAINT finished_exactly_when_over CHECK ((finish_time IS NOT NULL) = (state IN ('delivered', 'dead')))
) WITH (fillfactor = 80);

CREATE INDEX callback_page ON callback (project, environment, id DESC);
CREATE INDEX callback_dead_page ON callback (project, environment, id DESC) WHERE state = 'dead';
-- What keeps the order: the unfinished callbacks of one verification.
CREATE INDEX callback_unfinished ON callback (verification_id, version) WHERE state IN ('waiting', 'pending');
-- How old the oldest callback is that nobody took yet.
CREATE INDEX callback_oldest ON callback (first_time) WHERE state = 'pending';
-- What the purge reads.
CREATE INDEX callback_finished ON callback (finish_time) WHERE finish_time IS NOT NULL;

-- Each attempt at delivering a callback.
CREATE TABLE callback_attempt (
    callback_id uuid        NOT NULL,
    number      integer     NOT NULL,
    project     text        NOT NULL,
    environment text        NOT NULL CONSTRAINT environment_known CHECK (environment IN ('live', 'test')),
    start_time  timestamptz NOT NULL,
    -- How long it took, in milliseconds.
    duration_ms bigint      NOT NULL,
    -- The receiver's HTTP status; 0 if there was no answer.
    status_code integer     NOT NULL,
    -- Why it failed; empty if it was taken.
    reason      text        NOT NULL,

    PRIMARY KEY (callback_id, number)
);

-- +goose Down

DROP TABLE callback_attempt, callback, event_head, event_position;

-- The release before does not know these words: what they name takes the
-- nearest one that it knows.
ALTER TABLE audit_entry DISABLE TRIGGER audit_entry_append_only;
DELETE FROM audit_entry WHERE action IN (
    'verification.override', 'delivery.read', 'delivery.replay', 'delivery.bind', 'callback.retry');
ALTER TABLE audit_entry ENABLE ALWAYS TRIGGER audit_entry_append_only;
ALTER TABLE audit_entry
    DROP CONSTRAINT action_known,
    ADD CONSTRAINT action_known CHECK (action IN (
        'api_key.create', 'api_key.rotate', 'api_key.revoke', 'subject.erase',
        'deliveries.reencrypt', 'configuration.reload', 'configuration.refuse', 'gateway.start'));

DROP INDEX delivery_odd_page;
UPDATE delivery SET effect = 'stale' WHERE effect = 'noted';
ALTER TABLE delivery
    DROP CONSTRAINT effect_known,
    ADD CONSTRAINT effect_known CHECK (effect IN (
        'applied', 'duplicate', 'stale', 'refused', 'unmatched', 'unreadable', 'unknown', 'ping')),
    DROP COLUMN provider_status;

UPDATE transition SET rung = '' WHERE rung = 'operator';
UPDATE transition SET source = 'provider' WHERE source = 'poll';
ALTER TABLE transition
    DROP CONSTRAINT source_known,
    ADD CONSTRAINT source_known CHECK (source IN (
        'caller', 'gateway', 'provider', 'return', 'clock', 'operator')),
    DROP CONSTRAINT rung_known,
    ADD CONSTRAINT rung_known CHECK (rung IN (
        '', 'payload_key', 'bound_ref', 'return_hint', 'sole_returned', 'sole_open'));

DROP INDEX verification_unresolved, verification_fetch;
ALTER TABLE verification DROP COLUMN fetch_time, DROP COLUMN fetches;
