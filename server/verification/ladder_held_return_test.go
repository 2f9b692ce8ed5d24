package verification_test

import (
	"testing"
	"time"
)

// A person who failed can hold the return back and open it when somebody else's
// webhook is due.
func TestAHeldBackReturnIsTakenForNobodyElse(t *testing.T) {
	t.Parallel()
	for _, pause := range []time.Duration{window / 2, window + 30*time.Second, 10 * window} {
		g := newGateway(t)
		failed, victim := g.start("identity"), g.start("identity")
		g.deliver(g.webhook(rejected, "verification:failed"), unmatched)
		g.clock.forward(pause)
		g.returns(failed)
		g.deliver(g.webhook(passed, "verification:victim"), unmatched)
		if v := g.get(failed); v.State == approved {
			t.Fatalf("after %s whoever failed is approved by somebody else's webhook", pause)
		}
		g.want(victim, pending, "")
	}
}
