package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/verigate/verigate/gen/sqlc"
	"github.com/verigate/verigate/server/verification"
)

// attemptsShown is how many attempts of a callback CallbackAttempts returns.
const attemptsShown = 100

// errNoCallback is what the scope hears of a callback that it does not have.
var errNoCallback = verification.NewError(verification.KindNotFound, "CALLBACK_NOT_FOUND", "no such callback")

// Callback returns a callback of the scope with the event that it tells.
// KindNotFound if the scope has none.
func (s *Store) Callback(ctx context.Context, scope verification.Scope, id uuid.UUID) (*verification.Callback, *verification.Record, error) {
	row, err := s.queries.CallbackGet(ctx, s.pool, sqlc.CallbackGetParams{
		ID: id, Project: scope.Project, Environment: string(scope.Environment),
	})
	if err != nil {
		return nil, nil, noCallback(err)
	}
	return toCallback(row.Callback), &verification.Record{Transition: *toTransition(row.Transition), Flow: row.Flow}, nil
}

func noCallback(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return errNoCallback
	}
	return translate(err)
}

// OldestCallback returns since when the callback is tried that is tried for
// longest, of all tenants; zero if there is nothing to deliver.
func (s *Store) OldestCallback(ctx context.Context) (time.Time, error) {
	first, err := s.queries.CallbackOldest(ctx, s.pool)
	if errors.Is(err, pgx.ErrNoRows) {
		return time.Time{}, nil
	}
	return fromNullable(first), translate(err)
}

// Callbacks returns a page of callbacks of a scope, newest first.
func (s *Store) Callbacks(ctx context.Context, q verification.CallbackQuery) ([]*verification.Callback, error) {
	done, err := s.takeListTurn(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	states := make([]string, 0, len(q.States))
	for _, state := range q.States {
		states = append(states, string(state))
	}
	all := sqlc.CallbackListParams{
		Project: q.Scope.Project, Environment: string(q.Scope.Environment),
		IDBefore: orLast(q.Before), States: states, RowLimit: int32(q.Limit),
	}
	var rows []sqlc.Callback
	if q.VerificationID == uuid.Nil {
		rows, err = s.queries.CallbackList(ctx, s.valued(), all)
	} else {
		rows, err = s.queries.CallbackListOfVerification(ctx, s.pool, sqlc.CallbackListOfVerificationParams{
			VerificationID: q.VerificationID, Project: all.Project, Environment: all.Environment,
			IDBefore: all.IDBefore, States: all.States, RowLimit: all.RowLimit,
		})
	}
	callbacks := make([]*verification.Callback, 0, len(rows))
	for _, row := range rows {
		callbacks = append(callbacks, toCallback(row))
	}
	return callbacks, translate(err)
}

// CallbackAttempts returns the last 100 attempts at delivering a callback,
// oldest first; none if the scope has no such callback.
func (s *Store) CallbackAttempts(ctx context.Context, scope verification.Scope, id uuid.UUID) ([]*verification.CallbackAttempt, error) {
	rows, err := s.queries.CallbackAttemptList(ctx, s.pool, sqlc.CallbackAttemptListParams{
		CallbackID: id, Project: scope.Project, Environment: string(scope.Environment), RowLimit: attemptsShown,
	})
	attempts := make([]*verification.CallbackAttempt, 0, len(rows))
	for _, r := range slices.Backward(rows) {
		attempts = append(attempts, &verification.CallbackAttempt{
			Number: int(r.Number), StartTime: r.StartTime, Duration: time.Duration(r.DurationMs) * time.Millisecond,
			StatusCode: int(r.StatusCode), Reason: verification.CallbackReason(r.Reason),
		})
	}
	return attempts, translate(err)
}

func toCallback(r sqlc.Callback) *verification.Callback {
	return &verification.Callback{
		ID: r.ID, Scope: verification.Scope{Project: r.Project, Environment: verification.Environment(r.Environment)},
		Channel: verification.Channel(r.Channel), VerificationID: r.VerificationID, Version: r.Version,
		URL: r.Url, State: verification.CallbackState(r.State), Reason: verification.CallbackReason(r.Reason),
		Attempts: int(r.Attempts), CreateTime: r.CreateTime,
		FirstTime: fromNullable(r.FirstTime), NextTime: fromNullable(r.NextTime), FinishTime: fromNullable(r.FinishTime),
	}
}
