package verification

import (
	"context"
	"slices"
	"time"
)

// A delivery with an earlier one's words is taken for another attempt at it. Not
// every provider gives its decisions ids or times: a reviewer who declines,
// approves and declines again says the first thing twice. Such a repeat moves
// nothing by itself, but a decided verification that it contradicts is suspected
// of standing wrongly, and the provider is asked once. A decided row with a
// FetchTime is a suspected one.

// mostSuspectTries is how often a provider that does not answer is asked about a
// suspicion: the backoff makes it most of a day.
const mostSuspectTries = 24

func (v *Verification) suspected() bool {
	return v.decided() && !v.FetchTime.IsZero() && v.EraseTime.IsZero()
}

func (v *Verification) decided() bool { return v.State == Approved || v.State == Declined }

// contradicts reports whether a decision of this kind says the opposite of a
// decided v.
func (v *Verification) contradicts(kind EventKind) bool {
	to, decides := lateDecision[kind]
	return decides && v.decided() && to != v.State
}

// suspect looks whether a repeated decision contradicts the verification that it
// names. Then it is kept with it, and the provider is asked at once if it can be.
// What an operator decided last stands: the repeat says nothing that the operator
// did not overrule.
func (s *Service) suspect(ctx context.Context, tx DeliveryTx, d *Delivery) error {
	if !d.Event.Kind.decides() {
		return nil
	}
	f, ok, err := byPayload(ctx, tx, d)
	if err != nil || !ok || f.strange {
		return err
	}
	v, err := tx.Lock(ctx, d.Scope, f.id)
	if KindOf(err) == KindNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	if !v.EraseTime.IsZero() || !s.accepts(v, d, f) || !v.contradicts(d.Event.Kind) {
		return nil
	}
	d.VerificationID, d.Emptied = v.ID, false
	by, err := tx.LastSource(ctx, v)
	if err != nil || by == SourceOperator {
		return err
	}
	if !s.pollable(v.Connection) {
		s.log.WarnContext(ctx, "a repeated decision contradicts the verification, and the provider cannot be asked; compare it with the provider's own page",
			"connection", v.Connection, "delivery_id", d.ID, "verification_id", v.ID)
		return nil
	}
	v.FetchTime, v.Fetches = s.now(), 0
	return tx.Save(ctx, v, nil)
}

// suspectLater plans the next question about a suspected v after one without an
// answer, not before retryAfter has passed, and gives up in the end.
func (s *Service) suspectLater(ctx context.Context, v *Verification, now time.Time, retryAfter time.Duration) {
	if v.Fetches >= mostSuspectTries {
		v.FetchTime = time.Time{}
		s.log.WarnContext(ctx, "the provider does not say whether a repeated decision counts; the verification stays as it is",
			"connection", v.Connection, "verification_id", v.ID)
		return
	}
	v.FetchTime = now.Add(max(fetchWait(v, s.fetchAfter(v), s.spread()), retryAfter))
}

// asRevisions reads the answers about a suspected v as what they are: a decision
// that contradicts it revises it. Where one of them agrees, none does.
func (v *Verification) asRevisions(answers []Answer) []Answer {
	for _, a := range answers {
		if to, decides := lateDecision[a.Event.Kind]; decides && to == v.State {
			return answers
		}
	}
	revised := slices.Clone(answers)
	for i := range revised {
		if to, decides := lateDecision[revised[i].Event.Kind]; decides {
			revised[i].Event.Kind = revisions[to]
		}
	}
	return revised
}

// overtaken reports whether d, which waited, decides what something newer decided
// since. What says only what is so overrules nothing.
func (s *Service) overtaken(ctx context.Context, tx DeliveryTx, v *Verification, d *Delivery) (bool, error) {
	if !d.Event.Kind.decides() {
		return false, nil
	}
	if _, effect := Next(v.State, d.Event.Kind, v.inGrace(d.ReceiveTime)); effect == Duplicate {
		return false, nil
	}
	return tx.DecidedAfter(ctx, v, d.ReceiveTime)
}
