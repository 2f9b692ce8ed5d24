package verification_test

import (
	"context"
	"testing"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/verification"
)

const kept = verification.Kept

// mismatches is how often an operator was alarmed.
func (m *meter) mismatches() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mismatched
}

// delivery returns what is stored of a delivery, opened.
func (g *gateway) delivery(id uuid.UUID) *verification.Delivery {
	g.t.Helper()
	d, err := g.store.Delivery(g.t.Context(), shop, id)
	if err != nil {
		g.t.Fatal(err)
	}
	return d
}

// noted checks that a delivery is kept with a verification, which it left alone.
func (g *gateway) noted(d *verification.Delivery, id uuid.UUID, version int64) {
	g.t.Helper()
	if got := g.delivery(d.ID); got.Effect != kept || got.VerificationID != id || got.Body == nil {
		g.t.Errorf("the delivery is %+v, want it kept with %s", got, id)
	}
	if v := g.get(id); v.Version != version {
		g.t.Errorf("the verification is at version %d, want %d", v.Version, version)
	}
}

func TestWhatIsOnlyNoted(t *testing.T) {
	t.Parallel()
	sentences(t, map[string]func(g *gateway){
		"is kept with the verification that its key names, and moves nothing": func(g *gateway) {
			a := g.start("identity")
			d := withKey(g.webhook(verification.Noted), tokenOf(a))
			g.deliver(d, kept)
			g.noted(d, a, 2)
			g.want(a, pending, verification.NoMatch)
		},
		"is kept with one that is over": func(g *gateway) {
			a := g.start("identity")
			g.deliver(withKey(g.webhook(passed), tokenOf(a)), applied)
			d := withKey(g.webhook(verification.Noted), tokenOf(a))
			g.deliver(d, kept)
			g.noted(d, a, 3)
		},
		"binds the provider's id like any exact one": func(g *gateway) {
			a := g.start("identity")
			g.start("identity")
			g.deliver(withKey(g.webhook(verification.Noted, "verification:1"), tokenOf(a)), kept)
			g.deliver(g.webhook(passed, "verification:1"), applied)
			g.want(a, approved, verification.Exact)
			g.rung(a, verification.RungBoundRef, verification.Exact)
		},
		"finds a verification by an id that was bound before": func(g *gateway) {
			a := g.start("identity")
			g.deliver(withKey(g.webhook(reviewing, "verification:1"), tokenOf(a)), applied)
			d := g.webhook(verification.Noted, "verification:1")
			g.deliver(d, kept)
			g.noted(d, a, 3)
		},
		"is never guessed about, even if exactly one is open": func(g *gateway) {
			a := g.start("identity")
			g.deliver(g.webhook(verification.Noted, "verification:1"), unmatched)
			g.want(a, pending, verification.NoMatch)
		},
		"is never guessed about, even if exactly one returned and claims it": func(g *gateway) {
			a := g.start("identity")
			g.returns(a, "verification_id=1")
			d := g.webhook(verification.Noted, "verification:1")
			g.deliver(d, unmatched)
			g.sweep()
			g.stored(d, unmatched)
			if v := g.get(a); !v.BindTime.IsZero() {
				g.t.Error("a note bound the verification")
			}
		},
		"waits for exact evidence and is kept with it then": func(g *gateway) {
			a := g.start("identity")
			g.start("identity")
			d := g.webhook(verification.Noted, "verification:1")
			g.deliver(d, unmatched)
			g.deliver(withKey(g.webhook(passed, "verification:1"), tokenOf(a)), applied)
			g.sweep()
			g.noted(d, a, 3)
		},
	})
}

// sessionless is a provider that tells no key at start.
func sessionless(_ context.Context, r verification.StartSession) (verification.Session, error) {
	session := ordinary(r)
	session.Refs = nil
	return session, nil
}

func TestAReferenceAndASessionThatDisagree(t *testing.T) {
	t.Parallel()
	sentences(t, map[string]func(g *gateway){
		"are parked, and an operator is alarmed": func(g *gateway) {
			a, b := g.start("identity"), g.start("identity")
			d := withID(withKey(g.webhook(passed), tokenOf(a)), b.String())
			g.deliver(d, unmatched)
			g.want(a, pending, verification.NoMatch)
			g.want(b, pending, verification.NoMatch)
			// The clock looks again at what waits, and says nothing again.
			for range 3 {
				g.sweep()
			}
			if n := g.meter.mismatches(); n != 1 {
				g.t.Errorf("the alarm was raised %d times, want once", n)
			}
		},
		"are parked also when the session was bound by a webhook": func(g *gateway) {
			a, b := g.start("identity"), g.start("identity")
			g.deliver(withKey(g.webhook(reviewing, "verification:1"), tokenOf(a)), applied)
			g.deliver(withID(g.webhook(passed, "verification:1"), b.String()), unmatched)
			g.want(b, pending, verification.NoMatch)
			if n := g.meter.mismatches(); n != 1 {
				g.t.Errorf("the alarm was raised %d times, want once", n)
			}
		},
		"because the verification has another session are parked and alarmed": func(g *gateway) {
			a := g.start("identity")
			g.deliver(withID(withKey(g.webhook(passed), "token:of-somebody-else"), a.String()), unmatched)
			g.want(a, pending, verification.NoMatch)
			if n := g.meter.mismatches(); n != 1 {
				g.t.Errorf("the alarm was raised %d times, want once", n)
			}
		},
		"do not when the start has not told its session yet": func(g *gateway) {
			g.company.answer = sessionless
			a := g.start("identity")
			g.deliver(withID(withKey(g.webhook(passed), "token:early"), a.String()), applied)
			g.want(a, approved, verification.Exact)
			if n := g.meter.mismatches(); n != 0 {
				g.t.Errorf("the alarm was raised %d times, want never", n)
			}
			// The session is this one's from now on.
			g.deliver(withKey(g.webhook(verification.RevisedToRejected), "token:early"), applied)
			g.want(a, declined, verification.Exact)
		},
		"do not when the key is of another kind than those it has": func(g *gateway) {
			a := g.start("identity")
			g.deliver(withID(withKey(g.webhook(passed), "profile:1"), a.String()), applied)
			g.want(a, approved, verification.Exact)
			if n := g.meter.mismatches(); n != 0 {
				g.t.Errorf("the alarm was raised %d times, want never", n)
			}
		},
	})
}
