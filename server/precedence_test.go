package server_test

import (
	"testing"

	"github.com/google/uuid"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/verification"
)

// TestARequestsCallbackURLBeatsTheFlowsEachForItself looks where the two kinds of
// callbacks of one verification go.
func TestARequestsCallbackURLBeatsTheFlowsEachForItself(t *testing.T) {
	t.Parallel()
	const flows, requests = "https://127.0.0.1:1/flow/", "https://127.0.0.1:1/request/"
	g := openDeveloping(t, pgtest.New(t), func(c *config.Config) {
		for i := range c.Flows {
			if c.Flows[i].Scope == shopTest() {
				c.Flows[i].CallbackURL, c.Flows[i].EventsCallbackURL = flows+"decisions", flows+"events"
			}
		}
	})
	for name, c := range map[string]struct{ decisions, events, wantDecisions, wantEvents string }{
		"neither":        {"", "", flows + "decisions", flows + "events"},
		"decisions only": {requests + "decisions", "", requests + "decisions", flows + "events"},
		"events only":    {"", requests + "events", flows + "decisions", requests + "events"},
		"both":           {requests + "decisions", requests + "events", requests + "decisions", requests + "events"},
	} {
		started, err := g.api(g.key).StartVerification(t.Context(), &verigatev1.StartVerificationRequest{
			Flow: "identity", Subject: "s", CallbackUrl: c.decisions, EventsCallbackUrl: c.events,
		})
		if err != nil {
			t.Fatal(err)
		}
		id := started.GetVerification().GetId()
		g.decide(id, verification.Passed)
		q := verification.CallbackQuery{Scope: shopTest(), VerificationID: uuid.MustParse(id), Limit: 10}
		var callbacks []*verification.Callback
		eventually(t, "three events are queued", func() bool {
			callbacks, err = g.server.Store().Callbacks(t.Context(), q)
			return err == nil && len(callbacks) == 3
		})
		for _, callback := range callbacks {
			want := c.wantEvents
			if callback.Channel == verification.ChannelDecisions {
				want = c.wantDecisions
			}
			if callback.URL != want {
				t.Errorf("with %s in the request, a callback about %s goes to %s, want %s", name, callback.Channel, callback.URL, want)
			}
		}
		if callbacks[0].Channel != verification.ChannelDecisions {
			t.Errorf("with %s, the last one is about %s, want the decision", name, callbacks[0].Channel)
		}
	}
}
