-- +goose Up

-- One attempt to verify one subject through one flow. The row is the truth;
-- everything else is a view of it or a request to change it.
CREATE TABLE verification (
    id                    uuid        PRIMARY KEY,
    project               text        NOT NULL,
    environment           text        NOT NULL CONSTRAINT environment_known CHECK (environment IN ('live', 'test')),
    flow                  text        NOT NULL,
    connection            text        NOT NULL,
    product               text        NOT NULL,
    subject               text        NOT NULL,
    reference             text        NOT NULL DEFAULT '',
    metadata              jsonb       NOT NULL DEFAULT '{}',

    state                 text        NOT NULL CONSTRAINT state_known CHECK (state IN (
        'created', 'pending', 'processing', 'in_review',
        'approved', 'declined', 'expired', 'canceled', 'failed')),
    version               bigint      NOT NULL CONSTRAINT version_positive CHECK (version >= 1),
    reason_codes          text[]      NOT NULL DEFAULT '{}',
    match                 text        NOT NULL DEFAULT '' CONSTRAINT match_known CHECK (match IN ('', 'exact', 'inferred', 'bound')),

    hosted_url            text        NOT NULL DEFAULT '',
    redirect_url          text        NOT NULL DEFAULT '',
    failure_redirect_url  text        NOT NULL DEFAULT '',
    callback_url          text        NOT NULL DEFAULT '',
    events_callback_url   text        NOT NULL DEFAULT '',

    -- SHA-256 of the return leg's nonce: a reader of the table cannot return
    -- for somebody.
    nonce_hash            bytea       NOT NULL,
    -- The lane this verification holds while its flow is exclusive.
    lane                  text,

    create_time           timestamptz NOT NULL,
    update_time           timestamptz NOT NULL,
    expire_time           timestamptz NOT NULL,
    -- Until when a signed decision may still overturn `expired`.
    grace_until           timestamptz NOT NULL,
    -- Until when the provider's page works; it may outlive expire_time.
    page_until            timestamptz NOT NULL,
    -- When the person first came back through the return leg.
    return_time           timestamptz,
    -- When a webhook first tied a provider ref to this row.
    bind_time             timestamptz,
    final_time            timestamptz,

    CONSTRAINT final_exactly_when_terminal CHECK (
        (final_time IS NOT NULL) = (state IN ('approved', 'declined', 'expired', 'canceled', 'failed'))),
    CONSTRAINT grace_after_expiry CHECK (grace_until >= expire_time)
) WITH (fillfactor = 80);

-- Keyset pages, newest first: a UUIDv7 sorts by time.
CREATE INDEX verification_page ON verification (project, environment, id DESC);
CREATE INDEX verification_subject_page ON verification (project, environment, subject, id DESC);
CREATE INDEX verification_reference ON verification (project, environment, reference, id DESC) WHERE reference <> '';
CREATE UNIQUE INDEX verification_nonce ON verification (nonce_hash);
-- What the expiry sweep reads: only what is still open.
CREATE INDEX verification_overdue ON verification (expire_time)
    WHERE state IN ('created', 'pending', 'processing', 'in_review');
-- What the start sweep reads: starts that died before the provider answered.
CREATE INDEX verification_unstarted ON verification (create_time) WHERE state = 'created';
-- What correlation reads: rows that a webhook without a key might belong to.
CREATE INDEX verification_candidate ON verification (connection, product, greatest(grace_until, page_until))
    WHERE state IN ('created', 'pending', 'processing', 'in_review', 'expired', 'canceled');
CREATE INDEX verification_returned ON verification (connection, product, return_time) WHERE return_time IS NOT NULL;
-- Correlation asks who was decided after a webhook that waits had arrived.
CREATE INDEX verification_decided ON verification (connection, product, final_time)
    WHERE state IN ('approved', 'declined', 'failed');
-- One holder per exclusive lane; the database refuses a second.
CREATE UNIQUE INDEX verification_lane ON verification (lane) WHERE lane IS NOT NULL;

-- Every recorded change of state, and the outbox: watchers, callbacks and the
-- event stream all follow it after the commit. Insert-only.
CREATE TABLE transition (
    verification_id uuid        NOT NULL,
    version         bigint      NOT NULL CONSTRAINT version_positive CHECK (version >= 1),
    project         text        NOT NULL,
    environment     text        NOT NULL CONSTRAINT environment_known CHECK (environment IN ('live', 'test')),
    from_state      text        NOT NULL,
    to_state        text        NOT NULL,
    event           text        NOT NULL,
    source          text        NOT NULL CONSTRAINT source_known CHECK (source IN (
        'caller', 'gateway', 'provider', 'return', 'clock', 'operator')),
    -- The rung of the correlation ladder that found the verification.
    rung            text        NOT NULL DEFAULT '' CONSTRAINT rung_known CHECK (rung IN (
        '', 'payload_key', 'bound_ref', 'return_hint', 'sole_returned', 'sole_open')),
    match           text        NOT NULL DEFAULT '' CONSTRAINT match_known CHECK (match IN ('', 'exact', 'inferred', 'bound')),
    reason_codes    text[]      NOT NULL DEFAULT '{}',
    -- Why, in the words of whoever asked: a cancel, later an override.
    reason          text        NOT NULL DEFAULT '',
    delivery_id     uuid,
    create_time     timestamptz NOT NULL,
    -- The writing transaction: what a tail compares with its last snapshot, so
    -- that rows which commit late are not skipped.
    xid             xid8        NOT NULL DEFAULT pg_current_xact_id(),

    PRIMARY KEY (verification_id, version),
    CONSTRAINT created_once CHECK ((version = 1) = (from_state = ''))
);

CREATE INDEX transition_tail ON transition (xid);

-- One webhook request as it arrived, raw bytes included.
CREATE TABLE delivery (
    id              uuid        PRIMARY KEY,
    project         text        NOT NULL,
    environment     text        NOT NULL CONSTRAINT environment_known CHECK (environment IN ('live', 'test')),
    connection      text        NOT NULL,
    receive_time    timestamptz NOT NULL,
    headers         jsonb       NOT NULL,
    body            bytea       NOT NULL,
    dedupe_key      text        NOT NULL,
    -- The provider's own name of what happened.
    provider_event  text        NOT NULL DEFAULT '',
    -- What the adapter found, in our words; empty when unreadable.
    event           text        NOT NULL DEFAULT '',
    product         text        NOT NULL DEFAULT '',
    -- Every ref in the payload that may name a verification.
    keys            text[]      NOT NULL DEFAULT '{}',
    refs            text[]      NOT NULL DEFAULT '{}',
    named_id        text        NOT NULL DEFAULT '',
    reason_codes    text[]      NOT NULL DEFAULT '{}',
    provider_time   timestamptz,
    -- What applying it did.
    effect          text        NOT NULL CONSTRAINT effect_known CHECK (effect IN (
        'applied', 'duplicate', 'stale', 'refused', 'unmatched', 'unreadable', 'unknown', 'ping')),
    verification_id uuid,
    apply_time      timestamptz,

    CONSTRAINT unmatched_has_no_verification CHECK (effect <> 'unmatched' OR verification_id IS NULL)
) WITH (fillfactor = 90);

-- What waits for evidence: read when a ref is bound, a person returns, and by
-- the sweep.
CREATE INDEX delivery_parked ON delivery (connection, product, receive_time) WHERE effect = 'unmatched';
CREATE INDEX delivery_parked_since ON delivery (receive_time) WHERE effect = 'unmatched';
CREATE INDEX delivery_page ON delivery (project, environment, id DESC);

-- Slim dedupe: outlives the bodies, so a late repeat is still recognised.
CREATE TABLE seen (
    connection  text        NOT NULL,
    dedupe_key  text        NOT NULL,
    delivery_id uuid        NOT NULL,
    create_time timestamptz NOT NULL,
    PRIMARY KEY (connection, dedupe_key)
);

-- Which verification a provider ref means. The primary key lets a ref belong to
-- one verification only; the first binding wins.
CREATE TABLE provider_ref (
    connection      text        NOT NULL,
    ref             text        NOT NULL,
    verification_id uuid        NOT NULL,
    match           text        NOT NULL CONSTRAINT match_known CHECK (match IN ('exact', 'inferred', 'bound')),
    create_time     timestamptz NOT NULL,
    PRIMARY KEY (connection, ref)
);

CREATE INDEX provider_ref_verification ON provider_ref (verification_id);
-- What the sweep reads: bindings that something may have waited for.
CREATE INDEX provider_ref_recent ON provider_ref (create_time);

-- Refs that a returning person claimed. Anybody can claim anything: a claim
-- only selects among candidates, and two claims on one ref cancel out.
CREATE TABLE return_hint (
    connection      text        NOT NULL,
    ref             text        NOT NULL,
    verification_id uuid        NOT NULL,
    create_time     timestamptz NOT NULL,
    PRIMARY KEY (connection, ref, verification_id)
);

-- Answers of StartVerification by the caller's idempotency key.
CREATE TABLE idempotency (
    project         text        NOT NULL,
    environment     text        NOT NULL CONSTRAINT environment_known CHECK (environment IN ('live', 'test')),
    key             text        NOT NULL,
    request_hash    bytea       NOT NULL,
    verification_id uuid        NOT NULL,
    create_time     timestamptz NOT NULL,
    PRIMARY KEY (project, environment, key)
);

-- A start that failed gives its key back.
CREATE INDEX idempotency_verification ON idempotency (verification_id);

-- Callers' API keys. Only a hash of the secret half is stored.
CREATE TABLE api_key (
    id          text        PRIMARY KEY,
    project     text        NOT NULL,
    environment text        NOT NULL CONSTRAINT environment_known CHECK (environment IN ('live', 'test')),
    name        text        NOT NULL,
    secret_hash bytea       NOT NULL CONSTRAINT secret_is_sha256 CHECK (length(secret_hash) = 32),
    create_time timestamptz NOT NULL,
    revoke_time timestamptz
);

-- +goose Down
DROP TABLE api_key, idempotency, return_hint, provider_ref, seen, delivery, transition, verification;
