package verification

import (
	"context"

	"github.com/google/uuid"
)

// errDeliveryPurged is told to an operator who comes too late.
var errDeliveryPurged = NewError(KindRefused, "DELIVERY_PURGED",
	"the delivery's content was removed, so nothing can be done with it any more")

// Replay reads a delivery of the scope again and applies it as if it had arrived
// then, and returns it without its content. read is given the delivery as it
// came and fills in what an adapter makes of it today, as the ingress does for a
// new one; it is free of side effects but for logs and counts.
//
// KindNotFound, or KindRefused when it was applied, repeats another one, or was
// purged. An error of read is returned as it is, and nothing has changed then.
func (s *Service) Replay(ctx context.Context, scope Scope, id uuid.UUID, read func(*Delivery) error, by Operator) (*Delivery, error) {
	var d *Delivery
	var v *Verification
	var before Effect
	var rung Rung
	err := s.change(ctx, func(tx Tx) (*Verification, error) {
		var err error
		if d, err = tx.LockDelivery(ctx, scope, id); err != nil {
			return nil, err
		}
		if err := checkReplay(d); err != nil {
			return nil, err
		}
		before = d.Effect
		if v, rung, err = s.readAgain(ctx, tx, d, read); err != nil {
			return nil, err
		}
		d.ApplyTime = s.now()
		if err := tx.ReplaceDelivery(ctx, d, d.ApplyTime); err != nil {
			return nil, err
		}
		return v, s.audit(ctx, tx, scope, by, AuditReplay, id, map[string]string{
			"before": string(before), "after": string(d.Effect),
		})
	})
	if err != nil {
		return nil, err
	}
	d.Headers, d.Body = nil, nil
	if d.Effect != before {
		s.report(ctx, d, rung)
	}
	s.followUp(ctx, v, d)
	return d, nil
}

func checkReplay(d *Delivery) error {
	switch {
	case d.Effect == Applied:
		return NewError(KindRefused, "DELIVERY_APPLIED", "the delivery was applied already; there is nothing to replay")
	case d.Effect == Duplicate:
		return NewError(KindRefused, "DELIVERY_DUPLICATE",
			"the delivery says what was said before; replay the first one of them if that was not applied")
	case d.Emptied:
		return errDeliveryPurged
	}
	return nil
}

// readAgain settles a locked delivery by a second reading. It waited, whatever
// its effect was: so it is judged as of its arrival, and never by elimination.
func (s *Service) readAgain(ctx context.Context, tx Tx, d *Delivery, read func(*Delivery) error) (*Verification, Rung, error) {
	if err := tx.OpenDelivery(ctx, d); err != nil {
		return nil, NoRung, err
	}
	d.Effect = ""
	if err := read(d); err != nil {
		return nil, NoRung, err
	}
	// What could not be read had no key of its own: the provider's next attempt
	// may have been read and applied since, and a decision must not count twice.
	elsewhere, err := tx.SeenElsewhere(ctx, d)
	switch {
	case err != nil:
		return nil, NoRung, err
	case elsewhere:
		d.Effect, d.VerificationID, d.Emptied = Duplicate, uuid.Nil, true
		return nil, NoRung, nil
	case d.Effect == "":
		return s.settle(ctx, tx, d, true)
	}
	// No event any more. Whom it was about stays known: an erasure finds it so.
	return nil, NoRung, nil
}
