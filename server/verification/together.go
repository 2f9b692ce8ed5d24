package verification

import "context"

// Outcome is what became of one delivery of several.
type Outcome struct {
	// Applied: it is kept, and never lost from now on. Otherwise nothing of it was
	// stored, and Deliver is to be called with it alone.
	Applied bool
	// Effect is what it did, if it is Applied.
	Effect Effect
}

// DeliverTogether does what Deliver does for deliveries that arrived together, in
// their order and with one commit. The same code judges them. What cannot be
// applied this way is left out, whatever the reason, and so are later deliveries
// that name what it names; the others are not held up by it. What waited for one
// of them is left to the sweep.
func (s *Service) DeliverTogether(ctx context.Context, ds []*Delivery) []Outcome {
	decoded := make([]Effect, len(ds))
	for i, d := range ds {
		decoded[i] = d.Effect
	}
	found := make([]*Verification, len(ds))
	rungs := make([]Rung, len(ds))
	applied, err := s.store.InBatch(ctx, ds, func(tx DeliveryTx, i int) error {
		var err error
		found[i], rungs[i], err = s.take(ctx, tx, ds[i], decoded[i])
		return err
	})
	outcomes := make([]Outcome, len(ds))
	if err != nil {
		s.log.WarnContext(ctx, "deliveries could not be applied together; each is tried alone", "count", len(ds), "error", err)
		applied = make([]bool, len(ds))
	}
	for i, d := range ds {
		if !applied[i] {
			d.Effect = decoded[i]
			continue
		}
		outcomes[i] = Outcome{Applied: true, Effect: d.Effect}
		if found[i] != nil {
			s.waker.Wake(found[i])
		}
		s.report(ctx, d, rungs[i])
	}
	return outcomes
}
