package store

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/gen/sqlc"
	"github.com/verigate/verigate/server/verification"
)

// Get implements verification.Store.
func (s *Store) Get(ctx context.Context, scope verification.Scope, id uuid.UUID) (*verification.Verification, error) {
	row, err := s.queries.VerificationGet(ctx, s.pool, sqlc.VerificationGetParams{
		ID: id, Project: scope.Project, Environment: string(scope.Environment),
	})
	return one(row, err)
}

// Verifications returns the verifications of the ids that exist, of any scope,
// in no order.
func (s *Store) Verifications(ctx context.Context, ids []uuid.UUID) ([]*verification.Verification, error) {
	rows, err := s.queries.VerificationGetWatched(ctx, s.pool, ids)
	if err != nil {
		return nil, translate(err)
	}
	list, err := toVerifications(rows)
	return list, translate(err)
}

// GetByReference implements verification.Store.
func (s *Store) GetByReference(ctx context.Context, scope verification.Scope, reference, subject string) (*verification.Verification, error) {
	row, err := s.queries.VerificationGetByReference(ctx, s.pool, sqlc.VerificationGetByReferenceParams{
		Project: scope.Project, Environment: string(scope.Environment), Reference: reference, Subject: subject,
	})
	return one(row, err)
}

func one(row sqlc.Verification, err error) (*verification.Verification, error) {
	if err != nil {
		return nil, translate(err)
	}
	v, err := toVerification(row)
	return v, translate(err)
}

// Overdue implements verification.Store.
func (s *Store) Overdue(ctx context.Context, now time.Time, limit int) ([]verification.Place, error) {
	rows, err := s.queries.VerificationOverdue(ctx, s.pool, sqlc.VerificationOverdueParams{Now: now, RowLimit: int32(limit)})
	places := make([]verification.Place, 0, len(rows))
	for _, r := range rows {
		places = append(places, place(r.ID, r.Project, r.Environment))
	}
	return places, translate(err)
}

// Unstarted implements verification.Store.
func (s *Store) Unstarted(ctx context.Context, before time.Time, limit int) ([]verification.Place, error) {
	rows, err := s.queries.VerificationUnstarted(ctx, s.pool, sqlc.VerificationUnstartedParams{Before: before, RowLimit: int32(limit)})
	places := make([]verification.Place, 0, len(rows))
	for _, r := range rows {
		places = append(places, place(r.ID, r.Project, r.Environment))
	}
	return places, translate(err)
}

// ParkedRecently implements verification.Store.
func (s *Store) ParkedRecently(ctx context.Context, since time.Time, limit int) ([]verification.Place, error) {
	bound, err := s.queries.DeliveryParkedAndBound(ctx, s.pool, sqlc.DeliveryParkedAndBoundParams{Since: since, RowLimit: int32(limit)})
	if err != nil {
		return nil, translate(err)
	}
	near, err := s.queries.DeliveryParkedRecently(ctx, s.pool, sqlc.DeliveryParkedRecentlyParams{Since: since, RowLimit: int32(limit)})
	places := make([]verification.Place, 0, len(bound)+len(near))
	for _, r := range bound {
		places = append(places, place(r.ID, r.Project, r.Environment))
	}
	for _, r := range near {
		places = append(places, place(r.ID, r.Project, r.Environment))
	}
	return places, translate(err)
}

func place(id uuid.UUID, project, environment string) verification.Place {
	return verification.Place{Scope: verification.Scope{Project: project, Environment: verification.Environment(environment)}, ID: id}
}

// FreeLanes implements verification.Store.
func (s *Store) FreeLanes(ctx context.Context, now time.Time) error {
	return translate(s.queries.VerificationFreeLanes(ctx, s.pool, now))
}

// Transitions returns the timeline of a verification of the scope, oldest
// first; an empty one if the scope has no such verification.
func (s *Store) Transitions(ctx context.Context, scope verification.Scope, id uuid.UUID) ([]*verification.Transition, error) {
	rows, err := s.queries.TransitionList(ctx, s.pool, sqlc.TransitionListParams{
		VerificationID: id, Project: scope.Project, Environment: string(scope.Environment),
	})
	timeline := make([]*verification.Transition, 0, len(rows))
	for _, row := range rows {
		timeline = append(timeline, toTransition(row))
	}
	return timeline, translate(err)
}
