package rpc

import (
	"context"

	"github.com/google/uuid"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/contract"
	"github.com/verigate/verigate/server/telemetry"
	"github.com/verigate/verigate/server/verification"
)

// GetTimeline implements OperatorService.
func (o *Operator) GetTimeline(ctx context.Context, r *verigatev1.GetTimelineRequest) (*verigatev1.GetTimelineResponse, error) {
	p := principal(ctx)
	id, err := verificationNamed(ctx, "verification_id", r.GetVerificationId())
	if err != nil {
		return nil, toConnect(err)
	}
	timeline, err := o.Verifications.Timeline(ctx, p.Scope, id)
	if err != nil {
		return nil, toConnect(err)
	}
	v := timeline.Verification
	response := &verigatev1.GetTimelineResponse{
		Verification: toProto(v, p),
		Reconciliation: &verigatev1.Reconciliation{
			Pollable:      o.Pollable != nil && o.Pollable(v.Connection),
			NextFetchTime: contract.Timestamp(v.FetchTime), Fetches: int32(v.Fetches),
		},
	}
	for _, e := range timeline.Entries {
		response.Entries = append(response.Entries, toTimelineEntry(e))
	}
	return response, nil
}

// toTimelineEntry says one of the two that an entry is.
func toTimelineEntry(e verification.TimelineEntry) *verigatev1.TimelineEntry {
	at := contract.Timestamp(e.Time())
	if d := e.Delivery; d != nil {
		return &verigatev1.TimelineEntry{
			Time: at, Kind: contract.Kind(d.Event.Kind), Source: contract.Source(verification.SourceProvider),
			Effect: contract.Effect(d.Effect), ReasonCodes: d.Event.ReasonCodes,
			DeliveryId: d.ID.String(), ProviderStatus: d.ProviderStatus,
		}
	}
	tr := e.Transition
	shown := &verigatev1.TimelineEntry{
		Time: at, Kind: contract.Kind(tr.Event), Source: contract.Source(tr.Source),
		Effect: contract.Effect(verification.Applied), Rung: string(tr.Rung), Match: contract.Match(tr.Match),
		FromState: contract.State(tr.From), ToState: contract.State(tr.To), Version: tr.Version,
		ReasonCodes: tr.ReasonCodes, Reason: tr.Reason,
	}
	if tr.DeliveryID != uuid.Nil {
		shown.DeliveryId = tr.DeliveryID.String()
	}
	return shown
}

// OverrideVerification implements OperatorService.
func (o *Operator) OverrideVerification(ctx context.Context, r *verigatev1.OverrideVerificationRequest) (*verigatev1.OverrideVerificationResponse, error) {
	p := principal(ctx)
	id, err := parseID(ctx, r.GetId())
	if err != nil {
		return nil, toConnect(err)
	}
	var to verification.State
	for _, said := range contract.States([]verigatev1.VerificationState{r.GetState()}) {
		to = said
	}
	v, err := o.Verifications.Override(ctx, p.Scope, id, to, r.GetReason(), operator(ctx))
	if err != nil {
		return nil, toConnect(err)
	}
	return &verigatev1.OverrideVerificationResponse{Verification: toProto(v, p)}, nil
}

// verificationNamed reads a verification's id from a field and notes it for the
// log.
func verificationNamed(ctx context.Context, field, text string) (uuid.UUID, error) {
	id, err := uuidIn(field, text)
	if err == nil {
		telemetry.NoteVerification(ctx, id)
	}
	return id, err
}
