package verification

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
)

const (
	// sweepBatch bounds one round; a backlog takes several.
	sweepBatch = 200
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
	ids, err := s.store.Overdue(ctx, now, sweepBatch)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := s.expire(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) expire(ctx context.Context, id uuid.UUID) error {
	var effect Effect
	err := s.change(ctx, func(tx Tx) (*Verification, error) {
		v, err := tx.Lock(ctx, id)
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
	ids, err := s.store.Unstarted(ctx, now.Add(-startPatience), sweepBatch)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := s.fail(ctx, id, ReasonStartInterrupted); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) recheckParked(ctx context.Context, now time.Time) error {
	ids, err := s.store.ParkedRecently(ctx, now.Add(-parkedRecheck), sweepBatch)
	if err != nil {
		return err
	}
	return s.retryAll(ctx, ids)
}
