package verification

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
)

// maxTimeline is how many entries a timeline has at most: the last ones.
const maxTimeline = 500

// Timeline is a verification and what was said about it.
type Timeline struct {
	Verification *Verification
	// Entries are oldest first.
	Entries []TimelineEntry
}

// TimelineEntry is one thing that was said: a transition, or a delivery that
// moved nothing. Exactly one of the two is set.
type TimelineEntry struct {
	Transition *Transition
	// Delivery is without its content.
	Delivery *Delivery
}

// Time is when a transition was made, or a delivery was settled, which may be
// long after its arrival.
func (e TimelineEntry) Time() time.Time {
	if e.Transition != nil {
		return e.Transition.CreateTime
	}
	return e.Delivery.ApplyTime
}

// Timeline returns a verification of the scope with the last 500 entries of its
// history. KindNotFound if there is none.
func (s *Service) Timeline(ctx context.Context, scope Scope, id uuid.UUID) (*Timeline, error) {
	v, err := s.store.Get(ctx, scope, id)
	if err != nil {
		return nil, err
	}
	transitions, deliveries, err := s.store.History(ctx, scope, id, maxTimeline)
	if err != nil {
		return nil, err
	}
	return &Timeline{Verification: v, Entries: merge(transitions, deliveries, maxTimeline)}, nil
}

// merge takes the newest entries of two lists, transitions newest first, and
// returns them oldest first. The order of transitions stays that of their versions, even
// where two nodes' clocks disagree. Of the same moment, the transition is first.
func merge(transitions []*Transition, deliveries []*Delivery, limit int) []TimelineEntry {
	slices.SortStableFunc(deliveries, func(a, b *Delivery) int { return b.ApplyTime.Compare(a.ApplyTime) })
	entries := make([]TimelineEntry, 0, min(limit, len(transitions)+len(deliveries)))
	for len(entries) < limit && len(transitions)+len(deliveries) > 0 {
		if len(deliveries) == 0 || len(transitions) > 0 && transitions[0].CreateTime.After(deliveries[0].ApplyTime) {
			entries = append(entries, TimelineEntry{Transition: transitions[0]})
			transitions = transitions[1:]
			continue
		}
		entries = append(entries, TimelineEntry{Delivery: deliveries[0]})
		deliveries = deliveries[1:]
	}
	slices.Reverse(entries)
	return entries
}
