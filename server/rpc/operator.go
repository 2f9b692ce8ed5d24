package rpc

import (
	"context"

	"google.golang.org/protobuf/proto"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/contract"
	"github.com/verigate/verigate/server/telemetry"
	"github.com/verigate/verigate/server/transport"
	"github.com/verigate/verigate/server/verification"
)

// Auditor reads the audit log.
type Auditor interface {
	// AuditEntries returns entries of a scope and of the whole gateway, newest
	// first.
	AuditEntries(ctx context.Context, q verification.AuditQuery) ([]*verification.AuditEntry, error)
}

// Operator implements OperatorService.
type Operator struct {
	Keys  *access.Admin
	Audit Auditor
	// Callbacks are what backends were told, or could not be.
	Callbacks CallbackStore
	// Erase is verification.Service.EraseSubject.
	Erase func(ctx context.Context, scope verification.Scope, subject, reason string, by verification.Operator) (verification.Erasure, error)
	// Verifications is the domain.
	Verifications *verification.Service
	// ReadAgain is webhook.Reader.ReadAgain; nil where there are no adapters.
	ReadAgain func(ctx context.Context, d *verification.Delivery) error
	// Pollable reports whether a connection's provider can be asked for a status;
	// nil where nobody knows.
	Pollable func(connection string) bool
}

var _ verigatev1connect.OperatorServiceHandler = (*Operator)(nil)

type operatorKey struct{}

// AsOperator lets a command call the service in its own process, for a scope.
// There is no way to it from the network.
func AsOperator(ctx context.Context, scope verification.Scope, actor string) context.Context {
	ctx = context.WithValue(ctx, operatorKey{}, verification.Operator{Actor: actor})
	return context.WithValue(ctx, principalKey{}, access.Principal{Scope: scope, KeyID: actor})
}

// operator says who calls, for the audit log.
func operator(ctx context.Context) verification.Operator {
	if by, ok := ctx.Value(operatorKey{}).(verification.Operator); ok {
		return by
	}
	by := verification.Operator{Actor: "key:" + principal(ctx).KeyID, RequestID: telemetry.RequestID(ctx)}
	if address := transport.Address(ctx); address.IsValid() {
		by.Address = address.String()
	}
	return by
}

// CreateApiKey implements OperatorService.
func (o *Operator) CreateApiKey(ctx context.Context, r *verigatev1.CreateApiKeyRequest) (*verigatev1.CreateApiKeyResponse, error) {
	scopes := make([]access.KeyScope, 0, len(r.GetScopes()))
	for _, s := range r.GetScopes() {
		scopes = append(scopes, access.KeyScope(s))
	}
	key, text, err := o.Keys.Create(ctx, principal(ctx).Scope, r.GetName(), scopes, r.GetExpiresIn().AsDuration(), operator(ctx))
	if err != nil {
		return nil, toConnect(err)
	}
	return &verigatev1.CreateApiKeyResponse{ApiKey: toAPIKey(key), Secret: text.Reveal()}, nil
}

// ListApiKeys implements OperatorService.
func (o *Operator) ListApiKeys(ctx context.Context, _ *verigatev1.ListApiKeysRequest) (*verigatev1.ListApiKeysResponse, error) {
	keys, err := o.Keys.List(ctx, principal(ctx).Scope)
	if err != nil {
		return nil, toConnect(err)
	}
	response := &verigatev1.ListApiKeysResponse{}
	for _, key := range keys {
		response.ApiKeys = append(response.ApiKeys, toAPIKey(key))
	}
	return response, nil
}

// RotateApiKey implements OperatorService.
func (o *Operator) RotateApiKey(ctx context.Context, r *verigatev1.RotateApiKeyRequest) (*verigatev1.RotateApiKeyResponse, error) {
	made, err := o.Keys.Rotate(ctx, principal(ctx).Scope, r.GetId(), r.GetOverlap().AsDuration(), operator(ctx))
	if err != nil {
		return nil, toConnect(err)
	}
	return &verigatev1.RotateApiKeyResponse{
		ApiKey: toAPIKey(made.Successor), Secret: made.Text.Reveal(), Predecessor: toAPIKey(made.Predecessor),
	}, nil
}

// RevokeApiKey implements OperatorService.
func (o *Operator) RevokeApiKey(ctx context.Context, r *verigatev1.RevokeApiKeyRequest) (*verigatev1.RevokeApiKeyResponse, error) {
	key, err := o.Keys.Revoke(ctx, principal(ctx).Scope, r.GetId(), operator(ctx))
	if err != nil {
		return nil, toConnect(err)
	}
	return &verigatev1.RevokeApiKeyResponse{ApiKey: toAPIKey(key)}, nil
}

// EraseSubject implements OperatorService.
func (o *Operator) EraseSubject(ctx context.Context, r *verigatev1.EraseSubjectRequest) (*verigatev1.EraseSubjectResponse, error) {
	done, err := o.Erase(ctx, principal(ctx).Scope, r.GetSubject(), r.GetReason(), operator(ctx))
	if err != nil {
		return nil, toConnect(err)
	}
	return &verigatev1.EraseSubjectResponse{
		ErasureId: done.ID.String(), Verifications: done.Verifications, Canceled: done.Canceled, Deliveries: done.Deliveries,
	}, nil
}

// ListAuditEntries implements OperatorService.
func (o *Operator) ListAuditEntries(ctx context.Context, r *verigatev1.ListAuditEntriesRequest) (*verigatev1.ListAuditEntriesResponse, error) {
	filters := func() proto.Message {
		return &verigatev1.ListAuditEntriesRequest{Action: r.GetAction(), Target: r.GetTarget()}
	}
	before, err := parsePageToken(r.GetPageToken(), filters())
	if err != nil {
		return nil, toConnect(err)
	}
	size := pageSize(r.GetPageSize())
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	// One more than asked tells whether there is a next page.
	entries, err := o.Audit.AuditEntries(ctx, verification.AuditQuery{
		Scope: principal(ctx).Scope, Action: r.GetAction(), Target: r.GetTarget(), Before: before, Limit: size + 1,
	})
	if err != nil {
		return nil, toConnect(err)
	}
	response := &verigatev1.ListAuditEntriesResponse{}
	if len(entries) > size {
		entries = entries[:size]
		if response.NextPageToken, err = pageToken(entries[size-1].ID, filters()); err != nil {
			return nil, toConnect(err)
		}
	}
	for _, e := range entries {
		response.Entries = append(response.Entries, toAuditEntry(e))
	}
	return response, nil
}

func toAPIKey(k *access.Key) *verigatev1.ApiKey {
	shown := &verigatev1.ApiKey{
		Id: k.ID, Name: k.Name, Environment: string(k.Scope.Environment), SuccessorId: k.SuccessorID,
		CreateTime: contract.Timestamp(k.CreateTime), ExpireTime: contract.Timestamp(k.ExpireTime),
		RevokeTime: contract.Timestamp(k.RevokeTime), LastUseTime: contract.Timestamp(k.LastUseTime),
	}
	for _, s := range k.Scopes {
		shown.Scopes = append(shown.Scopes, string(s))
	}
	return shown
}

func toAuditEntry(e *verification.AuditEntry) *verigatev1.AuditEntry {
	return &verigatev1.AuditEntry{
		Id: e.ID.String(), CreateTime: contract.Timestamp(e.CreateTime), Actor: e.Operator.Actor, Address: e.Operator.Address,
		Action: string(e.Action), Target: e.Target, Details: e.Details, RequestId: e.Operator.RequestID,
	}
}
