package store

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/verigate/verigate/gen/sqlc"
	"github.com/verigate/verigate/server/verification"
)

// Delivery returns a delivery of the scope, opened. Its body is nil once it was
// purged, and its dedupe key is the hash of what the adapter said. KindNotFound
// if the scope has none; KindInternal if it does not open, with a cause that
// names the key it needs.
func (s *Store) Delivery(ctx context.Context, scope verification.Scope, id uuid.UUID) (*verification.Delivery, error) {
	row, err := s.queries.DeliveryGet(ctx, s.pool, sqlc.DeliveryGetParams{
		ID: id, Project: scope.Project, Environment: string(scope.Environment),
	})
	if err != nil {
		return nil, translateDelivery(err)
	}
	d := toDelivery(row)
	if row.PurgeTime != nil {
		return d, nil
	}
	d.Headers, d.Body, err = s.sealer.open(row)
	return d, translate(err)
}

// BareDelivery implements verification.Store.
func (s *Store) BareDelivery(ctx context.Context, scope verification.Scope, id uuid.UUID) (*verification.Delivery, error) {
	row, err := s.queries.DeliveryGetBare(ctx, s.pool, sqlc.DeliveryGetBareParams{
		ID: id, Project: scope.Project, Environment: string(scope.Environment),
	})
	if err != nil {
		return nil, translateDelivery(err)
	}
	return toBare(row), nil
}

// translateDelivery is translate for what concerns one delivery.
func translateDelivery(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return verification.ErrDeliveryNotFound
	}
	return translate(err)
}

// Deliveries implements verification.Store. A verification and the rare effects
// have indexes of their own, and so statements of their own.
func (s *Store) Deliveries(ctx context.Context, q verification.DeliveryQuery) ([]*verification.Delivery, error) {
	done, err := s.takeListTurn(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	rows, err := s.deliveryRows(ctx, q)
	return toBares(rows), translate(err)
}

func (s *Store) deliveryRows(ctx context.Context, q verification.DeliveryQuery) ([]sqlc.DeliveryGetBareRow, error) {
	effects := make([]string, 0, len(q.Effects))
	for _, effect := range q.Effects {
		effects = append(effects, string(effect))
	}
	all := sqlc.DeliveryListParams{
		Project: q.Scope.Project, Environment: string(q.Scope.Environment),
		Effects: effects, Connection: q.Connection, IDBefore: orLast(q.Before), RowLimit: int32(q.Limit),
	}
	switch {
	case q.VerificationID != uuid.Nil:
		rows, err := s.queries.DeliveryListOfVerification(ctx, s.valued(), sqlc.DeliveryListOfVerificationParams{
			Project: all.Project, Environment: all.Environment, VerificationID: nullableID(q.VerificationID),
			Effects: all.Effects, Connection: all.Connection, IDBefore: all.IDBefore, RowLimit: all.RowLimit,
		})
		return bareRows(rows), err
	case onlyOdd(q.Effects):
		rows, err := s.queries.DeliveryListOdd(ctx, s.valued(), sqlc.DeliveryListOddParams{
			Project: all.Project, Environment: all.Environment,
			Effects: all.Effects, Connection: all.Connection, IDBefore: all.IDBefore, RowLimit: all.RowLimit,
		})
		return bareRows(rows), err
	default:
		rows, err := s.queries.DeliveryList(ctx, s.valued(), all)
		return bareRows(rows), err
	}
}

// onlyOdd reports whether effects are all among those that the index of rare
// ones has.
func onlyOdd(effects []verification.Effect) bool {
	odd := []verification.Effect{verification.Refused, verification.Unmatched, verification.Unreadable, verification.Unknown}
	return len(effects) > 0 && !slices.ContainsFunc(effects, func(e verification.Effect) bool { return !slices.Contains(odd, e) })
}

// History implements verification.Store.
func (s *Store) History(
	ctx context.Context, scope verification.Scope, id uuid.UUID, limit int,
) ([]*verification.Transition, []*verification.Delivery, error) {
	last, err := s.queries.TransitionLast(ctx, s.pool, sqlc.TransitionLastParams{
		VerificationID: id, Project: scope.Project, Environment: string(scope.Environment), RowLimit: int32(limit),
	})
	if err != nil {
		return nil, nil, translate(err)
	}
	transitions := make([]*verification.Transition, 0, len(last))
	for _, row := range last {
		transitions = append(transitions, toTransition(row))
	}
	said, err := s.queries.DeliverySaidLast(ctx, s.pool, sqlc.DeliverySaidLastParams{
		VerificationID: nullableID(id), Project: scope.Project, Environment: string(scope.Environment), RowLimit: int32(limit),
	})
	return transitions, toBares(bareRows(said)), translate(err)
}

// bareRow is what every statement that reads deliveries without their content
// returns: the same columns under another name.
type bareRow interface {
	sqlc.DeliveryListRow | sqlc.DeliveryListOddRow | sqlc.DeliveryListOfVerificationRow | sqlc.DeliverySaidLastRow
}

func bareRows[R bareRow](rows []R) []sqlc.DeliveryGetBareRow {
	bare := make([]sqlc.DeliveryGetBareRow, 0, len(rows))
	for _, row := range rows {
		bare = append(bare, sqlc.DeliveryGetBareRow(row))
	}
	return bare
}

func toBares(rows []sqlc.DeliveryGetBareRow) []*verification.Delivery {
	ds := make([]*verification.Delivery, 0, len(rows))
	for _, row := range rows {
		ds = append(ds, toBare(row))
	}
	return ds
}
