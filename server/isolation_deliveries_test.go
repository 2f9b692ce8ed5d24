package server_test

import (
	"net/http"
	"slices"
	"testing"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/verification"
)

// deliveryAttacks are an operator's calls about deliveries and verifications.
func deliveryAttacks() []attack {
	const operator = access.OperatorScope
	return []attack{
		{"see a timeline", "GetTimeline", operator, false, false, true, func(at target) proto.Message {
			return &verigatev1.GetTimelineRequest{VerificationId: at.id}
		}},
		{"override", "OverrideVerification", operator, false, false, true, func(at target) proto.Message {
			return &verigatev1.OverrideVerificationRequest{
				Id: at.id, State: verigatev1.VerificationState_VERIFICATION_STATE_APPROVED, Reason: "ticket 1",
			}
		}},
		{"list deliveries", "ListDeliveries", operator, false, false, false, func(target) proto.Message {
			return &verigatev1.ListDeliveriesRequest{}
		}},
		{"see a delivery", "GetDelivery", operator, false, false, true, func(at target) proto.Message {
			return &verigatev1.GetDeliveryRequest{Id: at.delivery}
		}},
		{"open a delivery", "GetDelivery", operator, false, false, true, func(at target) proto.Message {
			return &verigatev1.GetDeliveryRequest{Id: at.delivery, WithContent: true}
		}},
		{"replay a delivery", "ReplayDelivery", operator, false, false, true, func(at target) proto.Message {
			return &verigatev1.ReplayDeliveryRequest{Id: at.delivery}
		}},
		{"bind a delivery", "BindDelivery", operator, false, false, true, func(at target) proto.Message {
			return &verigatev1.BindDeliveryRequest{Id: at.delivery, VerificationId: at.id, Reason: "ticket 1"}
		}},
	}
}

// park delivers what waits in shopTest and returns the delivery's id.
func (g *gateway) park(t *testing.T) string {
	t.Helper()
	if a := g.in(t).deliver("fake", hook(verification.Passed, "nobody")); a.status != http.StatusOK {
		t.Fatalf("the webhook got %d", a.status)
	}
	return g.waiting(t).ID.String()
}

// waiting is the newest delivery that waits in shopTest.
func (g *gateway) waiting(t *testing.T) *verification.Delivery {
	t.Helper()
	ds, err := g.server.Store().Deliveries(t.Context(), verification.DeliveryQuery{
		Scope: shopTest(), Effects: []verification.Effect{verification.Unmatched}, Limit: 1,
	})
	if err != nil || len(ds) != 1 {
		t.Fatalf("%d deliveries wait (%v)", len(ds), err)
	}
	return ds[0]
}

func TestDeliveriesOfAnotherTenantAreInvisible(t *testing.T) {
	t.Parallel()
	s := newScene(t, pgtest.New(t), nil)
	first, err := s.operatorAPI(s.owner).ListDeliveries(t.Context(), &verigatev1.ListDeliveriesRequest{})
	if err != nil || len(first.GetDeliveries()) != 1 || first.GetDeliveries()[0].GetId() != s.victim.delivery {
		t.Fatalf("the owner's list: %v, %v", first, err)
	}
	for name, scope := range map[string]verification.Scope{"another project": acmeTest(), "the other environment": shopLive()} {
		api := s.operatorAPI(s.newOperatorKey(scope))
		for _, r := range []*verigatev1.ListDeliveriesRequest{
			{}, {Connection: "fake"}, {VerificationId: s.victim.id}, {Effects: []verigatev1.Effect{verigatev1.Effect_EFFECT_UNMATCHED}},
		} {
			list, err := api.ListDeliveries(t.Context(), r)
			if err != nil || len(list.GetDeliveries()) != 0 {
				t.Errorf("%s lists %v, %v; want nothing", name, list.GetDeliveries(), err)
			}
		}
	}
}

func TestAnOperatorSettlesWhatWaits(t *testing.T) {
	t.Parallel()
	s := newScene(t, pgtest.New(t), nil)
	api := s.operatorAPI(s.owner)
	opened, err := api.GetDelivery(t.Context(), &verigatev1.GetDeliveryRequest{Id: s.victim.delivery, WithContent: true})
	if err != nil || opened.GetHeaders()["Content-Type"] != "application/json" || len(opened.GetBody()) == 0 {
		t.Fatalf("opened %v, %v", opened, err)
	}
	again, err := api.ReplayDelivery(t.Context(), &verigatev1.ReplayDeliveryRequest{Id: s.victim.delivery})
	if err != nil || again.GetDelivery().GetEffect() != verigatev1.Effect_EFFECT_UNMATCHED {
		t.Errorf("replayed %v, %v", again, err)
	}
	bound, err := api.BindDelivery(t.Context(), &verigatev1.BindDeliveryRequest{
		Id: s.victim.delivery, VerificationId: s.victim.id, Reason: "ticket 1",
	})
	if err != nil || bound.GetVerification().GetState() != verigatev1.VerificationState_VERIFICATION_STATE_APPROVED {
		t.Fatalf("bound %v, %v", bound, err)
	}
	_, err = api.ReplayDelivery(t.Context(), &verigatev1.ReplayDeliveryRequest{Id: s.victim.delivery})
	wantError(t, err, connect.CodeFailedPrecondition, "DELIVERY_APPLIED", false)
	turned, err := api.OverrideVerification(t.Context(), &verigatev1.OverrideVerificationRequest{
		Id: s.victim.id, State: verigatev1.VerificationState_VERIFICATION_STATE_DECLINED, Reason: "ticket 2",
	})
	if err != nil || turned.GetVerification().GetState() != verigatev1.VerificationState_VERIFICATION_STATE_DECLINED {
		t.Fatalf("overridden %v, %v", turned, err)
	}
	timeline, err := api.GetTimeline(t.Context(), &verigatev1.GetTimelineRequest{VerificationId: s.victim.id})
	if err != nil {
		t.Fatal(err)
	}
	var sources []string
	for _, e := range timeline.GetEntries() {
		sources = append(sources, e.GetSource().String()+" "+e.GetRung()+" "+e.GetReason())
	}
	want := []string{"EVENT_SOURCE_CALLER  ", "EVENT_SOURCE_GATEWAY  ", "EVENT_SOURCE_PROVIDER operator ticket 1", "EVENT_SOURCE_OPERATOR  ticket 2"}
	if !slices.Equal(sources, want) {
		t.Errorf("the timeline has %q, want %q", sources, want)
	}
}
