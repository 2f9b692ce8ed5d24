package verification

import (
	"context"
	"errors"
	"time"
)

const (
	// sweepBatch is how many rows are looked up at a time, maxBatches how often
	// in one round.
	sweepBatch = 200
	maxBatches = 50
	// startPatience is how long a start may take before the sweep believes that
	// its process died. Longer than any adapter's time-out.
	startPatience = 2 * time.Minute
	// parkedRecheck is how long after its arrival a parked delivery is looked at
	// again by the clock: it closes races between a webhook and a return that
	// commit at the same moment.
	parkedRecheck = 15 * time.Minute
)

// Sweep does what the clock asks for: it expires what is overdue, fails starts
// that died, re-checks parked deliveries, and frees lanes. Any node may do it
// at any time; each verification is expired exactly once, because its row is
// locked and the state machine refuses the second.
func (s *Service) Sweep(ctx context.Context) error {
	now := s.now()
	return errors.Join(
		s.expireOverdue(ctx, now),
		s.failUnstarted(ctx, now),
		s.recheckParked(ctx, now),
		s.store.FreeLanes(ctx, now),
	)
}

func (s *Service) expireOverdue(ctx context.Context, now time.Time) error {
	return inBatches(func() ([]Place, error) { return s.store.Overdue(ctx, now, sweepBatch) },
		func(overdue Place) error { return s.expire(ctx, overdue) })
}

// inBatches works off a backlog. A row that fails does not hold up the ones
// behind it, but a batch in which none succeeds ends the round.
func inBatches(next func() ([]Place, error), do func(Place) error) error {
	for range maxBatches {
		places, err := next()
		if err != nil {
			return err
		}
		var failed []error
		for _, place := range places {
			if err := do(place); err != nil {
				failed = append(failed, err)
			}
		}
		if len(places) < sweepBatch || len(failed) == len(places) {
			return errors.Join(failed...)
		}
	}
	return nil
}

func (s *Service) expire(ctx context.Context, overdue Place) error {
	var effect Effect
	err := s.change(ctx, func(tx Tx) (*Verification, error) {
		v, err := tx.Lock(ctx, overdue.Scope, overdue.ID)
		if err != nil {
			return nil, err
		}
		event := Event{Kind: LifetimeEnded, ReasonCodes: []string{ReasonLifetimeOver}}
		effect, err = s.move(ctx, tx, v, change{event: event, source: SourceClock})
		return v, err
	})
	if err == nil {
		s.meter.Applied(LifetimeEnded, SourceClock, effect, NoRung)
	}
	return err
}

func (s *Service) failUnstarted(ctx context.Context, now time.Time) error {
	return inBatches(func() ([]Place, error) { return s.store.Unstarted(ctx, now.Add(-startPatience), sweepBatch) },
		func(unstarted Place) error { return s.fail(ctx, unstarted, ReasonStartInterrupted) })
}

func (s *Service) recheckParked(ctx context.Context, now time.Time) error {
	parked, err := s.store.ParkedRecently(ctx, now.Add(-parkedRecheck), sweepBatch)
	if err != nil {
		return err
	}
	var failed []error
	for _, waiting := range parked {
		failed = append(failed, s.retryOne(ctx, waiting))
	}
	return errors.Join(failed...)
}
