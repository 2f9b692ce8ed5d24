package store

import (
	"context"
	"maps"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"github.com/verigate/verigate/gen/sqlc"
	"github.com/verigate/verigate/server/verification"
)

const (
	// Many that are retried at once come one by one, this far apart, up to the
	// spread.
	deadGap, deadSpread = 10 * time.Millisecond, 10 * time.Minute
	// lastPriority is that of jobs which may be many at once: they are done after
	// everything else that is due.
	lastPriority = 4
)

// RetryDeadCallbacks retries up to limit dead callbacks of the scope, oldest
// first, and returns how many those were: fewer than limit mean that no more can
// be retried. Those of one verification to one address go out in order. The
// entry says who asked, its time is now, and it is stored with their number.
func (s *Store) RetryDeadCallbacks(ctx context.Context, scope verification.Scope, limit int, entry *verification.AuditEntry) (retried int, err error) {
	err = s.inTx(ctx, func(t *tx) error {
		dead, err := t.queries.CallbackListDead(ctx, t.db, sqlc.CallbackListDeadParams{
			Project: scope.Project, Environment: string(scope.Environment), RowLimit: int32(limit),
		})
		if err != nil {
			return err
		}
		ids, verifications := make([]uuid.UUID, 0, len(dead)), make([]uuid.UUID, 0, len(dead))
		for _, d := range dead {
			ids, verifications = append(ids, d.ID), append(verifications, d.VerificationID)
		}
		rows, err := t.lockChain(ctx, scope, ids, verifications)
		if err != nil {
			return err
		}
		if retried, err = t.reopenDead(ctx, rows, entry.CreateTime); err != nil {
			return err
		}
		told := *entry
		told.Details = maps.Clone(notNil(entry.Details))
		told.Details["callbacks"] = strconv.Itoa(retried)
		return t.AddAudit(ctx, &told)
	})
	return retried, err
}

// reopenDead expects the unfinished callbacks of the same verifications among
// the rows: those that are dead wait for them.
func (t *tx) reopenDead(ctx context.Context, rows []sqlc.Callback, now time.Time) (int, error) {
	busy, retried := make(map[chain]bool, len(rows)), 0
	var due []river.InsertManyParams
	for _, r := range rows {
		if r.FinishTime == nil {
			busy[chain{r.VerificationID, r.Url}] = true
		}
	}
	for _, r := range rows {
		c, at := toCallback(r), chain{r.VerificationID, r.Url}
		if c.State != verification.CallbackDead || c.URL == "" {
			continue
		}
		var err error
		if busy[at] {
			c.State, c.Reason, c.FirstTime, c.FinishTime = verification.CallbackWaiting, verification.CallbackOK, time.Time{}, time.Time{}
			err = t.saveCallback(ctx, c)
		} else {
			at := now.Add(time.Duration(len(due)) * deadGap % deadSpread)
			err = t.reopen(ctx, c, now, at)
			due = append(due, river.InsertManyParams{
				Args: again{job(c)}, InsertOpts: &river.InsertOpts{Priority: lastPriority, ScheduledAt: at},
			})
		}
		if err != nil {
			return 0, err
		}
		busy[at] = true
		retried++
	}
	return retried, t.insertJobs(ctx, due)
}
