package verification_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/verigate/verigate/server/verification"
)

func TestWhatArrivesAfterAnErasure(t *testing.T) {
	t.Parallel()
	// decide makes a decided verification that knows the provider's id m-ref.
	decide := func(g *gateway) (uuid.UUID, *verification.Delivery) {
		id := g.startAnna("identity")
		d := withKey(g.webhook(passed, "verification:m-ref"), tokenOf(id))
		g.deliver(d, applied)
		return id, d
	}
	late := func(g *gateway, id uuid.UUID, d *verification.Delivery) {
		g.t.Helper()
		d.Body, d.Headers = []byte("m-body"), map[string]string{"X-Note": "m-header"}
		g.deliver(d, stale)
		g.bare(d, stale, id)
	}
	sentences(t, map[string]func(g *gateway){
		"by the payload's key it is stale and keeps nothing": func(g *gateway) {
			id, _ := decide(g)
			g.erase()
			late(g, id, withKey(g.webhook(verification.RevisedToRejected), tokenOf(id)))
			g.want(id, approved, verification.Exact)
		},
		"by a bound ref it is stale and keeps nothing": func(g *gateway) {
			id, _ := decide(g)
			g.erase()
			late(g, id, g.webhook(verification.RevisedToRejected, "verification:m-ref"))
			g.want(id, approved, verification.Exact)
		},
		"by our id it is stale and keeps nothing": func(g *gateway) {
			id, _ := decide(g)
			g.erase()
			late(g, id, withID(g.webhook(verification.RevisedToRejected), id.String()))
			g.want(id, approved, verification.Exact)
		},
		"even of a product that it is not": func(g *gateway) {
			id, _ := decide(g)
			g.erase()
			d := withKey(g.webhook(passed), tokenOf(id))
			d.Event.Product = "age"
			late(g, id, d)
		},
		"as a repeat it is a duplicate and keeps nothing": func(g *gateway) {
			_, first := decide(g)
			g.erase()
			repeat := *first
			repeat.ID = uuid.Must(uuid.NewV7())
			g.deliver(&repeat, duplicate)
			g.bare(&repeat, duplicate, uuid.Nil)
		},
		"with a new ref it teaches the ref, unreadable": func(g *gateway) {
			id, _ := decide(g)
			other := g.start("identity")
			g.erase()
			late(g, id, withKey(g.webhook(reviewing, "verification:m-second"), tokenOf(id)))
			late(g, id, g.webhook(passed, "verification:m-second"))
			g.gone("m-second")
			g.want(other, pending, verification.NoMatch)
		},
		"what waited with that ref is emptied too": func(g *gateway) {
			id := g.startAnna("identity")
			g.start("identity")
			waits := g.webhook(passed, "verification:m-second")
			g.deliver(waits, unmatched)
			g.erase()
			g.stored(waits, unmatched)
			late(g, id, withKey(g.webhook(reviewing, "verification:m-second"), tokenOf(id)))
			g.bare(waits, stale, id)
			g.gone("m-second")
		},
		"of another connection or environment it is not hers": func(g *gateway) {
			id, _ := decide(g)
			g.erase()
			d := withID(g.webhook(passed), id.String())
			d.Connection = "second"
			g.deliver(d, unmatched)
			d = withID(g.webhook(passed), id.String())
			d.Connection, d.Scope.Environment = "human-live", verification.Live
			g.deliver(d, unmatched)
		},
		"as a return it leads nowhere and says nothing": func(g *gateway) {
			id := g.startAnna("identity")
			g.erase()
			g.returns(id, "verification_id=m-claim")
			g.gone("m-claim")
			g.want(id, canceled, verification.NoMatch)
		},
	})
}

func TestAnErasedVerificationIsGuessedAsBefore(t *testing.T) {
	t.Parallel()
	sentences(t, map[string]func(g *gateway){
		"while its page works it blocks a guess about another": func(g *gateway) {
			g.startAnna("identity")
			other := g.start("identity")
			g.erase()
			g.deliver(g.webhook(passed, "verification:1"), unmatched)
			g.want(other, pending, verification.NoMatch)
		},
		"alone, it takes no webhook that could be somebody else's": func(g *gateway) {
			id := g.startAnna("identity")
			g.erase()
			g.deliver(g.webhook(passed, "verification:1"), unmatched)
			g.want(id, canceled, verification.NoMatch)
		},
		"returned, it takes no webhook of somebody who is still at it": func(g *gateway) {
			anna := g.startAnna("identity")
			other := g.start("identity")
			g.returns(anna)
			g.erase()
			d := g.webhook(passed, "verification:of-the-other")
			g.deliver(d, unmatched)
			kept, err := g.store.Delivery(g.t.Context(), d.Scope, d.ID)
			if err != nil || kept.Body == nil || len(kept.Event.Refs) != 1 {
				g.t.Errorf("the other's evidence is %+v (%v)", kept, err)
			}
			g.want(other, pending, verification.NoMatch)
		},
		"when its page is over it takes nothing": func(g *gateway) {
			g.startAnna("identity")
			g.erase()
			g.clock.forward(2 * lifetime)
			g.deliver(g.webhook(passed, "verification:1"), unmatched)
		},
		"a flow that wants proof guesses nothing": func(g *gateway) {
			g.startAnna("exact")
			g.erase()
			d := g.webhook(passed, "verification:1")
			d.Event.Product = "passport"
			g.deliver(d, unmatched)
		},
		"its claim still cancels out a false one": func(g *gateway) {
			a, liar := g.startAnna("identity"), g.start("identity")
			g.returns(a, "verification_id=1")
			g.returns(liar, "verification_id=1")
			d := g.webhook(passed, "verification:1")
			g.deliver(d, unmatched)
			g.erase()
			g.sweep()
			g.stored(d, unmatched)
			g.want(liar, processing, verification.NoMatch)
		},
		"its claim after the erasure does too": func(g *gateway) {
			a, liar := g.startAnna("identity"), g.start("identity")
			g.erase()
			g.returns(a, "verification_id=1")
			g.returns(liar, "verification_id=1")
			g.deliver(g.webhook(passed, "verification:1"), unmatched)
			g.want(liar, processing, verification.NoMatch)
		},
	})
}

func TestAnErasureMeetsAStart(t *testing.T) {
	t.Parallel()
	sentences(t, map[string]func(g *gateway){
		"a start that is in flight leaves nothing behind": func(g *gateway) {
			early := withKey(g.webhook(passed, "verification:m-ref"), "token:m-token")
			early.Body = []byte("m-body")
			g.company.answer = func(context.Context, verification.StartSession) (verification.Session, error) {
				// The provider's webhook is faster than its answer: nobody knows
				// the key yet.
				g.deliver(early, unmatched)
				g.erase()
				return verification.Session{HostedURL: "https://provider.example.com/m-hosted", Refs: []string{"token:m-token"}}, nil
			}
			request := startOf("identity", anna, "m-idempotency")
			request.Reference, request.Metadata = "m-reference", map[string]string{"a": "m-metadata"}
			v, err := g.Start(g.t.Context(), shop, request)
			wantKind(g.t, err, verification.KindRefused)
			if v != nil {
				g.t.Errorf("start sends somebody to %s", v.HostedURL)
			}
			id := g.company.calls()[0].VerificationID
			g.want(id, canceled, verification.NoMatch)
			g.gone(anna, "m-token", "m-hosted", "m-idempotency", "m-reference", "m-metadata")
			g.bare(early, stale, id)
			d := withKey(g.webhook(passed), "token:m-token")
			g.deliver(d, stale)
			g.bare(d, stale, id)
		},
		"nor does one of which no webhook has told yet": func(g *gateway) {
			g.company.answer = func(context.Context, verification.StartSession) (verification.Session, error) {
				g.erase()
				return verification.Session{HostedURL: "https://provider.example.com/m-hosted", Refs: []string{"token:m-token"}}, nil
			}
			_, err := g.Start(g.t.Context(), shop, startOf("identity", anna, ""))
			wantKind(g.t, err, verification.KindRefused)
			g.gone(anna, "m-token", "m-hosted")
			d := withKey(g.webhook(passed), "token:m-token")
			g.deliver(d, stale)
			g.bare(d, stale, g.company.calls()[0].VerificationID)
		},
		"one that fails meanwhile leaves nothing either": func(g *gateway) {
			g.company.answer = func(context.Context, verification.StartSession) (verification.Session, error) {
				g.erase()
				return verification.Session{}, errProviderDown
			}
			_, err := g.Start(g.t.Context(), shop, startOf("identity", anna, "m-idempotency"))
			wantKind(g.t, err, verification.KindUnavailable)
			g.want(g.company.calls()[0].VerificationID, canceled, verification.NoMatch)
			g.gone(anna, "m-idempotency")
		},
		"one that comes after it begins anew": func(g *gateway) {
			g.startAnna("identity")
			g.erase()
			g.want(g.startAnna("identity"), pending, verification.NoMatch)
		},
	})
}

func TestAnErasureAndADeliveryAtOnceLeaveNothing(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	nodes := g.nodes(2)
	for round := range 10 {
		id := g.startAnna("identity")
		ref := fmt.Sprintf("verification:m-ref-%d", round)
		waits := g.webhook(passed, ref)
		waits.Event.Keys = []string{tokenOf(id), fmt.Sprintf("token:m-unheard-of-%d", round)}
		d := withKey(g.webhook(passed, ref), tokenOf(id))
		err := together(3, func(i int) error {
			if i == 0 {
				_, err := nodes[0].EraseSubject(t.Context(), shop, anna, "TICKET-7", operator)
				return err
			}
			_, err := nodes[1].Deliver(t.Context(), []*verification.Delivery{d, waits}[i-1])
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		g.gone(anna, ref, "m-unheard-of")
		if v := g.get(id); !v.State.Terminal() || v.EraseTime.IsZero() {
			t.Fatalf("it is %+v", v)
		}
		for _, delivery := range []*verification.Delivery{d, waits} {
			g.bare(delivery, delivery.Effect, id)
		}
		g.timeline(id)
	}
}

func TestNoEventMovesAnErasedVerification(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	rapid.Check(t, func(rt *rapid.T) {
		kinds := rapid.SliceOfN(rapid.SampledFrom(verification.EventKinds()), 1, 6).Draw(rt, "events")
		erasedAt := rapid.IntRange(0, len(kinds)-1).Draw(rt, "erased before")
		id := g.row(g.clock.Now().Add(grace))
		if _, err := g.db.Exec(context.Background(), `UPDATE verification SET subject = $2 WHERE id = $1`, id, anna); err != nil {
			rt.Fatal(err)
		}
		var then *verification.Verification
		for i, kind := range kinds {
			if i == erasedAt {
				e, err := g.EraseSubject(context.Background(), shop, anna, "TICKET-7", operator)
				if err != nil || e.Verifications != 1 || e.Deliveries != int64(i) {
					rt.Fatalf("the erasure is %+v (%v)", e, err)
				}
				if then, err = g.store.Get(context.Background(), shop, id); err != nil || !then.State.Terminal() {
					rt.Fatalf("it is %+v (%v)", then, err)
				}
			}
			g.clock.forward(time.Millisecond)
			got, err := g.Deliver(context.Background(), withID(g.webhook(kind), id.String()))
			if err != nil || then != nil && got != stale {
				rt.Fatalf("%s is %s (%v)", kind, got, err)
			}
		}
		now, err := g.store.Get(context.Background(), shop, id)
		if err != nil || now.State != then.State || now.Version != then.Version || !now.EraseTime.Equal(then.EraseTime) {
			rt.Fatalf("it was %+v and is %+v (%v)", then, now, err)
		}
	})
}
