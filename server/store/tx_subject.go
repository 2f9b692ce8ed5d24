package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/verigate/verigate/gen/sqlc"
	"github.com/verigate/verigate/server/verification"
)

// LockSubject passes over rows that lost their subject while it waited for
// them, and goes on to the next: what it returns is short of limit only when
// nothing is left.
func (t *tx) LockSubject(ctx context.Context, scope verification.Scope, subject string, limit int) ([]*verification.Verification, error) {
	rows, err := t.queries.VerificationLockSubject(ctx, t.db, sqlc.VerificationLockSubjectParams{
		Project: scope.Project, Environment: string(scope.Environment), Subject: subject, RowLimit: int32(limit),
	})
	if err != nil {
		return nil, err
	}
	return toVerifications(rows)
}

// CountOpen takes a lock before it counts. A count alone would let two starts
// that do not see each other's row both take the last place, and a place is
// money: the provider charges for each. Nothing about the correctness of states
// hangs on the lock. The statement after it has a snapshot of its own, so it
// sees what the one before it in the queue committed.
func (t *tx) CountOpen(ctx context.Context, scope verification.Scope, flow, subject string, limit int) (int, error) {
	// Quoting keeps one list of words from reading as another.
	name := fmt.Sprintf("open %q %q %q %q", scope.Project, scope.Environment, flow, subject)
	if err := t.queries.TransactionTakeTurn(ctx, t.db, name); err != nil {
		return 0, err
	}
	var open int64
	var err error
	if subject == "" {
		open, err = t.queries.VerificationCountOpen(ctx, t.db, sqlc.VerificationCountOpenParams{
			Project: scope.Project, Environment: string(scope.Environment), Flow: flow, RowLimit: int32(limit),
		})
	} else {
		open, err = t.queries.VerificationCountOpenOfSubject(ctx, t.db, sqlc.VerificationCountOpenOfSubjectParams{
			Project: scope.Project, Environment: string(scope.Environment), Flow: flow, Subject: subject, RowLimit: int32(limit),
		})
	}
	return int(open), err
}

// Erase takes the refs first: what is parked is found by them as they were.
func (t *tx) Erase(ctx context.Context, v *verification.Verification) (int64, error) {
	refs, err := t.eraseRefs(ctx, v)
	if err != nil {
		return 0, err
	}
	deliveries, err := t.eraseDeliveries(ctx, v, refs)
	if err != nil {
		return 0, err
	}
	if err := t.ReleaseIdempotency(ctx, v); err != nil {
		return 0, err
	}
	if err := t.eraseCallbacks(ctx, v); err != nil {
		return 0, err
	}
	err = t.queries.TransitionErase(ctx, t.db, sqlc.TransitionEraseParams{
		VerificationID: v.ID, Project: v.Scope.Project, Environment: string(v.Scope.Environment),
	})
	if err != nil {
		return 0, err
	}
	return deliveries, t.eraseRow(ctx, v)
}

func (t *tx) eraseDeliveries(ctx context.Context, v *verification.Verification, refs []string) (int64, error) {
	settled, err := t.queries.DeliveryEraseApplied(ctx, t.db, sqlc.DeliveryEraseAppliedParams{
		Project: v.Scope.Project, Environment: string(v.Scope.Environment),
		VerificationID: nullableID(v.ID), EraseTime: nullable(v.EraseTime),
	})
	if err != nil {
		return 0, err
	}
	parked, err := t.queries.DeliveryEraseParked(ctx, t.db, sqlc.DeliveryEraseParkedParams{
		Project: v.Scope.Project, Environment: string(v.Scope.Environment), Connection: v.Connection,
		VerificationID: nullableID(v.ID), NamedID: v.ID.String(), Refs: refs, EraseTime: nullable(v.EraseTime),
	})
	return settled + parked, err
}

func (t *tx) eraseRow(ctx context.Context, v *verification.Verification) error {
	metadata, err := json.Marshal(notNil(v.Metadata))
	if err != nil {
		return internal(err)
	}
	changed, err := t.queries.VerificationErase(ctx, t.db, sqlc.VerificationEraseParams{
		ID: v.ID, Project: v.Scope.Project, Environment: string(v.Scope.Environment), Version: v.Version,
		Subject: v.Subject, Reference: v.Reference, Metadata: metadata,
		HostedUrl: v.HostedURL, RedirectUrl: v.RedirectURL, FailureRedirectUrl: v.FailureRedirectURL,
		CallbackUrl: v.CallbackURL, EventsCallbackUrl: v.EventsCallbackURL, EraseTime: nullable(v.EraseTime),
	})
	if err == nil && changed != 1 {
		err = errVersionMoved
	}
	return err
}
