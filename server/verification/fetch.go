package verification

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Answer is what a provider said when it was asked about a verification.
type Answer struct {
	// Ref is what it was asked by. How surely it is the verification's is how
	// surely the answer is.
	Ref   BoundRef
	Event Event
}

// DueForFetch reports whether the provider is to be asked about v at all, now or
// later.
func (v *Verification) DueForFetch(now time.Time) bool {
	return v.suspected() || !v.FetchTime.IsZero() && v.fetchable(now)
}

// ApplyFetched applies what a provider said about a verification when it was
// asked, and plans the next fetch. version is the verification's when the
// question was put: what it says of the way is stale if the row went on since,
// what it decides is not. The effects are those of the answers, in their order;
// one that is about another verification is Refused and alarms the operator.
func (s *Service) ApplyFetched(ctx context.Context, place Place, version int64, answers ...Answer) ([]Effect, error) {
	var v *Verification
	var effects []Effect
	var strange []bool
	given := answers
	err := s.change(ctx, func(tx Tx) (*Verification, error) {
		effects, strange = make([]Effect, len(answers)), make([]bool, len(answers))
		var err error
		if v, err = tx.Lock(ctx, place.Scope, place.ID); err != nil {
			return nil, err
		}
		overtaken, suspected := v.Version != version, v.suspected()
		answers = given
		if suspected && !overtaken {
			answers = v.asRevisions(given)
		}
		for i, a := range answers {
			if effects[i], strange[i], err = s.applyAnswer(ctx, tx, v, a, overtaken); err != nil {
				return nil, err
			}
		}
		if !slices.Contains(effects, Applied) {
			v.Fetches++
			switch {
			case !suspected:
				s.planFetch(v, s.now())
			case overtaken: // the suspicion may be newer than the question
			case slices.Contains(strange, false):
				v.FetchTime = time.Time{}
			default:
				s.suspectLater(ctx, v, s.now(), 0)
			}
		}
		return v, tx.Save(ctx, v, nil)
	})
	if err != nil {
		return nil, err
	}
	for i, a := range answers {
		s.reportAnswer(ctx, v, a.Event.Kind, effects[i], strange[i])
	}
	// A name beside an id binds the id: others may have waited for that.
	if slices.ContainsFunc(answers, func(a Answer) bool { return len(a.Event.Refs) > 0 }) {
		s.retryParked(ctx, v)
	}
	return effects, nil
}

// FetchFailed plans the next fetch of a verification after one that got no
// answer, not before retryAfter has passed.
func (s *Service) FetchFailed(ctx context.Context, place Place, retryAfter time.Duration) error {
	return s.replan(ctx, place, func(v *Verification, now time.Time) {
		v.Fetches++
		if v.suspected() {
			s.suspectLater(ctx, v, now, retryAfter)
			return
		}
		s.planFetch(v, now)
		if v.FetchTime.IsZero() {
			return
		}
		v.FetchTime = later(v.FetchTime, now.Add(retryAfter))
		if !v.FetchTime.Before(v.GraceUntil) {
			v.FetchTime = time.Time{}
		}
	})
}

// StopFetching ends the fetching of a verification until something changes it:
// there is nobody to ask, or nothing to ask by.
func (s *Service) StopFetching(ctx context.Context, place Place) error {
	return s.replan(ctx, place, func(v *Verification, _ time.Time) { v.FetchTime = time.Time{} })
}

// replan changes nothing that anybody watches, so nobody is woken.
func (s *Service) replan(ctx context.Context, place Place, plan func(*Verification, time.Time)) error {
	return s.store.InTx(ctx, func(tx Tx) error {
		v, err := tx.Lock(ctx, place.Scope, place.ID)
		if err != nil {
			return err
		}
		plan(v, s.now())
		return tx.Save(ctx, v, nil)
	})
}

// applyAnswer returns what an answer did, and whether it is strange: about
// another verification. overtaken tells that the row went on since the question.
func (s *Service) applyAnswer(ctx context.Context, tx Tx, v *Verification, a Answer, overtaken bool) (effect Effect, strange bool, err error) {
	refs := a.Event.allRefs()
	bound, err := tx.FindRefs(ctx, v.Connection, refs)
	if err != nil {
		return "", false, err
	}
	ok, err := isAbout(ctx, tx, v, a, bound)
	if err != nil || !ok {
		return Refused, !ok, err
	}
	if !v.EraseTime.IsZero() {
		return Stale, false, s.forget(ctx, tx, v, a.Ref.Match, refs)
	}
	now := s.now()
	if err := bindRefs(ctx, tx, v, a.Ref.Match, refs, now); err != nil {
		return "", false, err
	}
	if v.BindTime.IsZero() && len(bound) < len(refs) {
		v.BindTime = now
	}
	if overtaken && !a.Event.Kind.decides() {
		return Stale, false, nil
	}
	effect, err = s.move(ctx, tx, v, change{event: a.Event, source: SourcePoll, rung: RungBoundRef, match: a.Ref.Match})
	return effect, false, err
}

// decides reports whether a provider's word of this kind ends a verification.
func (k EventKind) decides() bool {
	_, ok := lateDecision[k]
	return ok
}

// isAbout reports whether everything that an answer names is v, bound being what
// is known of its refs. The adapter compared it with the question already;
// believing a wrong one would decide somebody else's verification.
func isAbout(ctx context.Context, tx Tx, v *Verification, a Answer, bound []BoundRef) (bool, error) {
	if a.Ref.Connection != v.Connection || a.Ref.VerificationID != v.ID {
		return false, nil
	}
	if a.Event.Product != "" && a.Event.Product != v.Product {
		return false, nil
	}
	if a.Event.VerificationID != "" {
		// What is no UUID of ours becomes the zero id, which nothing has.
		if named, _ := uuid.Parse(a.Event.VerificationID); named != v.ID {
			return false, nil
		}
	}
	if slices.ContainsFunc(bound, func(b BoundRef) bool { return b.VerificationID != v.ID }) {
		return false, nil
	}
	if !hasUnknownKey(&a.Event, bound) {
		return true, nil
	}
	// A session that Start did not open: somebody else made it.
	other, err := tx.HasOtherKey(ctx, v, a.Event.Keys)
	return !other, err
}

func (s *Service) reportAnswer(ctx context.Context, v *Verification, kind EventKind, effect Effect, strange bool) {
	s.meter.Applied(kind, SourcePoll, effect, RungBoundRef)
	if strange {
		s.meter.Mismatched(v.Connection)
		s.log.ErrorContext(ctx, "the provider answered about another verification than it was asked about; nothing was applied",
			"connection", v.Connection, "verification_id", v.ID)
		return
	}
	if effect == Applied {
		s.meter.FoundByPoll(v.Connection)
		s.log.InfoContext(ctx, "asking the provider brought what no webhook had",
			"connection", v.Connection, "verification_id", v.ID, "event", kind)
	}
}
