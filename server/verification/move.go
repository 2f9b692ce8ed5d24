package verification

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// change is an event on its way into a row, with everything that the
// transition will remember of it.
type change struct {
	event    Event
	source   Source
	rung     Rung
	match    Match
	reason   string
	delivery uuid.UUID
	// arrival is when a delivery came in; zero for what happens now. The grace
	// period is for decisions that arrive in it, however long they waited.
	arrival time.Time
}

// move is the one place where a state changes. v is locked by tx; it is
// updated in place and saved, with its transition, if the event applies.
func (s *Service) move(ctx context.Context, tx DeliveryTx, v *Verification, c change) (Effect, error) {
	now := s.now()
	arrival := c.arrival
	if arrival.IsZero() {
		arrival = now
	}
	next, effect := Next(v.State, c.event.Kind, v.inGrace(arrival))
	extended := (effect == Applied || effect == Duplicate) && s.outlivePage(v, c)
	if effect != Applied {
		if extended {
			s.planFetch(v, now)
			return effect, tx.Save(ctx, v, nil)
		}
		return effect, nil
	}
	from := v.State
	v.enter(next, c, now)
	v.FetchTime, v.Fetches = time.Time{}, 0
	s.planFetch(v, now)
	return Applied, tx.Save(ctx, v, &Transition{
		VerificationID: v.ID, Version: v.Version, Scope: v.Scope,
		From: from, To: next, Event: c.event.Kind, Source: c.source,
		Rung: c.rung, Match: c.match, ReasonCodes: v.ReasonCodes, Reason: c.reason,
		DeliveryID: c.delivery, CreateTime: now,
	})
}

// outlivePage gives v the flow's lifetime again once the provider says that the
// person is done with the page, whose end cut it: a review takes hours. It reports
// whether that changed anything. The return leg is no proof of it.
func (s *Service) outlivePage(v *Verification, c change) bool {
	said := c.source == SourceProvider || c.source == SourcePoll
	done := c.event.Kind == PersonSubmitted || c.event.Kind == ReviewStarted
	if !said || !done || v.PageUntil.IsZero() || !v.PageUntil.Equal(v.ExpireTime) || s.catalog == nil {
		return false
	}
	flow, ok := s.catalog.Flow(v.Scope, v.Flow)
	if !ok {
		return false
	}
	shift := v.CreateTime.Add(flow.Lifetime).Sub(v.ExpireTime)
	if shift <= 0 {
		return false
	}
	v.ExpireTime, v.GraceUntil = v.ExpireTime.Add(shift), v.GraceUntil.Add(shift)
	return true
}

// enter sets every column that depends on the state, together.
func (v *Verification) enter(next State, c change, now time.Time) {
	v.State = next
	v.Version++
	v.ReasonCodes = c.event.ReasonCodes
	v.UpdateTime = now
	if c.match != NoMatch && v.Match != Bound {
		v.Match = weakest(v.Match, c.match)
	}
	v.FinalTime = time.Time{}
	if next.Terminal() {
		v.FinalTime = now
	}
	// An expired or canceled page may still be finished by the person, so its
	// lane stays taken until the grace period ends.
	if next == Approved || next == Declined || next == Failed {
		v.Lane = ""
	}
}

// weakest keeps the doubt: once a match was inferred, a later event that found
// the verification by that very binding does not make it exact.
func weakest(have, found Match) Match {
	if have == Inferred {
		return Inferred
	}
	return found
}
