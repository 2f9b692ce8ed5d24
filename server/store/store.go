// Package store keeps the domain's rows in Postgres, over the queries that sqlc
// generates from db/queries into gen/sqlc.
//
// It owns connections, transactions, the translation of rows and database
// errors into the domain's words, and what is kept how: raw deliveries sealed,
// dedupe keys and the provider refs of erased verifications hashed. No pgx type
// and no database text leaves it. It decides nothing: which row may change, and
// how, is the business of packages verification and access. It must not import
// rpc, webhook, watch or an adapter.
//
//	verification.Service ── InTx ──► tx ── gen/sqlc ──► Postgres
//	a delivery's headers and body ── sealer, seal.Keyring ──► delivery
//	access.Admin ── AddKey, ChangeKey ──► api_key and audit_entry, together
//	maintenance ── PurgeDeliveries, Reencrypt, KeysInUse ──► delivery
//	deliveries that arrive together ── InBatch ──► one transaction, statements over all of them
//	partitions ── MakePartitions, DropPartitions ──► delivery, transition
//	callback.Dispatcher ── SequenceEvents, QueueCallbacks ──► event_position, callback and their jobs
//	callback.Worker ── BeginAttempt, FinishAttempt ──► callback and callback_attempt
//	reconcile.Scheduler ── EnqueueFetches ──► verification's leases and their jobs
//	Work ── River ──► workers of packages callback and reconcile
//	List, AuditEntries ── wait for a turn ──► at most half of the connections
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/verigate/verigate/db"
	"github.com/verigate/verigate/gen/sqlc"
	"github.com/verigate/verigate/server/seal"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/verification"
)

// Store is the database of one gateway. It is safe for concurrent use.
type Store struct {
	pool *pgxpool.Pool
	// batches are the connections of deliveries that arrive together.
	batches *pgxpool.Pool
	queries *sqlc.Queries
	sealer  sealer
	// lists holds one token for each list that has its turn.
	lists chan struct{}
	// streams holds one for each event stream that reads.
	streams chan struct{}
	// river puts jobs into the queue and does none.
	river *river.Client[pgx.Tx]
}

var _ verification.Store = (*Store)(nil)

// maxTries is how often a transaction runs when the database asks for it.
const maxTries = 4

// Open connects lazily: it fails on a bad DSN only. Ping tells whether the
// database answers. The pool has at most 16 connections unless the DSN says
// pool_max_conns, and deliveries that arrive together have two more. keyring returns the keys that deliveries are sealed under;
// it is asked each time, so that keys may change while the store is open. It may
// be nil in a tool that never touches what is in a delivery: keeping or opening
// one then fails, and nothing is ever stored unsealed.
func Open(ctx context.Context, dsn secret.Value, keyring func() *seal.Keyring) (*Store, error) {
	config, err := poolConfig(dsn)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open the database pool: %w", err)
	}
	batches, err := pgxpool.NewWithConfig(ctx, batchPoolConfig(config))
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("open the database pool of batches: %w", err)
	}
	queue, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Schema: db.QueueSchema, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		batches.Close()
		pool.Close()
		return nil, fmt.Errorf("open the job queue: %w", err)
	}
	return &Store{
		pool: pool, batches: batches, queries: sqlc.New(), sealer: sealer{keyring}, river: queue,
		lists:   make(chan struct{}, listTurns(config.MaxConns)),
		streams: make(chan struct{}, streamTurns(config.MaxConns)),
	}, nil
}

// Close waits for borrowed connections and closes the pools.
func (s *Store) Close() {
	s.batches.Close()
	s.pool.Close()
}

// Ping reports whether the database answers: nil or KindUnavailable.
func (s *Store) Ping(ctx context.Context) error {
	return translate(s.pool.Ping(ctx))
}

// InTx runs fn in one transaction and commits it when fn returns nil. It runs
// fn again when the database reports a deadlock or a serialization failure.
func (s *Store) InTx(ctx context.Context, fn func(verification.Tx) error) error {
	return s.inTx(ctx, func(t *tx) error { return fn(t) })
}

func (s *Store) inTx(ctx context.Context, fn func(*tx) error) error {
	var err error
	for range maxTries {
		err = pgx.BeginFunc(ctx, s.pool, func(ptx pgx.Tx) error {
			return fn(&tx{queries: s.queries, db: ptx, sealer: s.sealer, river: s.river})
		})
		if !isRace(err) {
			break
		}
	}
	return translate(err)
}

// Postgres error codes, from its manual's appendix A.
const (
	codeUniqueViolation      = "23505"
	codeSerializationFailure = "40001"
	codeDeadlockDetected     = "40P01"
	codeLockNotAvailable     = "55P03"
	codeQueryCanceled        = "57014"
	// codeNotAllWritten is our own: see written_all in db/migrations.
	codeNotAllWritten      = "VG001"
	codeTooManyConnections = "53300"
	// classOperatorIntervention covers a server that shuts down or starts up.
	classOperatorIntervention = "57"
	classConnection           = "08"
)

func isRace(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && slices.Contains([]string{codeSerializationFailure, codeDeadlockDetected, codeNotAllWritten}, pgErr.Code)
}

func isUnique(err error, constraint string) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == codeUniqueViolation && pgErr.ConstraintName == constraint
}

// translate turns any error into a *verification.Error, keeping those that are
// one, and the caller's own cancellation.
func translate(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*verification.Error](err); ok {
		return err
	}
	// A connection attempt has a deadline of its own, which is not the caller's.
	_, dialing := errors.AsType[*pgconn.ConnectError](err)
	if !dialing && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return err
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return verification.ErrNotFound
	}
	if isRace(err) || errors.Is(err, errVersionMoved) {
		return verification.NewError(verification.KindRaced, "RACED", "others changed the same verification; retry").WithCause(err)
	}
	if !errors.Is(err, errUnreadableRow) && isDown(err) {
		return verification.NewError(verification.KindUnavailable, "DATABASE_UNAVAILABLE", "the gateway cannot reach its database; retry").WithCause(err)
	}
	return verification.NewError(verification.KindInternal, "INTERNAL", "internal error").WithCause(err)
}

func isDown(err error) bool {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pgErr.Code {
		case codeTooManyConnections, codeLockNotAvailable, codeQueryCanceled:
			return true
		}
		class := pgErr.Code[:2]
		return class == classOperatorIntervention || class == classConnection
	}
	// No answer from the server at all: the connection broke or never was.
	return true
}
