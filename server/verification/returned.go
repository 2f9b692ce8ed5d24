package verification

import (
	"context"
	"net/url"
	"time"
)

// Return is what a person brought back through a return leg.
type Return struct {
	// Nonce is the unguessable part of the leg's URL.
	Nonce string
	// Failure tells which of the two legs it was: where to send the person, and
	// nothing else.
	Failure bool
	// Query is what the provider appended, if anything. It is under the
	// person's control.
	Query url.Values
}

// Returned notes that a person came back and says where to send it: the app's
// own redirect URL. It is a hint and a convenience, never proof; no path leads
// from it to Approved. KindNotFound when the nonce is nobody's.
func (s *Service) Returned(ctx context.Context, r Return) (string, error) {
	var v *Verification
	var effect Effect
	first := false
	err := s.change(ctx, func(tx Tx) (*Verification, error) {
		var err error
		v, err = tx.LockByNonce(ctx, HashNonce(r.Nonce))
		if err != nil {
			return nil, err
		}
		// Only the first return counts: a link opened again next week must not
		// look like a person who finished just now.
		first = v.ReturnTime.IsZero() && couldBe(v, s.now())
		if !first {
			return nil, nil
		}
		effect, err = s.noteReturn(ctx, tx, v, s.returnRef(v, r.Query))
		return v, err
	})
	if err != nil {
		return "", err
	}
	if first {
		s.meter.Applied(PersonReturned, SourceReturn, effect, NoRung)
		s.retryParked(ctx, v)
	}
	if r.Failure || v.leavesDeclined() {
		return v.FailureRedirectURL, nil
	}
	return v.RedirectURL, nil
}

// leavesDeclined reports whether a person who comes back by the one leg of a
// provider that has no other is known to have failed, and the app wants such a
// person elsewhere.
func (v *Verification) leavesDeclined() bool {
	return v.State == Declined && v.FailureRedirectURL != ""
}

func (s *Service) noteReturn(ctx context.Context, tx Tx, v *Verification, ref string) (Effect, error) {
	v.ReturnTime = s.now()
	if ref != "" {
		if err := tx.AddHint(ctx, v.Connection, ref, v.ID, v.ReturnTime); err != nil {
			return "", err
		}
	}
	effect, err := s.move(ctx, tx, v, change{event: Event{Kind: PersonReturned}, source: SourceReturn})
	if err == nil && effect != Applied {
		v.Fetches = 0
		s.planFetch(v, v.ReturnTime)
		err = tx.Save(ctx, v, nil)
	}
	if err == nil && !v.EraseTime.IsZero() {
		// The claim of an erased person is kept unreadable, but kept: it still
		// cancels out a false one.
		_, err = tx.Erase(ctx, v)
	}
	return effect, err
}

// returnRef asks the verification's own adapter what the query says.
func (s *Service) returnRef(v *Verification, query url.Values) string {
	p, _ := s.catalog.Provider(v.Connection)
	if reader, ok := p.(ReturnReader); ok {
		return reader.ReturnRef(query)
	}
	return ""
}

func (s *Service) flowWindow(v *Verification) time.Duration {
	if flow, ok := s.catalog.Flow(v.Scope, v.Flow); ok {
		return flow.ReturnWindow
	}
	return 0
}
