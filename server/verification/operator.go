package verification

import (
	"context"
	"slices"

	"github.com/google/uuid"
)

// Override decides a verification by hand, or turns its decision over: to
// Approved or Declined, for a reason that goes on record with its author. What
// is so already is returned as it is. KindInvalid, KindNotFound, or KindRefused
// when the verification was erased, or is over in a way that nothing decides any
// more.
func (s *Service) Override(ctx context.Context, scope Scope, id uuid.UUID, to State, reason string, by Operator) (*Verification, error) {
	kind, ok := revisions[to]
	if !ok {
		return nil, Invalid("state", "must be approved or declined: an operator decides nothing else")
	}
	var v *Verification
	var effect Effect
	err := s.change(ctx, func(tx Tx) (*Verification, error) {
		var err error
		if v, err = tx.Lock(ctx, scope, id); err != nil {
			return nil, err
		}
		if err := checkByHand(v, reason); err != nil {
			return nil, err
		}
		from := v.State
		effect, err = s.move(ctx, tx, v, change{event: Event{Kind: kind}, source: SourceOperator, reason: reason})
		if err != nil || effect != Applied {
			return nil, err
		}
		return v, s.audit(ctx, tx, scope, by, AuditOverride, id, map[string]string{
			"reason": reason, "from": string(from), "to": string(v.State),
		})
	})
	if err != nil {
		return nil, err
	}
	s.meter.Applied(kind, SourceOperator, effect, NoRung)
	if effect != Applied && effect != Duplicate {
		return nil, NewError(KindRefused, "VERIFICATION_OVER",
			"the verification is over ("+string(v.State)+") and cannot be decided any more; start a new one")
	}
	return v, nil
}

// revisions are what an operator may decide.
var revisions = map[State]EventKind{Approved: RevisedToPassed, Declined: RevisedToRejected}

// checkByHand says why an operator may not touch a verification for this reason,
// which goes on record.
func checkByHand(v *Verification, reason string) error {
	switch {
	case reason == "":
		return Invalid("reason", "is required: a ticket's number or a cause")
	case !v.EraseTime.IsZero():
		return NewError(KindRefused, "VERIFICATION_ERASED",
			"the subject of this verification was erased; nothing is decided about it any more")
	case mentions(reason, v.Subject):
		return Invalid("reason", "contains the subject; it is kept on record, so name a ticket or a cause instead")
	}
	return nil
}

// audit records what an operator did to a row, in its transaction.
func (s *Service) audit(ctx context.Context, tx Tx, scope Scope, by Operator, action AuditAction, target uuid.UUID, details map[string]string) error {
	entry, err := NewAuditEntry(scope, by, action, target.String(), details, s.now())
	if err != nil {
		return err
	}
	return tx.AddAudit(ctx, entry)
}

// Deliveries returns deliveries of a scope, newest first, without their content.
func (s *Service) Deliveries(ctx context.Context, q DeliveryQuery) ([]*Delivery, error) {
	return s.store.Deliveries(ctx, q)
}

// Delivery returns a delivery of the scope, without its content. KindNotFound if
// there is none.
func (s *Service) Delivery(ctx context.Context, scope Scope, id uuid.UUID) (*Delivery, error) {
	return s.store.BareDelivery(ctx, scope, id)
}

// OpenDelivery returns a delivery of the scope with what the provider sent, and
// puts on record who looked: without the record there is no look. One that was
// purged has nothing to look at and leaves no record. KindNotFound if there is
// none.
func (s *Service) OpenDelivery(ctx context.Context, scope Scope, id uuid.UUID, by Operator) (*Delivery, error) {
	var d *Delivery
	err := s.store.InTx(ctx, func(tx Tx) error {
		var err error
		if d, err = tx.LockDelivery(ctx, scope, id); err != nil || d.Emptied {
			return err
		}
		if err := tx.OpenDelivery(ctx, d); err != nil {
			return err
		}
		return s.audit(ctx, tx, scope, by, AuditRead, id, nil)
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// Owners returns the verifications that a delivery's provider refs are bound to,
// each once: what an operator wants to know of one that waits although somebody
// owns them.
func (s *Service) Owners(ctx context.Context, d *Delivery) ([]uuid.UUID, error) {
	var owners []uuid.UUID
	err := s.store.InTx(ctx, func(tx Tx) error {
		owners = nil
		bound, err := tx.FindRefs(ctx, d.Connection, d.Event.allRefs())
		for _, b := range bound {
			if !slices.Contains(owners, b.VerificationID) {
				owners = append(owners, b.VerificationID)
			}
		}
		return err
	})
	return owners, err
}
