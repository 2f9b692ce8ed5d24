package store

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/verigate/verigate/gen/sqlc"
)

const (
	// sequencePatience is how long giving places may take: after a stop of all
	// nodes there may be many to give.
	sequencePatience = time.Minute
	// snapshotAge is by how many transactions the remembered snapshot may be
	// old while no transition comes.
	snapshotAge = 10_000
)

// SequenceEvents gives a place in the order of events to every transition that
// became visible since the last call, on whichever node, and returns how many
// those were. It gives none while another node is at it, and writes nothing when
// nothing is new. Places become visible in order, and one that was left out is
// never given later.
func (s *Store) SequenceEvents(ctx context.Context) (given int64, err error) {
	head, err := s.queries.EventHeadRead(ctx, s.pool)
	if err != nil {
		return 0, translate(err)
	}
	todo, err := s.queries.EventPeek(ctx, s.pool, sqlc.EventPeekParams{Snapshot: head.Snapshot, Tolerance: snapshotAge})
	// A look that takes longer than a request may is made with more patience.
	if err != nil && !isOutOfTime(err) {
		return 0, translate(err)
	}
	if err == nil && !todo.Fresh && !todo.Ahead && !todo.Old {
		return 0, nil
	}
	err = s.inTx(ctx, func(t *tx) error {
		given, err = t.sequence(ctx)
		return err
	})
	return given, err
}

// isOutOfTime is whether the database gave a statement up because of its time.
func isOutOfTime(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == codeQueryCanceled
}

// sequence locks in a statement of its own: the snapshot of the next one is
// later than whatever the last holder of the row wrote.
func (t *tx) sequence(ctx context.Context) (int64, error) {
	milliseconds := strconv.FormatInt(sequencePatience.Milliseconds(), 10)
	if err := t.queries.TransactionAllowTime(ctx, t.db, milliseconds); err != nil {
		return 0, err
	}
	head, err := t.queries.EventHeadLock(ctx, t.db)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	todo, err := t.queries.EventPeek(ctx, t.db, sqlc.EventPeekParams{Snapshot: head.Snapshot, Tolerance: snapshotAge})
	if err != nil {
		return 0, err
	}
	var done sqlc.EventSequenceRow
	if todo.Ahead {
		var all sqlc.EventResyncRow
		all, err = t.queries.EventResync(ctx, t.db, head.Position)
		done = sqlc.EventSequenceRow(all)
	} else {
		done, err = t.queries.EventSequence(ctx, t.db, sqlc.EventSequenceParams{Head: head.Position, Snapshot: head.Snapshot})
	}
	if err != nil {
		return 0, err
	}
	return done.Given, t.queries.EventHeadAdvance(ctx, t.db, sqlc.EventHeadAdvanceParams{Position: done.Head, Snapshot: done.Snapshot})
}

// PurgeEvents removes up to limit places of events from before the given time,
// oldest first and without leaving a hole, and up to limit callbacks that were
// over by then, with their attempts. It returns how many rows that were: fewer
// than limit mean that nothing is left. What is not queued for callbacks yet
// stays, and so does the newest place.
func (s *Store) PurgeEvents(ctx context.Context, before time.Time, limit int) (int64, error) {
	callbacks, err := s.queries.CallbackPurge(ctx, s.pool, sqlc.CallbackPurgeParams{Before: &before, RowLimit: int32(limit)})
	if err != nil {
		return 0, translate(err)
	}
	head, err := s.queries.EventHeadRead(ctx, s.pool)
	if err != nil {
		return callbacks, translate(err)
	}
	places, err := s.queries.EventPurge(ctx, s.pool, sqlc.EventPurgeParams{Before: before, Queued: head.Queued, RowLimit: int32(limit)})
	return callbacks + places, translate(err)
}
