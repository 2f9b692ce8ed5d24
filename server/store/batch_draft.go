package store

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/gen/sqlc"
	"github.com/verigate/verigate/server/verification"
)

// errNotPlain says that a delivery asked for more than a batch knows.
var errNotPlain = errors.New("the delivery cannot be applied together with others")

// draft is what one delivery of a batch sees and would write. It is dropped if
// the delivery cannot be applied.
type draft struct {
	notPlain

	batch       *batch
	saved       map[uuid.UUID]*verification.Verification
	bound       []verification.BoundRef
	transitions []*verification.Transition
	deliveries  []*sqlc.DeliveryInsertParams
}

var _ verification.DeliveryTx = (*draft)(nil)

func (d *draft) MarkSeen(_ context.Context, delivery *verification.Delivery) (bool, error) {
	return d.batch.fresh[delivery.ID], nil
}

func (d *draft) FindRefs(_ context.Context, connection string, refs []string) ([]verification.BoundRef, error) {
	var bound []verification.BoundRef
	for _, ref := range refs {
		if known, ok := d.batch.refs[refName{connection, ref}]; ok {
			bound = append(bound, known)
		}
	}
	return bound, nil
}

// Lock returns a copy: what a dropped draft did to it is dropped with it.
func (d *draft) Lock(_ context.Context, scope verification.Scope, id uuid.UUID) (*verification.Verification, error) {
	row, ok := d.batch.rows[id]
	if !ok || row.Scope != scope {
		return nil, errNotPlain
	}
	v := *row
	return &v, nil
}

func (d *draft) BindRef(_ context.Context, r verification.BoundRef) error {
	known, ok := d.batch.refs[refName{r.Connection, r.Ref}]
	switch {
	case !ok:
		d.bound = append(d.bound, r)
	case known.VerificationID != r.VerificationID:
		return verification.ErrRefTaken
	}
	return nil
}

func (d *draft) Save(_ context.Context, v *verification.Verification, t *verification.Transition) error {
	if d.saved == nil {
		d.saved = make(map[uuid.UUID]*verification.Verification, 1)
	}
	d.saved[v.ID] = v
	if t != nil {
		d.transitions = append(d.transitions, t)
	}
	return nil
}

func (d *draft) InsertDelivery(_ context.Context, delivery *verification.Delivery, now time.Time) error {
	params, err := d.batch.sealer.sealed(delivery, now)
	d.deliveries = append(d.deliveries, &params)
	return err
}
