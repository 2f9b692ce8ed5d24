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

// QueueCallbacks makes the callbacks about the next limit events at most, and
// queues those that nothing comes before. It returns how many events it looked
// at: fewer than limit mean that nothing is left, or that another node is at it.
//
// Callbacks of one verification to one address go out one after the other; what
// goes to another address does not wait for them.
func (s *Store) QueueCallbacks(ctx context.Context, now time.Time, limit int) (looked int, err error) {
	head, err := s.queries.EventHeadRead(ctx, s.pool)
	if err != nil || head.Queued >= head.Position {
		return 0, translate(err)
	}
	err = s.inTx(ctx, func(t *tx) error {
		looked, err = t.queueCallbacks(ctx, now, limit)
		return err
	})
	return looked, err
}

func (t *tx) queueCallbacks(ctx context.Context, now time.Time, limit int) (int, error) {
	head, err := t.queries.EventHeadLock(ctx, t.db)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	rows, err := t.queries.EventToQueue(ctx, t.db, sqlc.EventToQueueParams{
		Queued: head.Queued, Head: head.Position, RowLimit: int32(limit),
	})
	if err != nil {
		return 0, err
	}
	if err := t.addCallbacks(ctx, rows, now); err != nil {
		return 0, err
	}
	queued := head.Position
	if len(rows) == limit {
		queued = rows[len(rows)-1].Position
	}
	return len(rows), t.queries.EventHeadQueued(ctx, t.db, queued)
}

// chain is what keeps its order: callbacks of one verification to one address.
type chain struct {
	verification uuid.UUID
	url          string
}

// addCallbacks locks what the new ones wait for. Whoever finishes it either sees
// them afterwards, or has finished before and holds nobody up.
func (t *tx) addCallbacks(ctx context.Context, rows []sqlc.EventToQueueRow, now time.Time) error {
	params := sqlc.CallbackInsertParams{Now: now}
	chains := make([]chain, 0, len(rows))
	for _, r := range rows {
		url, channel := addressOf(r)
		if url == "" {
			continue
		}
		id, err := uuid.NewV7()
		if err != nil {
			return internal(err)
		}
		chains = append(chains, chain{r.VerificationID, url})
		params.Ids, params.VerificationIds = append(params.Ids, id), append(params.VerificationIds, r.VerificationID)
		params.Projects, params.Environments = append(params.Projects, r.Project), append(params.Environments, r.Environment)
		params.Versions, params.Urls = append(params.Versions, r.Version), append(params.Urls, url)
		params.Channels = append(params.Channels, string(channel))
	}
	if len(chains) == 0 {
		return nil
	}
	unfinished, err := t.queries.CallbackLockUnfinished(ctx, t.db, params.VerificationIds)
	if err != nil {
		return err
	}
	busy := make(map[chain]bool, len(chains))
	for _, u := range unfinished {
		busy[chain{u.VerificationID, u.Url}] = true
	}
	for _, c := range chains {
		params.States = append(params.States, string(stateBehind(busy[c])))
		busy[c] = true
	}
	return t.insertCallbacks(ctx, params)
}

func stateBehind(busy bool) verification.CallbackState {
	if busy {
		return verification.CallbackWaiting
	}
	return verification.CallbackPending
}

func addressOf(r sqlc.EventToQueueRow) (string, verification.Channel) {
	event := verification.Transition{From: verification.State(r.FromState), To: verification.State(r.ToState)}
	channel := event.Channel()
	if channel == verification.ChannelDecisions {
		return r.CallbackUrl, channel
	}
	return r.EventsCallbackUrl, channel
}

func (t *tx) insertCallbacks(ctx context.Context, params sqlc.CallbackInsertParams) error {
	inserted, err := t.queries.CallbackInsert(ctx, t.db, params)
	if err != nil {
		return err
	}
	due := make([]river.InsertManyParams, 0, len(inserted))
	for _, i := range inserted {
		if i.State == string(verification.CallbackPending) {
			due = append(due, river.InsertManyParams{Args: jobs.Callback{ID: i.ID, Project: i.Project, Environment: i.Environment}})
		}
	}
	return t.insertJobs(ctx, due)
}

func (t *tx) insertJobs(ctx context.Context, due []river.InsertManyParams) error {
	if len(due) == 0 {
		return nil
	}
	_, err := t.river.InsertManyTx(ctx, t.db, due)
	return err
}

// ReviveCallbacks gives a job to callbacks that were due before the given time,
// unless they have one: 500 or a few more, of those that are tried since later
// than after. It returns since when the last of them is tried, to go on from
// there; zero if no more are left.
func (s *Store) ReviveCallbacks(ctx context.Context, before, after time.Time) (last time.Time, err error) {
	rows, err := s.queries.CallbackOverdue(ctx, s.pool, sqlc.CallbackOverdueParams{After: after, Before: before})
	if err != nil || len(rows) == 0 {
		return time.Time{}, translate(err)
	}
	due := make([]river.InsertManyParams, 0, len(rows))
	for _, r := range rows {
		due = append(due, river.InsertManyParams{
			Args:       jobs.Callback{ID: r.ID, Project: r.Project, Environment: r.Environment},
			InsertOpts: &river.InsertOpts{Priority: lastPriority},
		})
	}
	if err := s.inTx(ctx, func(t *tx) error { return t.insertJobs(ctx, due) }); err != nil {
		return time.Time{}, err
	}
	return fromNullable(rows[len(rows)-1].FirstTime), nil
}

// eraseCallbacks blanks the addresses of a verification's callbacks; what was
// not delivered never will be. Whoever queues callbacks reads the addresses under
// a lock of the verification's row, which the caller holds: these are all.
func (t *tx) eraseCallbacks(ctx context.Context, v *verification.Verification) error {
	ids, err := t.queries.CallbackLockOfVerification(ctx, t.db, sqlc.CallbackLockOfVerificationParams{
		VerificationID: v.ID, Project: v.Scope.Project, Environment: string(v.Scope.Environment),
	})
	if err != nil || len(ids) == 0 {
		return err
	}
	return t.queries.CallbackErase(ctx, t.db, sqlc.CallbackEraseParams{
		Ids: ids, Project: v.Scope.Project, Environment: string(v.Scope.Environment), EraseTime: v.EraseTime,
	})
}
