package verification

import (
	"context"

	"github.com/google/uuid"
)

// Outcome is what became of one delivery of several.
type Outcome struct {
	// Applied: it is kept, and never lost from now on. Otherwise nothing of it was
	// stored, and Deliver is to be called with it alone.
	Applied bool
	// Effect is what it did, if it is Applied, and Rung what found its verification.
	Effect Effect
	Rung   Rung
}

// DeliverTogether does what Deliver does for deliveries that arrived together, in
// their order and with one commit. The same code judges them. What cannot be
// applied this way is left out, whatever the reason, and so are later deliveries
// that name what it names; the others are not held up by it. What waited for one
// of them is left to the sweep. held is called when the verifications that they are
// about are held: what is delivered from then on comes after them. Report is to be
// called for each that was applied.
func (s *Service) DeliverTogether(ctx context.Context, ds []*Delivery, held func()) []Outcome {
	decoded := make([]Effect, len(ds))
	for i, d := range ds {
		decoded[i] = d.Effect
	}
	found := make([]*Verification, len(ds))
	outcomes := make([]Outcome, len(ds))
	// Whatever ends this, a panic included: what is not kept is as it came.
	defer func() {
		for i, d := range ds {
			if !outcomes[i].Applied {
				d.Effect, d.VerificationID, d.Emptied = decoded[i], uuid.Nil, false
			}
		}
	}()
	applied, err := s.store.InBatch(ctx, ds, held, func(tx DeliveryTx, i int) error {
		var err error
		found[i], outcomes[i].Rung, err = s.take(ctx, tx, ds[i], decoded[i])
		return err
	})
	if err != nil {
		s.log.WarnContext(ctx, "deliveries could not be applied together; each is tried alone", "count", len(ds), "error", err)
		applied = make([]bool, len(ds))
	}
	for i, d := range ds {
		if outcomes[i].Applied = applied[i]; applied[i] {
			outcomes[i].Effect = d.Effect
		}
	}
	for i, v := range found {
		if applied[i] && v != nil {
			s.waker.Wake(v)
		}
	}
	return outcomes
}

// Report tells metrics and log what DeliverTogether did with d. ctx is that of the
// request which brought it.
func (s *Service) Report(ctx context.Context, d *Delivery, o Outcome) { s.report(ctx, d, o.Rung) }
