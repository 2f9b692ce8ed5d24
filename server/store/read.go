package store

import (
	"context"
	"slices"
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

// GetByReference implements verification.Store.
func (s *Store) GetByReference(ctx context.Context, scope verification.Scope, reference string) (*verification.Verification, error) {
	row, err := s.queries.VerificationGetByReference(ctx, s.pool, sqlc.VerificationGetByReferenceParams{
		Project: scope.Project, Environment: string(scope.Environment), Reference: reference,
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

// List implements verification.Store. A subject has its own index, and so its
// own statement.
func (s *Store) List(ctx context.Context, q verification.ListQuery) ([]*verification.Verification, error) {
	states := make([]string, 0, len(q.States))
	for _, state := range q.States {
		states = append(states, string(state))
	}
	params := sqlc.VerificationListBySubjectParams{
		Project: q.Scope.Project, Environment: string(q.Scope.Environment), Subject: q.Subject,
		Before: nullableID(q.Before), States: states, Flow: q.Flow,
		FromTime: nullable(q.From), UntilTime: nullable(q.Until), RowLimit: int32(q.Limit),
	}
	var rows []sqlc.Verification
	var err error
	if q.Subject != "" {
		rows, err = s.queries.VerificationListBySubject(ctx, s.pool, params)
	} else {
		rows, err = s.queries.VerificationList(ctx, s.pool, sqlc.VerificationListParams{
			Project: params.Project, Environment: params.Environment, Before: params.Before,
			States: params.States, Flow: params.Flow,
			FromTime: params.FromTime, UntilTime: params.UntilTime, RowLimit: params.RowLimit,
		})
	}
	if err != nil {
		return nil, translate(err)
	}
	vs, err := toVerifications(rows)
	return vs, translate(err)
}

// Overdue implements verification.Store.
func (s *Store) Overdue(ctx context.Context, now time.Time, limit int) ([]uuid.UUID, error) {
	ids, err := s.queries.VerificationOverdue(ctx, s.pool, sqlc.VerificationOverdueParams{Now: now, RowLimit: int32(limit)})
	return ids, translate(err)
}

// Unstarted implements verification.Store.
func (s *Store) Unstarted(ctx context.Context, before time.Time, limit int) ([]uuid.UUID, error) {
	ids, err := s.queries.VerificationUnstarted(ctx, s.pool, sqlc.VerificationUnstartedParams{Before: before, RowLimit: int32(limit)})
	return ids, translate(err)
}

// ParkedRecently implements verification.Store.
func (s *Store) ParkedRecently(ctx context.Context, since time.Time, limit int) ([]uuid.UUID, error) {
	bound, err := s.queries.DeliveryParkedAndBound(ctx, s.pool, sqlc.DeliveryParkedAndBoundParams{Since: since, RowLimit: int32(limit)})
	if err != nil {
		return nil, translate(err)
	}
	near, err := s.queries.DeliveryParkedRecently(ctx, s.pool, sqlc.DeliveryParkedRecentlyParams{Since: since, RowLimit: int32(limit)})
	return slices.Concat(bound, near), translate(err)
}

// FreeLanes implements verification.Store.
func (s *Store) FreeLanes(ctx context.Context, now time.Time) error {
	return translate(s.queries.VerificationFreeLanes(ctx, s.pool, now))
}

// Transitions returns the timeline of a verification, oldest first.
func (s *Store) Transitions(ctx context.Context, id uuid.UUID) ([]*verification.Transition, error) {
	rows, err := s.queries.TransitionList(ctx, s.pool, id)
	timeline := make([]*verification.Transition, 0, len(rows))
	for _, row := range rows {
		timeline = append(timeline, toTransition(row))
	}
	return timeline, translate(err)
}

// Delivery returns a delivery of the scope.
func (s *Store) Delivery(ctx context.Context, scope verification.Scope, id uuid.UUID) (*verification.Delivery, error) {
	row, err := s.queries.DeliveryGet(ctx, s.pool, sqlc.DeliveryGetParams{
		ID: id, Project: scope.Project, Environment: string(scope.Environment),
	})
	if err != nil {
		return nil, translate(err)
	}
	d, err := toDelivery(row)
	return d, translate(err)
}
