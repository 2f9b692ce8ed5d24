package store

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/verigate/verigate/gen/sqlc"
	"github.com/verigate/verigate/server/jobs"
	"github.com/verigate/verigate/server/verification"
)

// fetchLease is how long a verification that was given to the queue is not given
// to it again. Whoever fetches sets the next time itself.
const fetchLease = 5 * time.Minute

// EnqueueFetches gives up to limit verifications of all scopes whose provider is
// to be asked by now to the queue, those that are due longest first, and returns
// how many. One that is in the queue already is not put there twice. Nodes that
// do it at the same time take different ones.
func (s *Store) EnqueueFetches(ctx context.Context, now time.Time, limit int) (int, error) {
	leased := 0
	err := s.inTx(ctx, func(t *tx) error {
		until := now.Add(fetchLease)
		rows, err := t.queries.VerificationLeaseFetches(ctx, t.db, sqlc.VerificationLeaseFetchesParams{
			LeasedUntil: &until, Now: &now, RowLimit: int32(limit),
		})
		leased = len(rows)
		if err != nil || leased == 0 {
			return err
		}
		due := make([]river.InsertManyParams, 0, len(rows))
		for _, r := range rows {
			due = append(due, river.InsertManyParams{
				Args: jobs.Fetch{VerificationID: r.ID, Project: r.Project, Environment: r.Environment},
			})
		}
		_, err = s.river.InsertManyTx(ctx, t.db, due)
		return err
	})
	return leased, err
}

func (t *tx) DecidedAfter(ctx context.Context, v *verification.Verification, at time.Time) (bool, error) {
	return t.queries.VerificationDecidedAfter(ctx, t.db, sqlc.VerificationDecidedAfterParams{
		Project: v.Scope.Project, Environment: string(v.Scope.Environment), VerificationID: nullableID(v.ID), At: at,
	})
}

func (t *tx) LastSource(ctx context.Context, v *verification.Verification) (verification.Source, error) {
	rows, err := t.queries.TransitionLast(ctx, t.db, sqlc.TransitionLastParams{
		VerificationID: v.ID, Project: v.Scope.Project, Environment: string(v.Scope.Environment), RowLimit: 1,
	})
	if err != nil || len(rows) == 0 {
		return "", err
	}
	return verification.Source(rows[0].Source), nil
}

// RefsOf returns the provider refs of a verification of the scope, first bound
// first; none that was erased.
func (s *Store) RefsOf(ctx context.Context, scope verification.Scope, id uuid.UUID) ([]verification.BoundRef, error) {
	rows, err := s.queries.ProviderRefListToFetch(ctx, s.pool, sqlc.ProviderRefListToFetchParams{
		ID: id, Project: scope.Project, Environment: string(scope.Environment), ErasedPrefix: erasedPrefix,
	})
	refs := make([]verification.BoundRef, 0, len(rows))
	for _, r := range rows {
		refs = append(refs, verification.BoundRef{
			Connection: r.Connection, Ref: r.Ref, VerificationID: r.VerificationID,
			Match: verification.Match(r.Match), CreateTime: r.CreateTime,
		})
	}
	return refs, translate(err)
}

// OldestUnresolved returns when the oldest open verification of a connection was
// created; zero if none is open.
func (s *Store) OldestUnresolved(ctx context.Context, connection string) (time.Time, error) {
	oldest, err := s.queries.VerificationOldestUnresolved(ctx, s.pool, connection)
	if errors.Is(err, pgx.ErrNoRows) {
		return time.Time{}, nil
	}
	return oldest, translate(err)
}
