package store

import (
	"context"

	"github.com/google/uuid"
)

// Cursor is a position in the transition log: a Postgres snapshot. It is exact
// however late a transaction commits, because it knows which were still running.
type Cursor string

// Change says that a verification has reached at least this version.
type Change struct {
	ID      uuid.UUID
	Version int64
}

// TailStart returns a cursor at the end of the log.
func (s *Store) TailStart(ctx context.Context) (Cursor, error) {
	snapshot, err := s.queries.TransitionSnapshot(ctx, s.pool)
	return Cursor(snapshot), translate(err)
}

// Tail returns what changed since the cursor, once per verification, and the
// cursor to continue from. Nothing is ever missed; what commits between the two
// statements may be returned again, which is harmless.
func (s *Store) Tail(ctx context.Context, since Cursor) ([]Change, Cursor, error) {
	next, err := s.TailStart(ctx)
	if err != nil {
		return nil, since, err
	}
	rows, err := s.queries.TransitionTail(ctx, s.pool, string(since))
	if err != nil {
		return nil, since, translate(err)
	}
	changes := make([]Change, 0, len(rows))
	for _, r := range rows {
		changes = append(changes, Change{ID: r.VerificationID, Version: r.Version})
	}
	return changes, next, nil
}
