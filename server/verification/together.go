package verification

import "context"

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
// of them is left to the sweep. Report is to be called for each that was applied.
func (s *Service) DeliverTogether(ctx context.Context, ds []*Delivery) []Outcome {
	decoded := make([]Effect, len(ds))
	for i, d := range ds {
		decoded[i] = d.Effect
	}
	found := make([]*Verification, len(ds))
	outcomes := make([]Outcome, len(ds))
	applied, err := s.store.InBatch(ctx, ds, func(tx DeliveryTx, i int) error {
		var err error
		found[i], outcomes[i].Rung, err = s.take(ctx, tx, ds[i], decoded[i])
		return err
	})
	if err != nil {
		s.log.WarnContext(ctx, "deliveries could not be applied together; each is tried alone", "count", len(ds), "error", err)
		applied = make([]bool, len(ds))
	}
	for i, d := range ds {
		if !applied[i] {
			d.Effect, outcomes[i] = decoded[i], Outcome{}
			continue
		}
		outcomes[i].Applied, outcomes[i].Effect = true, d.Effect
		if found[i] != nil {
			s.waker.Wake(found[i])
		}
	}
	return outcomes
}

// Report tells metrics and log what DeliverTogether did with d. ctx is that of the
// request which brought it.
func (s *Service) Report(ctx context.Context, d *Delivery, o Outcome) { s.report(ctx, d, o.Rung) }
