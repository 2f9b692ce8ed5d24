-- name: HintNotify :exec
-- Notifies a channel with each message, in a transaction of its own that waits
-- for no disk: a hint need not survive a crash, and all transactions that notify
-- take turns until their commit is done.
SELECT set_config('synchronous_commit', 'off', true), pg_notify(@channel::text, message)
FROM unnest(@messages::text[]) AS message;

-- name: DatabaseIdentity :one
-- What a database has and no other: the identifier of its cluster, which a
-- standby that takes over keeps, and its name there.
SELECT c.system_identifier::bigint AS cluster, current_database()::text AS database FROM pg_control_system() AS c;
