package verification

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
)

// The correlation ladder says which verification a delivery is about. A wrong
// guess approves the wrong person, so each rung is either proof or the only
// possibility, and what is neither is parked. docs/correlation.md tells it to
// operators.
//
//	1 payload_key    the signed payload carries our id or a session key
//	2 bound_ref      the provider's id in it was bound to a verification before
//	  ---- below only where the flow says `correlation: inferred` ----
//	3 return_hint    exactly one returning person claimed the provider's id
//	4 sole_returned  exactly one candidate whose person returned near the time
//	  sole_open      nobody returned, and there is exactly one candidate at all
//	5 parked         otherwise
//
// Candidates are not only the open verifications: an expired or canceled one
// whose page may still be finished could be the one that the webhook is about,
// so it blocks the guess; so does an open one that is bound already, which may
// have got a second id. sole_open is never used on a parked delivery: that
// would be elimination. What is only noted is never guessed about: a guess binds,
// and would settle who the next decision is about.

// found is where the ladder led.
type found struct {
	id    uuid.UUID
	rung  Rung
	match Match
	// arrival is when the run that a guess is about was first heard of.
	arrival time.Time
	// strange: the payload has a key that nobody knows.
	strange bool
	// reason is the operator's, who found it by hand; empty for the ladder.
	reason string
	// overtaken: something newer was decided while the delivery waited.
	overtaken bool
}

// exact reports whether the payload names the verification; the rest guesses.
func (f found) exact() bool { return f.rung == RungPayloadKey || f.rung == RungBoundRef }

// climb returns the verification that a delivery is about, or false to park it.
// parked tells that it waits already.
func (s *Service) climb(ctx context.Context, tx DeliveryTx, d *Delivery, parked bool) (found, bool, error) {
	f, ok, err := byPayload(ctx, tx, d)
	if err != nil || ok {
		return f, ok, err
	}
	if f.rung == rungContradiction {
		if !parked && (d.Event.VerificationID != "" || len(d.Event.Keys) > 1) {
			s.alarm(ctx, d)
		}
		return found{}, false, nil
	}
	if d.Event.Kind == Noted {
		return found{}, false, nil
	}
	// What tells of a run that is known already says nothing new about who it
	// was: it is judged as of the first word of it.
	arrival, err := tx.FirstOfRun(ctx, d)
	if err != nil {
		return found{}, false, err
	}
	known := *d
	known.ReceiveTime = arrival
	parked = parked || arrival.Before(d.ReceiveTime)
	f, ok, err = s.guess(ctx, tx, &known, parked)
	f.arrival = arrival
	return f, ok, err
}

// alarm tells that a signed payload names two verifications, or one and a
// session that is not its own. Nobody but an operator can know which is meant.
func (s *Service) alarm(ctx context.Context, d *Delivery) {
	s.meter.Mismatched(d.Connection)
	s.log.ErrorContext(ctx, "a delivery names one verification by the provider's id and another by our reference; it is parked",
		"connection", d.Connection, "delivery_id", d.ID)
}

// guess is the rungs that need the flow's consent.
func (s *Service) guess(ctx context.Context, tx DeliveryTx, d *Delivery, parked bool) (found, bool, error) {
	f, ok, err := s.byHint(ctx, tx, d)
	if err != nil || ok || f.rung == rungContradiction {
		return f, ok, err
	}
	return s.byElimination(ctx, tx, d, parked)
}

// rungContradiction stops the climb: what was found disagrees with itself, and
// a weaker rung must not decide over a stronger one's doubt.
const rungContradiction Rung = "contradiction"

// byPayload is rungs 1 and 2. Everything that the payload names must mean the
// same verification.
func byPayload(ctx context.Context, tx DeliveryTx, d *Delivery) (found, bool, error) {
	bound, err := tx.FindRefs(ctx, d.Connection, d.Event.allRefs())
	if err != nil {
		return found{}, false, err
	}
	var all []found
	if d.Event.VerificationID != "" {
		// What is no UUID of ours becomes the zero id, which nothing has.
		id, _ := uuid.Parse(d.Event.VerificationID)
		all = append(all, found{id: id, rung: RungPayloadKey, match: Exact})
	}
	for _, b := range bound {
		rung := RungPayloadKey
		if slices.Contains(d.Event.Refs, b.Ref) {
			rung = RungBoundRef
		}
		all = append(all, found{id: b.VerificationID, rung: rung, match: b.Match})
	}
	if len(all) == 0 {
		// A key that nobody knows names a verification that is not ours, or one
		// whose Start has not committed yet. Guessing would overrule it.
		if len(d.Event.Keys) > 0 {
			return found{rung: rungContradiction}, false, nil
		}
		return found{}, false, nil
	}
	best := all[0]
	for _, f := range all[1:] {
		if f.id != best.id {
			return found{rung: rungContradiction}, false, nil
		}
		if f.rung == RungPayloadKey && best.rung != RungPayloadKey {
			best = f
		}
	}
	// An unknown key names somebody; an earlier guess does not overrule it.
	best.strange = hasUnknownKey(&d.Event, bound)
	if best.match == Inferred && best.strange {
		return found{rung: rungContradiction}, false, nil
	}
	return best, true, nil
}

func hasUnknownKey(e *Event, bound []BoundRef) bool {
	for _, key := range e.Keys {
		if !slices.ContainsFunc(bound, func(b BoundRef) bool { return b.Ref == key }) {
			return true
		}
	}
	return false
}

// byHint is rung 3: one claim selects, two cancel each other out.
func (s *Service) byHint(ctx context.Context, tx DeliveryTx, d *Delivery) (found, bool, error) {
	if len(d.Event.Refs) == 0 {
		return found{}, false, nil
	}
	claimed, err := tx.Hinted(ctx, d.Connection, d.Event.Refs)
	if err != nil || len(claimed) == 0 {
		return found{}, false, err
	}
	if len(claimed) > 1 {
		s.log.WarnContext(ctx, "two verifications claim one provider ref; the delivery is parked",
			"connection", d.Connection, "delivery_id", d.ID)
		return found{rung: rungContradiction}, false, nil
	}
	return found{id: claimed[0], rung: RungReturnHint, match: Inferred}, true, nil
}

// byElimination is rung 4.
func (s *Service) byElimination(ctx context.Context, tx DeliveryTx, d *Delivery, parked bool) (found, bool, error) {
	window := s.window(d)
	candidates, err := tx.Candidates(ctx, CandidateQuery{
		Scope: d.Scope, Connection: d.Connection, Product: d.Event.Product, At: d.ReceiveTime, Window: window,
	})
	if err != nil || len(candidates) == 0 {
		return found{}, false, err
	}
	first := candidates[0]
	alone := len(candidates) == 1
	guess := found{id: first.ID, match: Inferred}
	// Several waiting deliveries and one person: any of them could be that
	// person's. It may have come at any time while the person could finish.
	var from, until time.Time
	switch {
	case first.Returned && (alone || !candidates[1].Returned):
		// A person may come back long after the page is finished, to be taken for
		// somebody else: what waits since it was opened may be that person's own.
		guess.rung = RungSoleReturned
		from, until = first.CreateTime, later(first.ReturnTime, d.ReceiveTime).Add(window)
	case !first.Returned && alone && !parked:
		guess.rung = RungSoleOpen
		from, until = first.CreateTime, d.ReceiveTime.Add(window)
	default:
		return found{}, false, nil
	}
	twin, err := tx.HasParkedTwin(ctx, d, from, until)
	return guess, err == nil && !twin, err
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// window is how far a return and this webhook may lie apart.
func (s *Service) window(d *Delivery) time.Duration {
	if flow, ok := s.catalog.FlowFor(d.Connection, d.Event.Product); ok {
		return flow.ReturnWindow
	}
	return 0
}

// accepts says whether v, now locked, may take what the ladder found. An
// inferred match needs the flow's consent and a row that is not bound yet.
func (s *Service) accepts(v *Verification, d *Delivery, f found) bool {
	if v.Connection != d.Connection || v.Scope != d.Scope {
		return false
	}
	if d.Event.Product != "" && d.Event.Product != v.Product {
		return false
	}
	if f.exact() {
		return true
	}
	// What arrived before the row was there cannot be about it: the row comes
	// before the page.
	if f.arrival.Before(v.CreateTime) {
		return false
	}
	flow, ok := s.catalog.Flow(v.Scope, v.Flow)
	return ok && flow.Inferred && v.BindTime.IsZero() && couldBe(v, f.arrival)
}

// couldBe reports whether a webhook that arrived at the given time can be about
// v: not decided before, or over in a way that leaves the page usable.
func couldBe(v *Verification, at time.Time) bool {
	switch v.State {
	case Created, Pending, Processing, InReview:
		return true
	case Expired:
		return at.Before(later(v.GraceUntil, v.PageUntil))
	case Canceled:
		return at.Before(v.PageUntil)
	case Approved, Declined, Failed:
		return false
	}
	return false
}
