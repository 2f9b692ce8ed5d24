package rpc

import (
	"context"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/contract"
	"github.com/verigate/verigate/server/verification"
)

const (
	// retryBatch is how many dead callbacks one transaction takes up again.
	retryBatch = 500
	// retryBatches ends a call that retries all of them, should callbacks die as
	// fast as they are retried.
	retryBatches = 1000
)

// CallbackStore reads callbacks and takes dead ones up again. Its errors are
// *verification.Error.
type CallbackStore interface {
	// Callbacks returns callbacks of a scope, newest first.
	Callbacks(ctx context.Context, q verification.CallbackQuery) ([]*verification.Callback, error)
	// Callback returns one callback of the scope and what it tells;
	// verification.KindNotFound if there is none.
	Callback(ctx context.Context, scope verification.Scope, id uuid.UUID) (*verification.Callback, *verification.Record, error)
	// CallbackAttempts returns the last attempts at delivering one, oldest first.
	CallbackAttempts(ctx context.Context, scope verification.Scope, id uuid.UUID) ([]*verification.CallbackAttempt, error)
	// RetryCallback makes a callback pending now and records the entry with it.
	// verification.KindRefused if it was delivered, waits or has no address.
	RetryCallback(ctx context.Context, scope verification.Scope, id uuid.UUID, entry *verification.AuditEntry) (*verification.Callback, error)
	// RetryDeadCallbacks does so with up to limit dead callbacks, oldest first,
	// and returns how many: fewer than limit mean that no more can be retried. It
	// records the entry with their number among its details.
	RetryDeadCallbacks(ctx context.Context, scope verification.Scope, limit int, entry *verification.AuditEntry) (int, error)
}

// ListCallbacks implements OperatorService.
func (o *Operator) ListCallbacks(ctx context.Context, r *verigatev1.ListCallbacksRequest) (*verigatev1.ListCallbacksResponse, error) {
	filters := func() proto.Message {
		return &verigatev1.ListCallbacksRequest{States: r.GetStates(), VerificationId: r.GetVerificationId()}
	}
	before, err := parsePageToken(r.GetPageToken(), filters())
	if err != nil {
		return nil, toConnect(err)
	}
	size := pageSize(r.GetPageSize())
	q := verification.CallbackQuery{
		Scope: principal(ctx).Scope, States: contract.CallbackStates(r.GetStates()), Before: before,
		// One more than asked tells whether there is a next page.
		Limit: size + 1,
	}
	if r.GetVerificationId() != "" {
		if q.VerificationID, err = uuidIn("verification_id", r.GetVerificationId()); err != nil {
			return nil, toConnect(err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	found, err := o.Callbacks.Callbacks(ctx, q)
	if err != nil {
		return nil, toConnect(err)
	}
	response := &verigatev1.ListCallbacksResponse{}
	if len(found) > size {
		found = found[:size]
		if response.NextPageToken, err = pageToken(found[size-1].ID, filters()); err != nil {
			return nil, toConnect(err)
		}
	}
	for _, c := range found {
		response.Callbacks = append(response.Callbacks, toCallback(c))
	}
	return response, nil
}

// GetCallback implements OperatorService.
func (o *Operator) GetCallback(ctx context.Context, r *verigatev1.GetCallbackRequest) (*verigatev1.GetCallbackResponse, error) {
	id, err := uuidIn("id", r.GetId())
	if err != nil {
		return nil, toConnect(err)
	}
	scope := principal(ctx).Scope
	found, _, err := o.Callbacks.Callback(ctx, scope, id)
	if err != nil {
		return nil, toConnect(err)
	}
	attempts, err := o.Callbacks.CallbackAttempts(ctx, scope, id)
	if err != nil {
		return nil, toConnect(err)
	}
	response := &verigatev1.GetCallbackResponse{Callback: toCallback(found)}
	for _, a := range attempts {
		response.Attempts = append(response.Attempts, toCallbackAttempt(a))
	}
	return response, nil
}

// RetryCallback implements OperatorService.
func (o *Operator) RetryCallback(ctx context.Context, r *verigatev1.RetryCallbackRequest) (*verigatev1.RetryCallbackResponse, error) {
	id, err := uuidIn("id", r.GetId())
	if err != nil {
		return nil, toConnect(err)
	}
	entry, err := o.retryEntry(ctx, id.String())
	if err != nil {
		return nil, toConnect(err)
	}
	retried, err := o.Callbacks.RetryCallback(ctx, principal(ctx).Scope, id, entry)
	if err != nil {
		return nil, toConnect(err)
	}
	return &verigatev1.RetryCallbackResponse{Callback: toCallback(retried)}, nil
}

// RetryDeadCallbacks implements OperatorService. Each batch is a transaction
// with an audit entry of its own, so that what was retried is told even if the
// next batch fails.
func (o *Operator) RetryDeadCallbacks(ctx context.Context, _ *verigatev1.RetryDeadCallbacksRequest) (*verigatev1.RetryDeadCallbacksResponse, error) {
	response := &verigatev1.RetryDeadCallbacksResponse{}
	for range retryBatches {
		entry, err := o.retryEntry(ctx, "")
		if err != nil {
			return nil, toConnect(err)
		}
		n, err := o.Callbacks.RetryDeadCallbacks(ctx, principal(ctx).Scope, retryBatch, entry)
		if err != nil {
			return nil, toConnect(err)
		}
		response.Callbacks += int64(n)
		if n < retryBatch {
			break
		}
	}
	return response, nil
}

// uuidIn reads the id in a request's field, which is no verification to note for
// the log. The field rules have refused what is no id.
func uuidIn(field, text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil, verification.Invalid(field, "must be a UUID")
	}
	return id, nil
}

// retryEntry tells the audit log of a retry; target is empty for all that are
// dead.
func (o *Operator) retryEntry(ctx context.Context, target string) (*verification.AuditEntry, error) {
	return verification.NewAuditEntry(principal(ctx).Scope, operator(ctx), verification.AuditRetry, target, nil, o.Keys.Now())
}

func toCallback(c *verification.Callback) *verigatev1.Callback {
	return &verigatev1.Callback{
		Id: c.ID.String(), EventId: verification.EventID(c.VerificationID, c.Version),
		VerificationId: c.VerificationID.String(), Version: c.Version,
		Channel: contract.Channel(c.Channel), Url: c.URL, State: contract.CallbackState(c.State),
		Reason: string(c.Reason), Attempts: int32(c.Attempts),
		CreateTime: contract.Timestamp(c.CreateTime), NextAttemptTime: contract.Timestamp(c.NextTime),
		FinishTime: contract.Timestamp(c.FinishTime),
	}
}

func toCallbackAttempt(a *verification.CallbackAttempt) *verigatev1.CallbackAttempt {
	return &verigatev1.CallbackAttempt{
		Number: int32(a.Number), StartTime: contract.Timestamp(a.StartTime), Duration: durationpb.New(a.Duration),
		StatusCode: int32(a.StatusCode), Reason: string(a.Reason),
	}
}
