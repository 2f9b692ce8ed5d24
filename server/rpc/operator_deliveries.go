package rpc

import (
	"context"
	"slices"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/contract"
	"github.com/verigate/verigate/server/verification"
)

// errNoAdapters is told to who works on the database itself.
var errNoAdapters = verification.NewError(verification.KindRefused, "NO_ADAPTERS",
	"reading a delivery again needs the adapters of a running gateway; call its operator listener")

// ListDeliveries implements OperatorService.
func (o *Operator) ListDeliveries(ctx context.Context, r *verigatev1.ListDeliveriesRequest) (*verigatev1.ListDeliveriesResponse, error) {
	before, err := parsePageToken(r.GetPageToken(), deliveryFilters(r))
	if err != nil {
		return nil, toConnect(err)
	}
	size := pageSize(r.GetPageSize())
	q := verification.DeliveryQuery{
		Scope: principal(ctx).Scope, Effects: contract.Effects(r.GetEffects()), Connection: r.GetConnection(), Before: before,
		// One more than asked tells whether there is a next page.
		Limit: size + 1,
	}
	if r.GetVerificationId() != "" {
		if q.VerificationID, err = verificationNamed(ctx, "verification_id", r.GetVerificationId()); err != nil {
			return nil, toConnect(err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	found, err := o.Verifications.Deliveries(ctx, q)
	if err != nil {
		return nil, toConnect(err)
	}
	response := &verigatev1.ListDeliveriesResponse{}
	if len(found) > size {
		found = found[:size]
		if response.NextPageToken, err = pageToken(found[size-1].ID, deliveryFilters(r)); err != nil {
			return nil, toConnect(err)
		}
	}
	for _, d := range found {
		response.Deliveries = append(response.Deliveries, toDelivery(d))
	}
	return response, nil
}

// deliveryFilters is what a list request selects.
func deliveryFilters(r *verigatev1.ListDeliveriesRequest) proto.Message {
	return &verigatev1.ListDeliveriesRequest{
		Effects: r.GetEffects(), Connection: r.GetConnection(), VerificationId: r.GetVerificationId(),
	}
}

// GetDelivery implements OperatorService.
func (o *Operator) GetDelivery(ctx context.Context, r *verigatev1.GetDeliveryRequest) (*verigatev1.GetDeliveryResponse, error) {
	id, err := deliveryNamed(r.GetId())
	if err != nil {
		return nil, toConnect(err)
	}
	var d *verification.Delivery
	if r.GetWithContent() {
		d, err = o.Verifications.OpenDelivery(ctx, principal(ctx).Scope, id, operator(ctx))
	} else {
		d, err = o.Verifications.Delivery(ctx, principal(ctx).Scope, id)
	}
	if err != nil {
		return nil, toConnect(err)
	}
	shown := &verigatev1.GetDeliveryResponse{Delivery: toDelivery(d), Headers: d.Headers, Body: d.Body}
	if d.Emptied {
		return shown, nil
	}
	owners, err := o.Verifications.Owners(ctx, d)
	if err != nil {
		return nil, toConnect(err)
	}
	for _, owner := range owners {
		shown.BoundVerificationIds = append(shown.BoundVerificationIds, owner.String())
	}
	return shown, nil
}

// ReplayDelivery implements OperatorService.
func (o *Operator) ReplayDelivery(ctx context.Context, r *verigatev1.ReplayDeliveryRequest) (*verigatev1.ReplayDeliveryResponse, error) {
	id, err := deliveryNamed(r.GetId())
	if err != nil {
		return nil, toConnect(err)
	}
	read := func(d *verification.Delivery) error {
		if o.ReadAgain == nil {
			return errNoAdapters
		}
		return o.ReadAgain(ctx, d)
	}
	d, err := o.Verifications.Replay(ctx, principal(ctx).Scope, id, read, operator(ctx))
	if err != nil {
		return nil, toConnect(err)
	}
	return &verigatev1.ReplayDeliveryResponse{Delivery: toDelivery(d)}, nil
}

// BindDelivery implements OperatorService.
func (o *Operator) BindDelivery(ctx context.Context, r *verigatev1.BindDeliveryRequest) (*verigatev1.BindDeliveryResponse, error) {
	p := principal(ctx)
	id, err := deliveryNamed(r.GetId())
	if err != nil {
		return nil, toConnect(err)
	}
	to, err := verificationNamed(ctx, "verification_id", r.GetVerificationId())
	if err != nil {
		return nil, toConnect(err)
	}
	d, v, err := o.Verifications.Bind(ctx, p.Scope, id, to, r.GetReason(), operator(ctx))
	if err != nil {
		return nil, toConnect(err)
	}
	return &verigatev1.BindDeliveryResponse{Delivery: toDelivery(d), Verification: toProto(v, p)}, nil
}

// deliveryNamed reads a delivery's id. Unlike a verification's, it is not noted
// for the log.
func deliveryNamed(text string) (uuid.UUID, error) { return uuidIn("id", text) }

// toDelivery shows a delivery without its content. What is kept of a purged
// one's ids is for the gateway alone.
func toDelivery(d *verification.Delivery) *verigatev1.Delivery {
	shown := &verigatev1.Delivery{
		Id: d.ID.String(), Connection: d.Connection, ReceiveTime: contract.Timestamp(d.ReceiveTime),
		Effect: contract.Effect(d.Effect), ApplyTime: contract.Timestamp(d.ApplyTime),
		ProviderEvent: d.ProviderEvent, ProviderStatus: d.ProviderStatus,
		Kind: contract.Kind(d.Event.Kind), Product: d.Event.Product, ReasonCodes: d.Event.ReasonCodes, Purged: d.Emptied,
	}
	if d.VerificationID != uuid.Nil {
		shown.VerificationId = d.VerificationID.String()
	}
	if !d.Emptied {
		shown.ProviderRefs = slices.Concat(d.Event.Keys, d.Event.Refs)
		shown.NamedVerificationId = d.Event.VerificationID
	}
	return shown
}
