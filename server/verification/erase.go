package verification

import (
	"context"
	"regexp"
	"strconv"

	"github.com/google/uuid"
)

// ErasedSubject is the subject of an erased verification. All have the same:
// nothing tells any more which of them were one person's.
const ErasedSubject = "[erased]"

// eraseBatch is how many verifications one transaction erases.
const eraseBatch = 50

// Erasure is what EraseSubject did.
type Erasure struct {
	// ID names it in the audit log, which does not name the subject.
	ID            uuid.UUID
	Verifications int64
	// Canceled is how many of them were open.
	Canceled int64
	// Deliveries is how many lost their content.
	Deliveries int64
}

// EraseSubject removes who a subject was from all its verifications and what
// hangs on them; states, times and counts stay. Open ones are canceled. Each
// batch is one transaction with its own entry in the audit log, so an
// interrupted erasure is told as far as it went, and a second call does the
// rest.
func (s *Service) EraseSubject(ctx context.Context, scope Scope, subject, reason string, by Operator) (Erasure, error) {
	if subject == "" {
		return Erasure{}, Invalid("subject", "is required: the id under which the user was verified")
	}
	if subject == ErasedSubject {
		return Erasure{}, Invalid("subject", "is what erased subjects are called; there is nothing left to erase")
	}
	if mentions(reason, subject) {
		return Erasure{}, Invalid("reason", "contains the subject; it is kept in the audit log, so name a ticket or a cause instead")
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Erasure{}, NewError(KindInternal, "INTERNAL", "internal error").WithCause(err)
	}
	total := Erasure{ID: id}
	for {
		batch, err := s.eraseBatch(ctx, scope, subject, reason, by, id)
		if err != nil {
			return total, err
		}
		total.Verifications += batch.Verifications
		total.Canceled += batch.Canceled
		total.Deliveries += batch.Deliveries
		if batch.Verifications < eraseBatch {
			return total, nil
		}
	}
}

// mentions reports whether a text has a subject in it as a word of its own, in
// any case: the subject 7 is not in TICKET-4711.
func mentions(text, subject string) bool {
	word, err := regexp.Compile(`(?i)(^|[^\pL\pN])` + regexp.QuoteMeta(subject) + `($|[^\pL\pN])`)
	return err != nil || word.MatchString(text)
}

func (s *Service) eraseBatch(ctx context.Context, scope Scope, subject, reason string, by Operator, id uuid.UUID) (Erasure, error) {
	var done Erasure
	var erased []*Verification
	err := s.store.InTx(ctx, func(tx Tx) error {
		done = Erasure{}
		var err error
		if erased, err = tx.LockSubject(ctx, scope, subject, eraseBatch); err != nil {
			return err
		}
		for _, v := range erased {
			if err := s.eraseOne(ctx, tx, v, &done); err != nil {
				return err
			}
		}
		entry, err := NewAuditEntry(scope, by, AuditErase, id.String(), map[string]string{
			"reason":        reason,
			"verifications": strconv.FormatInt(done.Verifications, 10),
			"canceled":      strconv.FormatInt(done.Canceled, 10),
			"deliveries":    strconv.FormatInt(done.Deliveries, 10),
		}, s.now())
		if err != nil {
			return err
		}
		return tx.AddAudit(ctx, entry)
	})
	if err != nil {
		return Erasure{}, err
	}
	for _, v := range erased {
		s.waker.Wake(v)
	}
	return done, nil
}

func (s *Service) eraseOne(ctx context.Context, tx Tx, v *Verification, done *Erasure) error {
	if !v.State.Terminal() {
		event := Event{Kind: CancelRequested, ReasonCodes: []string{ReasonErased}}
		effect, err := s.move(ctx, tx, v, change{event: event, source: SourceOperator})
		if err != nil {
			return err
		}
		if effect == Applied {
			done.Canceled++
		}
	}
	v.Subject, v.Reference, v.Metadata = ErasedSubject, "", nil
	v.HostedURL, v.RedirectURL, v.FailureRedirectURL = "", "", ""
	v.CallbackURL, v.EventsCallbackURL = "", ""
	v.EraseTime = s.now()
	deliveries, err := tx.Erase(ctx, v)
	done.Verifications++
	done.Deliveries += deliveries
	return err
}

// forget takes in what arrived about an erased verification: that it was told
// of, and by which provider refs, and nothing else. Without the refs the next
// delivery of the same run would look like somebody else's.
func (s *Service) forget(ctx context.Context, tx DeliveryTx, v *Verification, match Match, refs []string) error {
	now := s.now()
	if err := bindRefs(ctx, tx, v, match, refs, now); err != nil {
		return err
	}
	if v.BindTime.IsZero() {
		v.BindTime = now
		if err := tx.Save(ctx, v, nil); err != nil {
			return err
		}
	}
	_, err := tx.Erase(ctx, v)
	return err
}
