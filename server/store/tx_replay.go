package store

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/verigate/verigate/gen/sqlc"
	"github.com/verigate/verigate/server/verification"
)

// What an operator does to one delivery: it is locked first, and then opened,
// read again or bound.

func (t *tx) LockDelivery(ctx context.Context, scope verification.Scope, id uuid.UUID) (*verification.Delivery, error) {
	row, err := t.queries.DeliveryLock(ctx, t.db, sqlc.DeliveryLockParams{
		ID: id, Project: scope.Project, Environment: string(scope.Environment),
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, verification.ErrDeliveryNotFound
	}
	if err != nil {
		return nil, err
	}
	return toBare(sqlc.DeliveryGetBareRow(row)), nil
}

func (t *tx) OpenDelivery(ctx context.Context, d *verification.Delivery) error {
	row, err := t.queries.DeliveryGet(ctx, t.db, sqlc.DeliveryGetParams{
		ID: d.ID, Project: d.Scope.Project, Environment: string(d.Scope.Environment),
	})
	if err == nil {
		d.Headers, d.Body, err = t.sealer.open(row)
	}
	return err
}

// SeenElsewhere takes d's dedupe key as the adapter said it. Whoever brings the
// same key at the same moment is waited for.
func (t *tx) SeenElsewhere(ctx context.Context, d *verification.Delivery) (bool, error) {
	if _, err := t.MarkSeen(ctx, d); err != nil {
		return false, err
	}
	first, err := t.queries.SeenDelivery(ctx, t.db, sqlc.SeenDeliveryParams{
		Connection: d.Connection, DedupeKey: hashedKey(d.DedupeKey),
	})
	return first != d.ID, err
}

func (t *tx) ReplaceDelivery(ctx context.Context, d *verification.Delivery, now time.Time) error {
	p := deliveryParams(d, now)
	if d.Emptied {
		p.Keys, p.Refs, p.NamedID = []string{}, []string{}, ""
	}
	_, err := t.queries.DeliveryReplace(ctx, t.db, sqlc.DeliveryReplaceParams{
		ID: p.ID, Project: p.Project, Environment: p.Environment,
		DedupeKey: p.DedupeKey, ProviderEvent: p.ProviderEvent, ProviderStatus: p.ProviderStatus,
		Event: p.Event, Product: p.Product, Keys: p.Keys, Refs: p.Refs, NamedID: p.NamedID,
		ReasonCodes: p.ReasonCodes, ProviderTime: p.ProviderTime,
		Effect: p.Effect, VerificationID: p.VerificationID, ApplyTime: p.ApplyTime,
	})
	if err != nil || !d.Emptied {
		return err
	}
	_, err = t.queries.DeliveryEmpty(ctx, t.db, sqlc.DeliveryEmptyParams{
		ID: p.ID, Project: p.Project, Environment: p.Environment, PurgeTime: &now,
	})
	return err
}
