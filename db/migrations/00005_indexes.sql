-- +goose NO TRANSACTION
-- +goose Up

-- Built while everybody writes, which no transaction can do. A build that was
-- interrupted leaves an index that nobody may use: it goes first.

-- What the purge reads: what still has its content, oldest first, by the key that
-- it is sealed under, so that the keys in use are known without counting.
DROP INDEX CONCURRENTLY IF EXISTS delivery_sealed;
CREATE INDEX CONCURRENTLY delivery_sealed ON delivery (key_id, receive_time) WHERE purge_time IS NULL;
DROP INDEX CONCURRENTLY IF EXISTS delivery_unpurged;

-- What waits and can still be applied: what was purged unmatched stays in
-- delivery_parked, and would be walked through each time.
DROP INDEX CONCURRENTLY IF EXISTS delivery_waiting;
CREATE INDEX CONCURRENTLY delivery_waiting ON delivery (connection, product, receive_time)
    WHERE effect = 'unmatched' AND purge_time IS NULL;
DROP INDEX CONCURRENTLY IF EXISTS delivery_waiting_since;
CREATE INDEX CONCURRENTLY delivery_waiting_since ON delivery (receive_time) WHERE effect = 'unmatched' AND purge_time IS NULL;
DROP INDEX CONCURRENTLY IF EXISTS delivery_parked_since;
-- Which of what waits tells of a ref.
DROP INDEX CONCURRENTLY IF EXISTS delivery_parked_refs;
CREATE INDEX CONCURRENTLY delivery_parked_refs ON delivery USING gin (refs) WHERE effect = 'unmatched';

-- Pages of states that few verifications are in at a time. What ends well leaves
-- it and costs it nothing.
DROP INDEX CONCURRENTLY IF EXISTS verification_rare_page;
CREATE INDEX CONCURRENTLY verification_rare_page ON verification (project, environment, state, id DESC)
    WHERE state IN ('created', 'pending', 'processing', 'in_review', 'failed');

-- Ends a transaction in which a statement wrote less than it was meant to. The
-- codes that begin with VG are Verigate's.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION written_all(written bigint, meant integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF written <> meant THEN
        RAISE EXCEPTION '% of % rows were written', written, meant USING ERRCODE = 'VG001';
    END IF;
END
$$;
-- +goose StatementEnd

-- Autovacuum comes when a share of a table changed, a fifth by default: of ten
-- million rows that is too late and too much at once. Rows of these change or go,
-- most of them more than once. event_head has one row, whose old versions go as
-- its page is read, and River's jobs are deleted soon and stay few: the defaults
-- suit both.
ALTER TABLE verification SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE callback SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE callback_attempt SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05);
ALTER TABLE event_position SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05);
-- Insert-only: vacuum freezes them in small steps.
ALTER TABLE seen SET (autovacuum_vacuum_insert_scale_factor = 0.05);
ALTER TABLE provider_ref SET (autovacuum_vacuum_insert_scale_factor = 0.05);
ALTER TABLE idempotency SET (autovacuum_vacuum_insert_scale_factor = 0.05);

-- +goose Down

ALTER TABLE idempotency RESET (autovacuum_vacuum_insert_scale_factor);
ALTER TABLE provider_ref RESET (autovacuum_vacuum_insert_scale_factor);
ALTER TABLE seen RESET (autovacuum_vacuum_insert_scale_factor);
ALTER TABLE event_position RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_insert_scale_factor);
ALTER TABLE callback_attempt RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_insert_scale_factor);
ALTER TABLE callback RESET (autovacuum_vacuum_scale_factor, autovacuum_analyze_scale_factor);
ALTER TABLE verification RESET (autovacuum_vacuum_scale_factor, autovacuum_analyze_scale_factor);
DROP FUNCTION IF EXISTS written_all(bigint, integer);
DROP INDEX CONCURRENTLY IF EXISTS delivery_unpurged;
CREATE INDEX CONCURRENTLY delivery_unpurged ON delivery (receive_time) WHERE purge_time IS NULL;
DROP INDEX CONCURRENTLY IF EXISTS delivery_parked_since;
CREATE INDEX CONCURRENTLY delivery_parked_since ON delivery (receive_time) WHERE effect = 'unmatched';
DROP INDEX CONCURRENTLY IF EXISTS delivery_waiting_since;
DROP INDEX CONCURRENTLY IF EXISTS verification_rare_page;
DROP INDEX CONCURRENTLY IF EXISTS delivery_parked_refs;
DROP INDEX CONCURRENTLY IF EXISTS delivery_waiting;
DROP INDEX CONCURRENTLY IF EXISTS delivery_sealed;
