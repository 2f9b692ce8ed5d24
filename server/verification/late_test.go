package verification_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/verification"
)

func TestLateDecisions(t *testing.T) {
	t.Parallel()
	expire := func(g *gateway) uuid.UUID {
		id := g.start("identity")
		g.clock.forward(lifetime - time.Second)
		g.sweep()
		g.want(id, expired, verification.NoMatch)
		return id
	}
	sentences(t, map[string]func(g *gateway){
		"a decision inside the grace period wins": func(g *gateway) {
			id := expire(g)
			g.clock.forward(grace - time.Microsecond)
			g.deliver(withKey(g.webhook(passed), tokenOf(id)), applied)
			g.want(id, approved, verification.Exact)
			if v := g.get(id); v.Lane != "" || v.FinalTime.IsZero() {
				g.t.Errorf("lane %q, final time %s", v.Lane, v.FinalTime)
			}
		},
		"a decision after it is stale": func(g *gateway) {
			id := expire(g)
			g.clock.forward(grace)
			g.deliver(withKey(g.webhook(passed), tokenOf(id)), stale)
			g.want(id, expired, verification.NoMatch)
		},
		"one that arrived inside it and waited for its evidence wins": func(g *gateway) {
			id := expire(g)
			d := withKey(g.webhook(passed), "token:second")
			g.deliver(d, unmatched)
			g.clock.forward(grace)
			g.bindLate(id, "token:second")
			g.sweep()
			g.stored(d, applied)
			g.want(id, approved, verification.Exact)
		},
		"an expiry that is not swept yet does not keep a decision out": func(g *gateway) {
			id := g.start("identity")
			g.clock.forward(2 * lifetime)
			g.deliver(withKey(g.webhook(rejected), tokenOf(id)), applied)
			g.sweep()
			g.want(id, declined, verification.Exact)
		},
	})
}

// bindLate ties a ref to a verification, as a delivery or an operator would.
func (g *gateway) bindLate(id uuid.UUID, ref string) {
	g.t.Helper()
	err := g.store.InTx(g.t.Context(), func(tx verification.Tx) error {
		return tx.BindRef(g.t.Context(), verification.BoundRef{
			Connection: "human", Ref: ref, VerificationID: id, Match: verification.Exact, CreateTime: g.clock.Now(),
		})
	})
	if err != nil {
		g.t.Fatal(err)
	}
}
