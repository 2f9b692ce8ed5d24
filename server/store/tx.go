package store

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/verigate/verigate/gen/sqlc"
	"github.com/verigate/verigate/server/verification"
)

// tx implements verification.Tx on one transaction. Errors stay raw until InTx
// translates them, so that it can see which ones ask for a retry.
type tx struct {
	queries *sqlc.Queries
	db      pgx.Tx
	sealer  sealer
	river   *river.Client[pgx.Tx]
}

var _ verification.Tx = (*tx)(nil)

var errVersionMoved = errors.New("the locked row's version moved")

func (t *tx) Create(ctx context.Context, v *verification.Verification, tr *verification.Transition) error {
	params, err := insertParams(v)
	if err != nil {
		return err
	}
	err = t.queries.VerificationInsert(ctx, t.db, params)
	if isUnique(err, "verification_lane") {
		return verification.ErrLaneTaken.WithCause(err)
	}
	if err != nil {
		return err
	}
	return t.queries.TransitionInsert(ctx, t.db, transitionParams(tr))
}

func (t *tx) Lock(ctx context.Context, scope verification.Scope, id uuid.UUID) (*verification.Verification, error) {
	row, err := t.queries.VerificationLock(ctx, t.db, sqlc.VerificationLockParams{
		ID: id, Project: scope.Project, Environment: string(scope.Environment),
	})
	return found(row, err)
}

func (t *tx) LockByNonce(ctx context.Context, hash []byte) (*verification.Verification, error) {
	row, err := t.queries.VerificationLockByNonce(ctx, t.db, hash)
	return found(row, err)
}

// found is for reads whose absence the domain decides about.
func found(row sqlc.Verification, err error) (*verification.Verification, error) {
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, verification.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return toVerification(row)
}

func (t *tx) Save(ctx context.Context, v *verification.Verification, tr *verification.Transition) error {
	old := v.Version
	if tr != nil {
		old--
	}
	changed, err := t.queries.VerificationUpdateIfVersion(ctx, t.db, updateParams(v, old))
	if err != nil {
		return err
	}
	if changed != 1 {
		return errVersionMoved
	}
	if tr == nil {
		return nil
	}
	return t.queries.TransitionInsert(ctx, t.db, transitionParams(tr))
}

func (t *tx) ClaimIdempotency(ctx context.Context, scope verification.Scope, key string, hash []byte, id uuid.UUID, now time.Time) (verification.Claim, error) {
	inserted, err := t.queries.IdempotencyInsert(ctx, t.db, sqlc.IdempotencyInsertParams{
		Project: scope.Project, Environment: string(scope.Environment), Key: key,
		RequestHash: hash, VerificationID: id, CreateTime: now,
	})
	if err != nil || inserted == 1 {
		return verification.Claim{Fresh: true}, err
	}
	earlier, err := t.queries.IdempotencyGet(ctx, t.db, sqlc.IdempotencyGetParams{
		Project: scope.Project, Environment: string(scope.Environment), Key: key,
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return verification.Claim{}, verification.NewError(verification.KindRaced, "START_IN_PROGRESS",
			"a start with this idempotency_key has just ended; retry")
	}
	return verification.Claim{VerificationID: earlier.VerificationID, RequestHash: earlier.RequestHash}, err
}

func (t *tx) ReleaseIdempotency(ctx context.Context, v *verification.Verification) error {
	return t.queries.IdempotencyDeleteByVerification(ctx, t.db, sqlc.IdempotencyDeleteByVerificationParams{
		Project: v.Scope.Project, Environment: string(v.Scope.Environment), VerificationID: v.ID,
	})
}

func (t *tx) Candidates(ctx context.Context, q verification.CandidateQuery) ([]verification.Candidate, error) {
	from, until := q.At.Add(-q.Window), q.At.Add(q.Window)
	rows, err := t.queries.VerificationCandidates(ctx, t.db, sqlc.VerificationCandidatesParams{
		Project: q.Scope.Project, Environment: string(q.Scope.Environment),
		Connection: q.Connection, Product: q.Product, At: q.At, WindowFrom: &from, WindowUntil: &until,
	})
	candidates := make([]verification.Candidate, 0, len(rows))
	for _, r := range rows {
		candidates = append(candidates, verification.Candidate{
			ID: r.ID, Returned: r.Returned, CreateTime: r.CreateTime, ReturnTime: fromNullable(r.ReturnTime),
		})
	}
	return candidates, err
}
