package verification_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/verification"
)

func TestLadderElimination(t *testing.T) {
	t.Parallel()
	sentences(t, map[string]func(g *gateway){
		"the other one expires: still parked": func(g *gateway) {
			a := g.start("identity")
			g.clock.forward(time.Minute)
			g.start("identity")
			d := g.webhook(passed, "verification:1")
			g.deliver(d, unmatched)
			g.clock.forward(lifetime - time.Minute)
			g.sweep()
			g.want(a, expired, verification.NoMatch)
			g.stored(d, unmatched)
			g.clock.forward(grace)
			g.sweep()
			g.stored(d, unmatched)
		},
		"the other one is canceled: still parked": func(g *gateway) {
			a, b := g.start("identity"), g.start("identity")
			d := g.webhook(passed, "verification:1")
			g.deliver(d, unmatched)
			g.cancel(b)
			g.sweep()
			g.stored(d, unmatched)
			g.want(a, pending, verification.NoMatch)
		},
		"the other one is decided: still parked": func(g *gateway) {
			a, b := g.start("identity"), g.start("identity")
			d := g.webhook(passed, "verification:1")
			g.deliver(d, unmatched)
			g.deliver(withKey(g.webhook(passed, "verification:2"), tokenOf(b)), applied)
			g.sweep()
			g.stored(d, unmatched)
			g.want(a, pending, verification.NoMatch)
		},
		"the other waiting webhook finds its verification: still parked": func(g *gateway) {
			a, b := g.start("identity"), g.start("identity")
			first := g.webhook(passed, "verification:1")
			g.deliver(first, unmatched)
			second := g.webhook(passed, "verification:2")
			g.deliver(second, unmatched)
			g.deliver(withKey(g.webhook(passed, "verification:1"), tokenOf(b)), applied)
			g.sweep()
			g.stored(first, duplicate)
			// Too late to be evidence, soon enough to look again.
			g.clock.forward(5 * window)
			g.returns(a)
			g.sweep()
			g.stored(second, unmatched)
			g.want(a, processing, verification.NoMatch)
		},
		"an expired one within its grace blocks the guess": func(g *gateway) {
			g.start("identity")
			g.clock.forward(lifetime)
			g.sweep()
			b := g.start("identity")
			g.deliver(g.webhook(passed, "verification:1"), unmatched)
			g.want(b, pending, verification.NoMatch)
		},
		"an expired one whose page outlives its grace blocks the guess": func(g *gateway) {
			g.company.answer = longPage
			g.start("identity")
			g.clock.forward(lifetime + grace + time.Minute)
			g.sweep()
			b := g.start("identity")
			g.deliver(g.webhook(passed, "verification:1"), unmatched)
			g.want(b, pending, verification.NoMatch)
		},
		"a canceled one whose page outlives its lifetime blocks the guess": func(g *gateway) {
			g.company.answer = longPage
			g.cancel(g.start("identity"))
			g.clock.forward(lifetime + time.Minute)
			b := g.start("identity")
			g.deliver(g.webhook(passed, "verification:1"), unmatched)
			g.want(b, pending, verification.NoMatch)
		},
		"a run that was heard of before somebody started is not theirs": func(g *gateway) {
			a, b := g.start("identity"), g.start("identity")
			g.deliver(g.webhook(reviewing, "verification:1"), unmatched)
			g.cancel(a)
			g.cancel(b)
			g.clock.forward(lifetime + grace + time.Minute)
			c := g.start("identity")
			g.deliver(g.webhook(passed, "verification:1"), unmatched)
			g.returns(c)
			g.sweep()
			g.want(c, processing, verification.NoMatch)
		},
		"a run that waits is not decided by elimination through its second webhook": func(g *gateway) {
			a, b := g.start("identity"), g.start("identity")
			g.deliver(g.webhook(reviewing, "verification:1"), unmatched)
			g.deliver(withKey(g.webhook(passed, "verification:2"), tokenOf(b)), applied)
			g.deliver(g.webhook(passed, "verification:1"), unmatched)
			g.want(a, pending, verification.NoMatch)
		},
		"what was bound while the gateway was away is found by the sweep, however old": func(g *gateway) {
			a, _ := g.start("identity"), g.start("identity")
			old := g.webhook(reviewing, "verification:1")
			g.deliver(old, unmatched)
			g.clock.forward(time.Hour / 2)
			g.bindLate(a, "verification:1")
			g.sweep()
			g.stored(old, applied)
			g.want(a, inReview, verification.Exact)
		},
		"two waiting webhooks of one run are no rivals: the one return applies both": func(g *gateway) {
			a, b := g.start("identity"), g.start("identity")
			review, pass := g.webhook(reviewing, "verification:1"), g.webhook(passed, "verification:1")
			g.deliver(review, unmatched)
			g.deliver(pass, unmatched)
			g.returns(a)
			g.sweep()
			g.want(a, approved, verification.Inferred)
			g.want(b, pending, verification.NoMatch)
		},
		"another delivery binds the id that it names: applied, however late": func(g *gateway) {
			a, _ := g.start("identity"), g.start("identity")
			early := g.webhook(passed, "verification:1")
			g.deliver(early, unmatched)
			g.clock.forward(20 * time.Minute)
			g.deliver(withKey(g.webhook(reviewing, "verification:1"), tokenOf(a)), applied)
			g.sweep()
			g.stored(early, applied)
			g.want(a, approved, verification.Exact)
		},
		"an expired one after its grace blocks nobody": func(g *gateway) {
			g.start("identity")
			g.clock.forward(lifetime + grace)
			g.sweep()
			b := g.start("identity")
			g.deliver(g.webhook(passed, "verification:1"), applied)
			g.want(b, approved, verification.Inferred)
		},
		"a canceled one whose page still works blocks the guess": func(g *gateway) {
			g.cancel(g.start("identity"))
			b := g.start("identity")
			g.deliver(g.webhook(passed, "verification:1"), unmatched)
			g.want(b, pending, verification.NoMatch)
		},
		"a canceled one whose page is over blocks nobody": func(g *gateway) {
			g.cancel(g.start("identity"))
			g.clock.forward(lifetime)
			b := g.start("identity")
			g.deliver(g.webhook(passed, "verification:1"), applied)
			g.want(b, approved, verification.Inferred)
		},
		"a canceled one that is the only candidate refuses": func(g *gateway) {
			a := g.start("identity")
			g.cancel(a)
			g.deliver(g.webhook(passed, "verification:1"), refused)
			g.want(a, canceled, verification.NoMatch)
		},
		"a start that failed blocks nobody": func(g *gateway) {
			g.company.answer = func(context.Context, verification.StartSession) (verification.Session, error) {
				return verification.Session{}, errProviderDown
			}
			_, err := g.Start(g.t.Context(), shop, verification.StartRequest{Flow: "identity", Subject: "u1"})
			wantKind(g.t, err, verification.KindUnavailable)
			g.clock.forward(time.Second)
			g.company.answer = nil
			b := g.start("identity")
			g.deliver(g.webhook(passed, "verification:1"), applied)
			g.want(b, approved, verification.Inferred)
		},
	})
}

// deliverDuringStart opens a verification whose webhook arrives while the
// provider is still being asked.
func deliverDuringStart(g *gateway, build func(id uuid.UUID) *verification.Delivery, want verification.Effect) (uuid.UUID, *verification.Delivery) {
	g.t.Helper()
	var d *verification.Delivery
	g.company.answer = func(_ context.Context, r verification.StartSession) (verification.Session, error) {
		d = build(r.VerificationID)
		g.deliver(d, want)
		return ordinary(r), nil
	}
	id := g.start("identity")
	g.company.answer = nil
	return id, d
}

func TestLadderWebhookBeforeStartCommitted(t *testing.T) {
	t.Parallel()
	sentences(t, map[string]func(g *gateway){
		"a key that Start has not committed yet: parked, then applied by Start": func(g *gateway) {
			g.start("identity")
			id, d := deliverDuringStart(g, func(id uuid.UUID) *verification.Delivery {
				return withKey(g.webhook(passed, "verification:1"), tokenOf(id))
			}, unmatched)
			g.stored(d, applied)
			g.want(id, approved, verification.Exact)
			g.rung(id, verification.RungPayloadKey, verification.Exact)
			if page := g.get(id).HostedURL; page == "" {
				g.t.Error("the hosted URL was not stored")
			}
		},
		"the same when Start saw nothing waiting: applied by Sweep": func(g *gateway) {
			id := g.start("identity")
			d := withKey(g.webhook(passed, "verification:1"), tokenOf(id))
			// What the lost race leaves behind: the delivery looked for the ref
			// before Start committed it, and committed after Start had looked.
			g.park(d)
			g.stored(d, unmatched)
			g.sweep()
			g.stored(d, applied)
			g.want(id, approved, verification.Exact)
		},
		"our own id in the payload: applied at once, and Start keeps the state": func(g *gateway) {
			id, _ := deliverDuringStart(g, func(id uuid.UUID) *verification.Delivery {
				return withID(g.webhook(passed, "verification:1"), id.String())
			}, applied)
			g.want(id, approved, verification.Exact)
			g.timeline(id)
			if page := g.get(id).HostedURL; page == "" {
				g.t.Error("the hosted URL was not stored")
			}
			g.deliver(withKey(g.webhook(passed, "verification:1"), tokenOf(id)), duplicate)
		},
		"no key and nobody else open: inferred from the row alone": func(g *gateway) {
			id, _ := deliverDuringStart(g, func(uuid.UUID) *verification.Delivery {
				return g.webhook(passed, "verification:1")
			}, applied)
			g.want(id, approved, verification.Inferred)
		},
		"a session that belongs to another verification fails the start": func(g *gateway) {
			a := g.start("identity")
			g.company.answer = func(_ context.Context, r verification.StartSession) (verification.Session, error) {
				s := ordinary(r)
				s.Refs = []string{tokenOf(a)}
				return s, nil
			}
			_, err := g.Start(g.t.Context(), shop, verification.StartRequest{Flow: "identity", Subject: "u2", IdempotencyKey: "k"})
			wantKind(g.t, err, verification.KindUnavailable)
			second := g.company.calls()[1].VerificationID
			g.want(second, failed, verification.NoMatch)
			g.deliver(withKey(g.webhook(passed), tokenOf(a)), applied)
			g.want(a, approved, verification.Exact)
			g.want(second, failed, verification.NoMatch)
		},
	})
}

// park stores a delivery as it is when nothing was found for it.
func (g *gateway) park(d *verification.Delivery) {
	g.t.Helper()
	err := g.store.InTx(g.t.Context(), func(tx verification.Tx) error {
		if _, err := tx.MarkSeen(g.t.Context(), d); err != nil {
			return err
		}
		d.Effect = verification.Unmatched
		return tx.InsertDelivery(g.t.Context(), d, g.clock.Now())
	})
	if err != nil {
		g.t.Fatal(err)
	}
}

func TestDuplicatesAndWhatIsNoEvent(t *testing.T) {
	t.Parallel()
	again := func(g *gateway, d *verification.Delivery) *verification.Delivery {
		repeat := *d
		repeat.ID, repeat.Effect, repeat.VerificationID = uuid.Must(uuid.NewV7()), "", uuid.Nil
		repeat.ReceiveTime = g.clock.Now()
		return &repeat
	}
	sentences(t, map[string]func(g *gateway){
		"a repeat of an applied delivery is a duplicate": func(g *gateway) {
			a := g.start("identity")
			d := withKey(g.webhook(passed), tokenOf(a))
			g.deliver(d, applied)
			g.deliver(again(g, d), duplicate)
			if v := g.get(a); v.Version != 3 {
				g.t.Errorf("the version is %d, want 3", v.Version)
			}
		},
		"a repeat of a parked delivery is a duplicate, and the first still waits": func(g *gateway) {
			a := g.start("identity")
			g.start("identity")
			d := g.webhook(passed, "verification:1")
			g.deliver(d, unmatched)
			g.deliver(again(g, d), duplicate)
			g.returns(a)
			g.stored(d, applied)
			g.want(a, approved, verification.Inferred)
		},
		"one dedupe key on two connections is two things": func(g *gateway) {
			a := g.start("identity")
			d := withKey(g.webhook(passed), tokenOf(a))
			g.deliver(d, applied)
			other := again(g, d)
			other.Connection = "second"
			g.deliver(other, unmatched)
		},
		"pings and what cannot be read or is unknown are stored and touch nobody": func(g *gateway) {
			a := g.start("identity")
			g.returns(a)
			before := g.get(a)
			for _, effect := range []verification.Effect{verification.Ping, verification.Unknown, verification.Unreadable} {
				d := g.webhook("", "verification:1")
				d.Effect = effect
				g.deliver(d, effect)
				repeat := again(g, d)
				repeat.Effect = effect
				g.deliver(repeat, duplicate)
			}
			g.sweep()
			if v := g.get(a); v.Version != before.Version || !v.BindTime.IsZero() {
				g.t.Errorf("it is at version %d, bound %s", v.Version, v.BindTime)
			}
		},
	})
}
