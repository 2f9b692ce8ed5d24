package server_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/verification"
)

// callbackAttacks are an operator's calls about callbacks.
func callbackAttacks() []attack {
	const operator = access.OperatorScope
	return []attack{
		{"list callbacks", "ListCallbacks", operator, false, false, false, func(target) proto.Message {
			return &verigatev1.ListCallbacksRequest{}
		}},
		{"see a callback", "GetCallback", operator, false, false, true, func(at target) proto.Message {
			return &verigatev1.GetCallbackRequest{Id: at.callback}
		}},
		{"retry a callback", "RetryCallback", operator, false, false, true, func(at target) proto.Message {
			return &verigatev1.RetryCallbackRequest{Id: at.callback}
		}},
		{"retry all dead callbacks", "RetryDeadCallbacks", operator, false, false, false, func(target) proto.Message {
			return &verigatev1.RetryDeadCallbacksRequest{}
		}},
	}
}

// deafBackend is where nobody listens: a callback to it stays pending.
const deafBackend = "https://127.0.0.1:1/events"

// queued waits for a callback about a verification of shopTest and returns its
// id.
func (g *gateway) queued(t *testing.T, verificationID string) string {
	t.Helper()
	var callbacks []*verification.Callback
	eventually(t, "the callback is queued", func() bool {
		var err error
		callbacks, err = g.server.Store().Callbacks(t.Context(), verification.CallbackQuery{Scope: shopTest(), Limit: 10})
		return err == nil && len(callbacks) > 0
	})
	if got := callbacks[0].VerificationID.String(); got != verificationID {
		t.Fatalf("the callback is about %s, want %s", got, verificationID)
	}
	return callbacks[0].ID.String()
}

func TestCallbacksOfAnotherTenantAreInvisible(t *testing.T) {
	t.Parallel()
	s := newScene(t, pgtest.New(t), nil)
	own, err := s.operatorAPI(s.owner).ListCallbacks(t.Context(), &verigatev1.ListCallbacksRequest{})
	if err != nil || len(own.GetCallbacks()) == 0 || own.GetCallbacks()[0].GetUrl() != deafBackend {
		t.Fatalf("the owner's list: %v, %v", own, err)
	}
	for name, scope := range map[string]verification.Scope{"another project": acmeTest(), "the other environment": shopLive()} {
		api := s.operatorAPI(s.newOperatorKey(scope))
		for _, r := range []*verigatev1.ListCallbacksRequest{
			{}, {VerificationId: s.victim.id}, {States: []verigatev1.CallbackState{verigatev1.CallbackState_CALLBACK_STATE_PENDING}},
		} {
			list, err := api.ListCallbacks(t.Context(), r)
			if err != nil || len(list.GetCallbacks()) != 0 {
				t.Errorf("%s lists %v, %v; want nothing", name, list.GetCallbacks(), err)
			}
		}
	}
}
