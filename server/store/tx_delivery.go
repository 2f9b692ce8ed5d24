package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/verigate/verigate/gen/sqlc"
	"github.com/verigate/verigate/server/verification"
)

func (t *tx) MarkSeen(ctx context.Context, d *verification.Delivery) (bool, error) {
	inserted, err := t.queries.SeenInsert(ctx, t.db, sqlc.SeenInsertParams{
		Connection: d.Connection, DedupeKey: hashedKey(d.DedupeKey), DeliveryID: d.ID, CreateTime: d.ReceiveTime,
	})
	return inserted == 1, err
}

// hashedKey is how a dedupe key is stored: it may hold a provider's id.
func hashedKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

func (t *tx) InsertDelivery(ctx context.Context, d *verification.Delivery, now time.Time) error {
	params, err := t.sealer.sealed(d, now)
	if err != nil {
		return err
	}
	return t.queries.DeliveryInsert(ctx, t.db, params)
}

func (t *tx) LockParked(ctx context.Context, scope verification.Scope, id uuid.UUID) (*verification.Delivery, error) {
	row, err := t.queries.DeliveryLockIfParked(ctx, t.db, sqlc.DeliveryLockIfParkedParams{
		ID: id, Project: scope.Project, Environment: string(scope.Environment),
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, verification.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return toParked(row), nil
}

// clockSlack is how far the clocks of two nodes may lie apart: what arrived
// longer before a verification was made cannot be about it.
const clockSlack = time.Minute

func (t *tx) ParkedFor(ctx context.Context, v *verification.Verification, window time.Duration) ([]uuid.UUID, error) {
	params := sqlc.DeliveryParkedForParams{
		Project: v.Scope.Project, Environment: string(v.Scope.Environment),
		Connection: v.Connection, Product: v.Product, NamedID: v.ID.String(), VerificationID: v.ID,
		CreateTime: v.CreateTime.Add(-clockSlack),
	}
	// Without a return the window is empty: it ends before it begins.
	params.WindowFrom = v.CreateTime
	params.WindowUntil = v.CreateTime.Add(-time.Second)
	if !v.ReturnTime.IsZero() {
		params.WindowFrom, params.WindowUntil = v.ReturnTime.Add(-window), v.ReturnTime.Add(window)
	}
	return t.queries.DeliveryParkedFor(ctx, t.db, params)
}

func (t *tx) FirstOfRun(ctx context.Context, d *verification.Delivery) (time.Time, error) {
	if len(d.Event.Refs) == 0 {
		return d.ReceiveTime, nil
	}
	first, err := t.queries.DeliveryFirstOfRun(ctx, t.db, sqlc.DeliveryFirstOfRunParams{
		Project: d.Scope.Project, Environment: string(d.Scope.Environment),
		At: d.ReceiveTime, Connection: d.Connection, Product: d.Event.Product, Refs: bothForms(d.Connection, d.Event.Refs),
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return d.ReceiveTime, nil
	}
	return first, err
}

func (t *tx) HasParkedTwin(ctx context.Context, d *verification.Delivery, from, until time.Time) (bool, error) {
	return t.queries.DeliveryHasParkedTwin(ctx, t.db, sqlc.DeliveryHasParkedTwinParams{
		Project: d.Scope.Project, Environment: string(d.Scope.Environment),
		Connection: d.Connection, Product: d.Event.Product, ID: d.ID, Refs: bothForms(d.Connection, d.Event.Refs),
		WindowFrom: from, WindowUntil: until,
	})
}

func (t *tx) SettleDelivery(ctx context.Context, d *verification.Delivery, now time.Time) error {
	settled := sqlc.DeliverySettleIfParkedParams{
		ID: d.ID, Project: d.Scope.Project, Environment: string(d.Scope.Environment),
		Effect: string(d.Effect), VerificationID: nullableID(d.VerificationID), ApplyTime: &now,
	}
	var err error
	if d.Emptied {
		_, err = t.queries.DeliverySettleEmptyIfParked(ctx, t.db, sqlc.DeliverySettleEmptyIfParkedParams(settled))
	} else {
		_, err = t.queries.DeliverySettleIfParked(ctx, t.db, settled)
	}
	return err
}
