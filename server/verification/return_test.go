package verification_test

import (
	"testing"
	"time"

	"github.com/verigate/verigate/server/verification"
)

func TestLadderReturnHints(t *testing.T) {
	t.Parallel()
	sentences(t, map[string]func(g *gateway){
		"a person who brings the provider id back selects among many": func(g *gateway) {
			a, b := g.start("identity"), g.start("identity")
			g.returns(a, "verification_id=1")
			g.returns(b)
			g.deliver(g.webhook(passed, "verification:1"), applied)
			g.want(a, approved, verification.Inferred)
			g.rung(a, verification.RungReturnHint, verification.Inferred)
			g.want(b, processing, verification.NoMatch)
		},
		"a waiting webhook is applied when its provider id is brought back": func(g *gateway) {
			a := g.start("identity")
			g.start("identity")
			d := g.webhook(passed, "verification:1")
			g.deliver(d, unmatched)
			g.clock.forward(2 * window)
			g.returns(a, "verification_id=1")
			g.stored(d, applied)
			g.want(a, approved, verification.Inferred)
		},
		"two people who claim one provider id: it is parked": func(g *gateway) {
			a, b := g.start("identity"), g.start("identity")
			g.returns(a, "verification_id=1")
			g.returns(b, "verification_id=1")
			d := g.webhook(passed, "verification:1")
			g.deliver(d, unmatched)
			g.sweep()
			g.stored(d, unmatched)
		},
		"claiming an id that is bound to another changes nothing": func(g *gateway) {
			a, b := g.start("identity"), g.start("identity")
			g.deliver(withKey(g.webhook(verification.ReviewStarted, "verification:1"), tokenOf(a)), applied)
			g.returns(b, "verification_id=1")
			g.deliver(g.webhook(passed, "verification:1"), applied)
			g.want(a, approved, verification.Exact)
			g.want(b, processing, verification.NoMatch)
		},
		"a claim by somebody who was decided already selects nobody": func(g *gateway) {
			a, b := g.start("identity"), g.start("identity")
			g.returns(a, "verification_id=2")
			g.deliver(withKey(g.webhook(passed, "verification:1"), tokenOf(a)), applied)
			d := g.webhook(rejected, "verification:2")
			g.deliver(d, unmatched)
			g.want(a, approved, verification.Exact)
			g.want(b, pending, verification.NoMatch)
		},
		"somebody else's nonce returns somebody else and proves nothing": func(g *gateway) {
			a, b := g.start("identity"), g.start("identity")
			// The person of b uses a's leg: a is the one who returned.
			g.returns(a)
			g.want(b, pending, verification.NoMatch)
			g.deliver(withKey(g.webhook(passed, "verification:1"), tokenOf(b)), applied)
			g.want(b, approved, verification.Exact)
			g.want(a, processing, verification.NoMatch)
		},
		"nobody's nonce is not found": func(g *gateway) {
			g.start("identity")
			_, err := g.Returned(g.t.Context(), verification.Return{Nonce: "guess"})
			wantKind(g.t, err, verification.KindNotFound)
		},
		"a return never approves": func(g *gateway) {
			a := g.start("identity")
			g.returns(a, "status=PASS", "verification_id=1")
			g.want(a, processing, verification.NoMatch)
		},
	})
}

func TestReturnLeg(t *testing.T) {
	t.Parallel()
	sentences(t, map[string]func(g *gateway){
		"the two legs lead to the two targets": func(g *gateway) {
			a := g.start("identity")
			nonce := g.company.nonceOf(g.t, a)
			for failure, want := range map[bool]string{false: "myapp://done", true: "myapp://sorry"} {
				got, err := g.Returned(g.t.Context(), verification.Return{Nonce: nonce, Failure: failure})
				if err != nil || got != want {
					g.t.Errorf("failure %t leads to %q (%v), want %q", failure, got, err, want)
				}
			}
		},
		"only the first return counts": func(g *gateway) {
			a := g.start("identity")
			g.returns(a)
			first := g.get(a)
			g.clock.forward(time.Minute)
			g.returns(a, "verification_id=9")
			if again := g.get(a); again.Version != first.Version || !again.ReturnTime.Equal(first.ReturnTime) {
				g.t.Errorf("the second return made version %d at %s", again.Version, again.ReturnTime)
			}
		},
		"by a provider's only leg who failed goes where the app wants failures": func(g *gateway) {
			a := g.start("identity")
			nonce := g.company.nonceOf(g.t, a)
			if target, err := g.Returned(g.t.Context(), verification.Return{Nonce: nonce}); err != nil || target != "myapp://done" {
				g.t.Errorf("before the decision it led to %q (%v)", target, err)
			}
			g.deliver(withKey(g.webhook(rejected), tokenOf(a)), applied)
			if target, err := g.Returned(g.t.Context(), verification.Return{Nonce: nonce}); err != nil || target != "myapp://sorry" {
				g.t.Errorf("after it it led to %q (%v)", target, err)
			}
		},
		"a return after the decision only redirects": func(g *gateway) {
			a := g.start("identity")
			g.deliver(withKey(g.webhook(passed), tokenOf(a)), applied)
			before := g.get(a)
			target, err := g.Returned(g.t.Context(), verification.Return{Nonce: g.company.nonceOf(g.t, a)})
			if after := g.get(a); err != nil || target != "myapp://done" || after.Version != before.Version || !after.ReturnTime.IsZero() {
				g.t.Errorf("it led to %q (%v), version %d, returned %s", target, err, after.Version, after.ReturnTime)
			}
		},
		"the hashed nonce is stored, the nonce is not": func(g *gateway) {
			a := g.start("identity")
			nonce := g.company.nonceOf(g.t, a)
			var rows int
			row := g.db.QueryRow(g.t.Context(), `SELECT count(*) FROM verification WHERE verification::text LIKE '%' || $1 || '%'`, nonce)
			if err := row.Scan(&rows); err != nil || rows != 0 || len(nonce) < 43 {
				g.t.Errorf("%d rows hold the nonce (%v), which has %d characters", rows, err, len(nonce))
			}
		},
	})
}
