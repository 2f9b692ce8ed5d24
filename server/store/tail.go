package store

import (
	"context"

	"github.com/verigate/verigate/server/verification"
)

var _ verification.Log = (*Store)(nil)

// TailStart implements verification.Log. A cursor is a Postgres snapshot: it
// knows which transactions were still running, so none is skipped.
func (s *Store) TailStart(ctx context.Context) (verification.Cursor, error) {
	snapshot, err := s.queries.TransitionSnapshot(ctx, s.pool)
	return verification.Cursor(snapshot), translate(err)
}

// Tail implements verification.Log. The next cursor is taken first: what
// commits between the two statements is returned again, never lost.
func (s *Store) Tail(ctx context.Context, since verification.Cursor) ([]verification.Change, verification.Cursor, error) {
	next, err := s.TailStart(ctx)
	if err != nil {
		return nil, since, err
	}
	rows, err := s.queries.TransitionTail(ctx, s.pool, string(since))
	if err != nil {
		return nil, since, translate(err)
	}
	changes := make([]verification.Change, 0, len(rows))
	for _, r := range rows {
		changes = append(changes, verification.Change{ID: r.VerificationID, Version: r.Version})
	}
	return changes, next, nil
}
