package verification

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
)

// Deliver keeps an authenticated delivery and applies what it says, in one
// transaction. After a nil error the delivery is never lost. The returned
// effect says what it did; an error means that nothing was stored and the
// provider should send it again.
func (s *Service) Deliver(ctx context.Context, d *Delivery) (Effect, error) {
	decoded := d.Effect
	var rung Rung
	var v *Verification
	err := s.change(ctx, func(tx Tx) (*Verification, error) {
		var err error
		v, rung, err = s.take(ctx, tx, d, decoded)
		return v, err
	})
	if err != nil {
		return "", err
	}
	s.report(ctx, d, rung)
	s.followUp(ctx, v, d)
	return d.Effect, nil
}

// take keeps a delivery within tx and applies what it says, unless it was read
// as something that moves nothing. It returns what it was applied to, if anything.
func (s *Service) take(ctx context.Context, tx DeliveryTx, d *Delivery, decoded Effect) (*Verification, Rung, error) {
	d.Effect, d.VerificationID, d.Emptied = decoded, uuid.Nil, false
	fresh, err := tx.MarkSeen(ctx, d)
	if err != nil {
		return nil, NoRung, err
	}
	var v *Verification
	var rung Rung
	switch {
	case !fresh:
		// What was kept before need not be kept twice.
		d.Effect, d.Emptied = Duplicate, true
		if decoded == "" {
			err = s.suspect(ctx, tx, d)
		}
	case decoded == "":
		v, rung, err = s.settle(ctx, tx, d, false)
	}
	if err != nil {
		return nil, NoRung, err
	}
	return v, rung, tx.InsertDelivery(ctx, d, s.now())
}

// followUp looks at what may have waited for what d taught of v, if anything: a
// name beside an id binds the id.
func (s *Service) followUp(ctx context.Context, v *Verification, d *Delivery) {
	if named := len(d.Event.Keys) > 0 || d.Event.VerificationID != ""; v != nil && named && len(d.Event.Refs) > 0 {
		s.retryParked(ctx, v)
	}
}

func (s *Service) report(ctx context.Context, d *Delivery, rung Rung) {
	s.meter.Applied(d.Event.Kind, SourceProvider, d.Effect, rung)
	if d.Effect == Unmatched {
		s.meter.Parked(d.Connection)
		s.log.WarnContext(ctx, "a delivery is parked: nothing proves which verification it is about; see docs/correlation.md",
			"connection", d.Connection, "delivery_id", d.ID, "product", d.Event.Product)
		return
	}
	s.log.InfoContext(ctx, "delivery settled", "connection", d.Connection, "delivery_id", d.ID,
		"effect", d.Effect, "rung", rung, "verification_id", d.VerificationID)
}

// settle climbs the ladder for a delivery and applies its event; it sets the
// delivery's effect but does not store it.
func (s *Service) settle(ctx context.Context, tx DeliveryTx, d *Delivery, parked bool) (*Verification, Rung, error) {
	d.Effect, d.VerificationID = Unmatched, uuid.Nil
	f, ok, err := s.climb(ctx, tx, d, parked)
	if err != nil || !ok {
		return nil, NoRung, err
	}
	v, err := tx.Lock(ctx, d.Scope, f.id)
	if KindOf(err) == KindNotFound {
		return nil, NoRung, nil
	}
	if err != nil {
		return nil, NoRung, err
	}
	if !v.EraseTime.IsZero() {
		// What names an erased person is not kept, even where the row could not
		// take the event. What may be somebody else's waits for evidence.
		if !f.exact() || v.Connection != d.Connection {
			return nil, NoRung, nil
		}
		d.Effect, d.VerificationID, d.Emptied = Stale, v.ID, true
		return v, f.rung, s.forget(ctx, tx, v, f.match, d.Event.allRefs())
	}
	if !s.accepts(v, d, f) {
		return nil, NoRung, nil
	}
	if f.strange {
		// Our reference in a session that Start did not open: somebody else made it.
		other, err := tx.HasOtherKey(ctx, v, d.Event.Keys)
		if err != nil {
			return nil, NoRung, err
		}
		if other && !parked {
			s.alarm(ctx, d)
		}
		if other {
			return nil, NoRung, nil
		}
	}
	if parked {
		if f.overtaken, err = s.overtaken(ctx, tx, v, d); err != nil {
			return nil, NoRung, err
		}
	}
	return v, f.rung, s.apply(ctx, tx, v, d, f)
}

// apply binds what the payload named to v and moves its state, unless something
// newer was decided since it came.
func (s *Service) apply(ctx context.Context, tx DeliveryTx, v *Verification, d *Delivery, f found) error {
	now := s.now()
	if err := bindRefs(ctx, tx, v, f.match, d.Event.allRefs(), now); err != nil {
		return err
	}
	firstBinding := v.BindTime.IsZero()
	if firstBinding {
		v.BindTime = now
	}
	effect := Stale
	if !f.overtaken {
		var err error
		if effect, err = s.move(ctx, tx, v, change{
			event: d.Event, source: SourceProvider, rung: f.rung, match: f.match, reason: f.reason, delivery: d.ID,
			arrival: d.ReceiveTime,
		}); err != nil {
			return err
		}
	}
	d.Effect, d.VerificationID = effect, v.ID
	if effect != Applied && firstBinding {
		// It may be asked for by a ref that is known only now.
		s.planFetch(v, now)
		return tx.Save(ctx, v, nil)
	}
	return nil
}

// bindRefs ties provider refs to v.
func bindRefs(ctx context.Context, tx DeliveryTx, v *Verification, match Match, refs []string, now time.Time) error {
	for _, ref := range refs {
		bound := BoundRef{Connection: v.Connection, Ref: ref, VerificationID: v.ID, Match: match, CreateTime: now}
		if err := tx.BindRef(ctx, bound); err != nil {
			return err
		}
	}
	return nil
}

// retryParked looks again at deliveries that may have been waiting for what
// just happened to v. Its failure costs a moment: the sweep does the same.
func (s *Service) retryParked(ctx context.Context, v *Verification) {
	var waiting []uuid.UUID
	err := s.store.InTx(ctx, func(tx Tx) error {
		var err error
		waiting, err = tx.ParkedFor(ctx, v, s.flowWindow(v))
		return err
	})
	for _, id := range waiting {
		err = errors.Join(err, s.retryOne(ctx, Place{v.Scope, id}))
	}
	if err != nil {
		s.log.WarnContext(ctx, "could not look at parked deliveries; the sweep will", "verification_id", v.ID, "error", err)
	}
}

func (s *Service) retryOne(ctx context.Context, waiting Place) error {
	var d *Delivery
	var rung Rung
	err := s.change(ctx, func(tx Tx) (*Verification, error) {
		var err error
		d, err = tx.LockParked(ctx, waiting.Scope, waiting.ID)
		if KindOf(err) == KindNotFound {
			d = nil // somebody else settled it, or is at it
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		var v *Verification
		if v, rung, err = s.settle(ctx, tx, d, true); err != nil || d.Effect == Unmatched {
			return nil, err
		}
		return v, tx.SettleDelivery(ctx, d, s.now())
	})
	if err == nil && d != nil && d.Effect != Unmatched {
		s.report(ctx, d, rung)
	}
	return err
}
