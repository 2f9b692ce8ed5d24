package verification

import (
	"context"
	"errors"

	"github.com/google/uuid"
)

// errRefElsewhere is told to an operator whose word contradicts an earlier proof.
var errRefElsewhere = NewError(KindRefused, "PROVIDER_REF_TAKEN",
	"the delivery carries an id of the provider that belongs to another verification already; see that one's timeline")

// errDecidedSince is told to an operator whose delivery would overrule what was
// said after it.
var errDecidedSince = NewError(KindRefused, "DECIDED_SINCE",
	"something newer was decided about the verification since the delivery came; use override if the older decision is to count")

// Bind says by hand which verification a waiting delivery is about, and applies
// it. The provider's ids in it belong to that verification from now on, and what
// waited with the same ids follows. Both are returned as they are then.
//
// KindNotFound for either; KindInvalid on verification_id for one of another
// connection or product; KindRefused when the delivery does not wait, was
// purged, the verification was erased, an id belongs to another one, or something
// newer was decided since the delivery came.
func (s *Service) Bind(ctx context.Context, scope Scope, delivery, verification uuid.UUID, reason string, by Operator) (*Delivery, *Verification, error) {
	var d *Delivery
	var v *Verification
	err := s.change(ctx, func(tx Tx) (*Verification, error) {
		var err error
		if d, err = tx.LockDelivery(ctx, scope, delivery); err != nil {
			return nil, err
		}
		if err := checkWaits(d); err != nil {
			return nil, err
		}
		if v, err = tx.Lock(ctx, scope, verification); err != nil {
			return nil, err
		}
		if err := checkBinding(v, d, reason); err != nil {
			return nil, err
		}
		return v, s.bind(ctx, tx, v, d, reason, by)
	})
	if errors.Is(err, ErrRefTaken) {
		return nil, nil, errRefElsewhere.WithCause(err)
	}
	if err != nil {
		return nil, nil, err
	}
	s.report(ctx, d, RungOperator)
	if len(d.Event.allRefs()) > 0 {
		s.retryParked(ctx, v)
	}
	return d, v, nil
}

func (s *Service) bind(ctx context.Context, tx Tx, v *Verification, d *Delivery, reason string, by Operator) error {
	overtaken, err := s.overtaken(ctx, tx, v, d)
	if err != nil {
		return err
	}
	if overtaken {
		return errDecidedSince
	}
	byHand := found{id: v.ID, rung: RungOperator, match: Bound, reason: reason}
	if err := s.apply(ctx, tx, v, d, byHand); err != nil {
		return err
	}
	d.ApplyTime = s.now()
	if err := tx.SettleDelivery(ctx, d, d.ApplyTime); err != nil {
		return err
	}
	return s.audit(ctx, tx, d.Scope, by, AuditBind, d.ID, map[string]string{
		"reason": reason, "verification_id": v.ID.String(), "effect": string(d.Effect),
	})
}

// checkWaits says why a delivery cannot be bound.
func checkWaits(d *Delivery) error {
	if d.Effect != Unmatched {
		return NewError(KindRefused, "DELIVERY_SETTLED",
			"the delivery does not wait for a verification; it is "+string(d.Effect))
	}
	if d.Emptied {
		return errDeliveryPurged
	}
	return nil
}

// checkBinding says why it cannot be bound to v, now locked. What the ladder
// doubts is for the operator to know; what cannot be is not.
func checkBinding(v *Verification, d *Delivery, reason string) error {
	if err := checkByHand(v, reason); err != nil {
		return err
	}
	if v.Connection != d.Connection {
		return Invalid("verification_id", "names a verification of the connection "+v.Connection+
			", but the delivery came in on "+d.Connection)
	}
	if d.Event.Product != "" && d.Event.Product != v.Product {
		return Invalid("verification_id", "names a verification of the product "+v.Product+
			", but the delivery is about "+d.Event.Product)
	}
	return nil
}
