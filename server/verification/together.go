package verification

import (
	"context"
	"slices"
)

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
// that name what it names; the others are not held up by it.
//
// The returned function does what is to be done once the outcomes were told.
func (s *Service) DeliverTogether(ctx context.Context, ds []*Delivery) (outcomes []Outcome, after func(context.Context)) {
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
	if err != nil {
		s.log.WarnContext(ctx, "deliveries could not be applied together; each is tried alone", "count", len(ds), "error", err)
	}
	outcomes = make([]Outcome, len(ds))
	for i, d := range ds {
		if err != nil || !applied[i] {
			d.Effect, found[i] = decoded[i], nil
			continue
		}
		outcomes[i] = Outcome{Applied: true, Effect: d.Effect}
		if v := found[i]; v != nil {
			s.waker.Wake(v)
		}
	}
	return outcomes, func(ctx context.Context) { s.reportAll(ctx, ds, outcomes, found, rungs) }
}

// reportAll tells of what was applied, and looks at what may have waited for it.
func (s *Service) reportAll(ctx context.Context, ds []*Delivery, outcomes []Outcome, found []*Verification, rungs []Rung) {
	var connections []string
	for i, d := range ds {
		if !outcomes[i].Applied {
			continue
		}
		s.report(ctx, d, rungs[i])
		if teaches(found[i], d) && !slices.Contains(connections, d.Connection) {
			connections = append(connections, d.Connection)
		}
	}
	if len(connections) == 0 {
		return
	}
	waiting, err := s.store.Parked(ctx, connections)
	if err != nil {
		s.log.WarnContext(ctx, "could not look for parked deliveries; the sweep will", "error", err)
		return
	}
	for i, d := range ds {
		if outcomes[i].Applied && teaches(found[i], d) && slices.Contains(waiting, d.Connection) {
			s.retryParked(ctx, found[i])
		}
	}
}
