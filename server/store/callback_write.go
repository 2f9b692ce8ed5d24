package store

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/verigate/verigate/gen/sqlc"
	"github.com/verigate/verigate/server/jobs"
	"github.com/verigate/verigate/server/verification"
)

// BeginAttempt counts an attempt at a pending callback that is due now, before
// it is made, and keeps others from trying until the given time: whoever dies on
// the way is followed by another attempt then. It returns which one it is since
// the callback is tried, counting from 1; 0 if somebody else was faster, or the
// callback is not due or over.
func (s *Store) BeginAttempt(ctx context.Context, c *verification.Callback, now, until time.Time) (int, error) {
	earlier, err := s.queries.CallbackBegin(ctx, s.pool, sqlc.CallbackBeginParams{
		ID: c.ID, Project: c.Scope.Project, Environment: string(c.Scope.Environment),
		Attempts: int32(c.Attempts), Now: now, UntilTime: until,
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	return int(earlier) + 1, translate(err)
}

// FinishAttempt records an attempt and writes what the callback is after it:
// state, reason, next and finish time. With a nil attempt it ends a callback
// that was not tried, or puts it off. When that makes an end, the callback that waited for it is
// queued. It reports whether the callback is over, whoever ended it.
//
// A callback that is over stays so, and a failure changes nothing once a later
// attempt began.
func (s *Store) FinishAttempt(ctx context.Context, after *verification.Callback, a *verification.CallbackAttempt) (over bool, err error) {
	err = s.inTx(ctx, func(t *tx) error {
		over, err = t.finishAttempt(ctx, after, a)
		return err
	})
	return over, err
}

func (t *tx) finishAttempt(ctx context.Context, after *verification.Callback, a *verification.CallbackAttempt) (bool, error) {
	rows, err := t.lockChain(ctx, after.Scope, []uuid.UUID{after.ID}, []uuid.UUID{after.VerificationID})
	if err != nil {
		return false, err
	}
	own := find(rows, after.ID)
	if own == nil {
		return true, nil // purged
	}
	if a != nil {
		if err := t.insertAttempt(ctx, own, a); err != nil {
			return false, err
		}
	}
	if own.State != string(verification.CallbackPending) {
		return own.FinishTime != nil, nil
	}
	if own.Attempts != int32(after.Attempts) && after.State != verification.CallbackDelivered {
		return false, nil
	}
	if err := t.saveCallback(ctx, after); err != nil || after.FinishTime.IsZero() {
		return false, err
	}
	return true, t.promote(ctx, own, after.FinishTime)
}

// lockChain locks callbacks, and the unfinished ones of their verifications, in
// the order in which everybody does.
func (t *tx) lockChain(ctx context.Context, scope verification.Scope, ids, verifications []uuid.UUID) ([]sqlc.Callback, error) {
	return t.queries.CallbackLockChain(ctx, t.db, sqlc.CallbackLockChainParams{
		VerificationIds: verifications, Project: scope.Project, Environment: string(scope.Environment), Ids: ids,
	})
}

func find(rows []sqlc.Callback, id uuid.UUID) *sqlc.Callback {
	for i := range rows {
		if rows[i].ID == id {
			return &rows[i]
		}
	}
	return nil
}

func (t *tx) insertAttempt(ctx context.Context, c *sqlc.Callback, a *verification.CallbackAttempt) error {
	return t.queries.CallbackAttemptInsert(ctx, t.db, sqlc.CallbackAttemptInsertParams{
		CallbackID: c.ID, Number: int32(a.Number), Project: c.Project, Environment: c.Environment,
		StartTime: a.StartTime, DurationMs: a.Duration.Milliseconds(), StatusCode: int32(a.StatusCode), Reason: string(a.Reason),
	})
}

func (t *tx) saveCallback(ctx context.Context, c *verification.Callback) error {
	return t.queries.CallbackUpdate(ctx, t.db, sqlc.CallbackUpdateParams{
		ID: c.ID, Project: c.Scope.Project, Environment: string(c.Scope.Environment),
		State: string(c.State), Reason: string(c.Reason),
		FirstTime: nullable(c.FirstTime), NextTime: nullable(c.NextTime), FinishTime: nullable(c.FinishTime),
	})
}

// promote queues the one that waited for a callback that is over now. If an
// earlier one was retried by hand meanwhile, it goes on waiting for that. It
// looks again: the statement that locked may have waited for somebody who put
// another one behind, and does not see it.
func (t *tx) promote(ctx context.Context, over *sqlc.Callback, now time.Time) error {
	scope := verification.Scope{Project: over.Project, Environment: verification.Environment(over.Environment)}
	rows, err := t.lockChain(ctx, scope, []uuid.UUID{}, []uuid.UUID{over.VerificationID})
	if err != nil {
		return err
	}
	for _, r := range rows {
		if r.Url != over.Url {
			continue
		}
		if r.State != string(verification.CallbackWaiting) {
			return nil
		}
		next := toCallback(r)
		next.State, next.FirstTime, next.NextTime = verification.CallbackPending, now, now
		if err := t.saveCallback(ctx, next); err != nil {
			return err
		}
		return t.insertJobs(ctx, []river.InsertManyParams{{Args: again{job(next)}}})
	}
	return nil
}

func job(c *verification.Callback) jobs.Callback {
	return jobs.Callback{ID: c.ID, Project: c.Scope.Project, Environment: string(c.Scope.Environment)}
}

// again is the job of a callback that may have had one before: it was retried by
// hand, or waited for another. It is not unique: the earlier one may be about to
// end, or be put off for long, and would swallow it. Two jobs do no harm, since
// BeginAttempt lets one through.
type again struct{ jobs.Callback }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (a again) InsertOpts() river.InsertOpts {
	options := a.Callback.InsertOpts()
	options.UniqueOpts = river.UniqueOpts{}
	return options
}

// What a retry by hand is refused with.
var (
	errDelivered = verification.NewError(verification.KindRefused, "CALLBACK_DELIVERED",
		"the receiver took this callback; there is nothing to retry")
	errWaiting = verification.NewError(verification.KindRefused, "CALLBACK_WAITING",
		"an earlier callback of the same verification to the same address comes first; retry that one")
	errErased = verification.NewError(verification.KindRefused, "CALLBACK_ERASED",
		"the subject of this callback was erased, and its address with it; it cannot be retried")
)

func refusal(c *verification.Callback) error {
	switch {
	case c.State == verification.CallbackDelivered:
		return errDelivered
	case c.URL == "":
		return errErased
	case c.State == verification.CallbackWaiting:
		return errWaiting
	default:
		return nil
	}
}

// RetryCallback tries a callback of the scope now, and for three days more if it
// was dead. The entry says who asked; its time is now. KindNotFound if the scope
// has no such callback, KindRefused if it is delivered, waits for another one or
// has lost its address.
func (s *Store) RetryCallback(ctx context.Context, scope verification.Scope, id uuid.UUID, entry *verification.AuditEntry) (*verification.Callback, error) {
	before, _, err := s.Callback(ctx, scope, id)
	if err != nil {
		return nil, err
	}
	var c *verification.Callback
	err = s.inTx(ctx, func(t *tx) error {
		rows, err := t.lockChain(ctx, scope, []uuid.UUID{id}, []uuid.UUID{before.VerificationID})
		if err != nil {
			return err
		}
		own := find(rows, id)
		if own == nil {
			return errNoCallback
		}
		c = toCallback(*own)
		if err := refusal(c); err != nil {
			return err
		}
		if err := t.reopen(ctx, c, entry.CreateTime, entry.CreateTime); err != nil {
			return err
		}
		if err := t.insertJobs(ctx, []river.InsertManyParams{{Args: again{job(c)}}}); err != nil {
			return err
		}
		return t.AddAudit(ctx, entry)
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// reopen makes a callback due at the given time; its job is the caller's business.
func (t *tx) reopen(ctx context.Context, c *verification.Callback, now, due time.Time) error {
	if c.State != verification.CallbackPending {
		c.State, c.Reason, c.FirstTime, c.FinishTime = verification.CallbackPending, verification.CallbackOK, now, time.Time{}
	}
	c.NextTime = due
	return t.saveCallback(ctx, c)
}
