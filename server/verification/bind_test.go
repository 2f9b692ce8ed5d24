package verification_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/verification"
)

// bind binds a delivery by hand for a reason that goes on record.
func (g *gateway) bind(d *verification.Delivery, id uuid.UUID) (*verification.Delivery, *verification.Verification, error) {
	return g.Bind(g.t.Context(), shop, d.ID, id, "TICKET-9", operator)
}

// waiting is a delivery that nobody can be matched to.
func (g *gateway) waiting(kind verification.EventKind, refs ...string) *verification.Delivery {
	g.t.Helper()
	d := g.webhook(kind, refs...)
	g.deliver(d, unmatched)
	return d
}

// bindRefused checks that a binding is refused with a reason, and changes and
// records nothing.
func (g *gateway) bindRefused(d *verification.Delivery, id uuid.UUID, kind verification.Kind, reason string) {
	g.t.Helper()
	effect, entries := g.delivery(d.ID).Effect, len(g.audited(d.ID))
	_, _, err := g.bind(d, id)
	wantReason(g.t, err, kind, reason)
	g.stored(d, effect)
	if n := len(g.audited(d.ID)); n != entries {
		g.t.Errorf("the audit log has %d entries, want %d", n, entries)
	}
}

func TestABinding(t *testing.T) {
	t.Parallel()
	sentences(t, map[string]func(g *gateway){
		"applies what waits, as the provider's word and the operator's match": func(g *gateway) {
			a, b := g.start("identity"), g.start("identity")
			d := g.waiting(passed, "verification:1")
			got, v, err := g.bind(d, a)
			if err != nil || got.Effect != applied || got.VerificationID != a || !got.ApplyTime.Equal(g.clock.Now()) || v.State != approved {
				g.t.Fatalf("they are %+v and %+v (%v)", got, v, err)
			}
			g.stored(d, applied)
			g.want(a, approved, verification.Bound)
			g.rung(a, verification.RungOperator, verification.Bound)
			timeline := g.timeline(a)
			if last := timeline[len(timeline)-1]; last.Reason != "TICKET-9" || last.DeliveryID != d.ID {
				g.t.Errorf("the last transition is %+v", last)
			}
			g.wantAudit(d.ID, verification.AuditBind, map[string]string{
				"reason": "TICKET-9", "verification_id": a.String(), "effect": "applied",
			})
			if woken := g.meter.version(a); woken != v.Version {
				g.t.Errorf("its watchers were woken for version %d, want %d", woken, v.Version)
			}
			g.want(b, pending, verification.NoMatch)
		},
		"is followed by what the provider sends next, and what waited with the same id": func(g *gateway) {
			a := g.start("identity")
			g.start("identity")
			first, second := g.waiting(reviewing, "verification:1"), g.waiting(passed, "verification:1")
			if _, _, err := g.bind(first, a); err != nil {
				g.t.Fatal(err)
			}
			g.stored(second, applied)
			g.want(a, approved, verification.Bound)
			g.deliver(g.webhook(verification.RevisedToRejected, "verification:1"), applied)
			g.want(a, declined, verification.Bound)
			g.rung(a, verification.RungBoundRef, verification.Bound)
		},
		"of a decision counts by when it arrived": func(g *gateway) {
			a := g.start("identity")
			g.start("identity")
			d := g.waiting(passed, "verification:1")
			g.clock.forward(lifetime + 2*grace)
			g.sweep()
			if _, v, err := g.bind(d, a); err != nil || v.State != approved {
				g.t.Errorf("it is %+v (%v)", v, err)
			}
		},
		"of a note keeps it": func(g *gateway) {
			a := g.start("identity")
			d := g.waiting(verification.Noted, "verification:1")
			if got, _, err := g.bind(d, a); err != nil || got.Effect != kept || got.VerificationID != a {
				g.t.Errorf("it is %+v (%v)", got, err)
			}
			g.noted(d, a, 2)
		},
		"settles what is alarming": func(g *gateway) {
			a := g.start("identity")
			d := withID(withKey(g.webhook(passed), "token:strange"), a.String())
			g.deliver(d, unmatched)
			if _, _, err := g.bind(d, a); err != nil {
				g.t.Fatal(err)
			}
			g.want(a, approved, verification.Bound)
		},
		"keeps the doubt of an earlier guess": func(g *gateway) {
			a := g.start("identity")
			g.deliver(g.webhook(reviewing, "verification:1"), applied)
			d := g.waiting(passed, "verification:2")
			if _, _, err := g.bind(d, a); err != nil {
				g.t.Fatal(err)
			}
			g.want(a, approved, verification.Inferred)
		},
		"of what a state does not take settles it all the same": func(g *gateway) {
			a := g.start("identity")
			g.start("identity")
			d := g.waiting(passed, "verification:1")
			g.cancel(a)
			got, v, err := g.bind(d, a)
			if err != nil || got.Effect != refused || v.State != canceled {
				g.t.Errorf("they are %+v and %+v (%v)", got, v, err)
			}
			g.wantAudit(d.ID, verification.AuditBind, map[string]string{
				"reason": "TICKET-9", "verification_id": a.String(), "effect": "refused",
			})
		},
	})
}

func TestABindingThatIsRefused(t *testing.T) {
	t.Parallel()
	sentences(t, map[string]func(g *gateway){
		"because the delivery does not wait": func(g *gateway) {
			a := g.start("identity")
			d := withKey(g.webhook(passed), tokenOf(a))
			g.deliver(d, applied)
			g.bindRefused(d, a, verification.KindRefused, "DELIVERY_SETTLED")
		},
		"because it was bound a moment ago": func(g *gateway) {
			a, b := g.start("identity"), g.start("identity")
			d := g.waiting(passed, "verification:1")
			if _, _, err := g.bind(d, a); err != nil {
				g.t.Fatal(err)
			}
			g.bindRefused(d, b, verification.KindRefused, "DELIVERY_SETTLED")
			g.bindRefused(d, a, verification.KindRefused, "DELIVERY_SETTLED")
		},
		"because its content was purged": func(g *gateway) {
			a := g.start("identity")
			g.start("identity")
			d := g.waiting(passed, "verification:1")
			if n, err := g.store.PurgeDeliveries(g.t.Context(), g.clock.Now(), 10); n != 1 || err != nil {
				g.t.Fatalf("%d were purged (%v)", n, err)
			}
			g.bindRefused(d, a, verification.KindRefused, "DELIVERY_PURGED")
		},
		"because the verification was erased": func(g *gateway) {
			a := g.startAnna("identity")
			g.start("identity")
			d := g.waiting(passed, "verification:1")
			g.erase()
			g.bindRefused(d, a, verification.KindRefused, "VERIFICATION_ERASED")
		},
		"because the verification is of another connection or product": func(g *gateway) {
			g.start("identity")
			elsewhere, age := g.start("elsewhere"), g.start("age")
			g.start("identity")
			d := g.waiting(passed, "verification:1")
			for _, id := range []uuid.UUID{elsewhere, age} {
				g.bindRefused(d, id, verification.KindInvalid, "INVALID_FIELD")
				if _, _, err := g.bind(d, id); !strings.HasPrefix(err.Error(), "verification_id: ") {
					g.t.Errorf("the operator is told %q", err)
				}
				g.want(id, pending, verification.NoMatch)
			}
		},
		"because the provider's id belongs to another": func(g *gateway) {
			a, b := g.start("identity"), g.start("identity")
			g.deliver(withKey(g.webhook(reviewing, "verification:1"), tokenOf(a)), applied)
			d := withKey(g.webhook(passed, "verification:1"), "token:unheard-of")
			d.Event.VerificationID = b.String()
			g.deliver(d, unmatched)
			g.bindRefused(d, b, verification.KindRefused, "PROVIDER_REF_TAKEN")
			g.want(b, pending, verification.NoMatch)
			if v := g.get(b); !v.BindTime.IsZero() {
				g.t.Error("the refused binding left a trace")
			}
		},
		"because the reason is missing or names the subject": func(g *gateway) {
			a := g.startAnna("identity")
			g.start("identity")
			d := g.waiting(passed, "verification:1")
			for _, reason := range []string{"", "she is " + anna} {
				_, _, err := g.Bind(g.t.Context(), shop, d.ID, a, reason, operator)
				wantKind(g.t, err, verification.KindInvalid)
				if !strings.HasPrefix(err.Error(), "reason: ") {
					g.t.Errorf("the operator is told %q", err)
				}
			}
			g.stored(d, unmatched)
		},
		"because one of the two is another scope's, which looks like nothing": func(g *gateway) {
			a := g.start("identity")
			g.start("identity")
			d := g.waiting(passed, "verification:1")
			nothing := uuid.Must(uuid.NewV7())
			for _, scope := range []verification.Scope{
				{Project: "shop", Environment: verification.Live}, {Project: "rival", Environment: verification.Test},
			} {
				_, _, err := g.Bind(g.t.Context(), scope, d.ID, a, "TICKET-9", operator)
				if !errors.Is(err, verification.ErrDeliveryNotFound) {
					g.t.Errorf("%v is told %v", scope, err)
				}
			}
			_, _, err := g.Bind(g.t.Context(), shop, nothing, a, "TICKET-9", operator)
			if !errors.Is(err, verification.ErrDeliveryNotFound) {
				g.t.Errorf("of no delivery it says %v", err)
			}
			foreign, err := g.Start(g.t.Context(), verification.Scope{Project: "shop", Environment: verification.Live},
				verification.StartRequest{Flow: "identity", Subject: "u1"})
			if err != nil {
				g.t.Fatal(err)
			}
			for _, id := range []uuid.UUID{nothing, foreign.ID} {
				if _, _, err := g.bind(d, id); !errors.Is(err, verification.ErrNotFound) {
					g.t.Errorf("of a verification that is not there it says %v", err)
				}
			}
			g.stored(d, unmatched)
			g.unaudited(d.ID)
		},
		"because it cannot be recorded": func(g *gateway) {
			a := g.start("identity")
			g.start("identity")
			d := g.waiting(passed, "verification:1")
			_, _, err := g.unrecorded().Bind(g.t.Context(), shop, d.ID, a, "TICKET-9", operator)
			if !errors.Is(err, errUnrecorded) {
				g.t.Errorf("the error is %v", err)
			}
			g.stored(d, unmatched)
			g.want(a, pending, verification.NoMatch)
			g.deliver(g.webhook(passed, "verification:1"), unmatched)
		},
	})
}

func TestOfTwoBindingsOneWins(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	nodes := g.nodes(2)
	for round := range 10 {
		ids := []uuid.UUID{g.start("identity"), g.start("identity")}
		d := g.waiting(passed, fmt.Sprintf("verification:%d", round))
		var mu sync.Mutex
		won := uuid.Nil
		err := together(len(ids), func(i int) error {
			_, _, err := nodes[i].Bind(t.Context(), shop, d.ID, ids[i], "TICKET-9", operator)
			if verification.KindOf(err) == verification.KindRefused {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			won = ids[i]
			return err
		})
		if err != nil || won == uuid.Nil {
			t.Fatalf("the winner is %s (%v)", won, err)
		}
		for _, id := range ids {
			if state := g.get(id).State; (state == approved) != (id == won) {
				t.Errorf("%s is %s, the winner is %s", id, state, won)
			}
		}
		if n := len(g.audited(d.ID)); n != 1 {
			t.Errorf("the audit log has %d entries, want one", n)
		}
	}
}

// TestABindingAndAProofNeverShareAProviderID lets an operator and a signed key
// say different things about one run at the same moment.
func TestABindingAndAProofNeverShareAProviderID(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	nodes := g.nodes(2)
	for round := range 10 {
		byHand, byProof := g.start("identity"), g.start("identity")
		ref := fmt.Sprintf("verification:%d", round)
		d := g.waiting(passed, ref)
		proof := withKey(g.webhook(passed, ref), tokenOf(byProof))
		err := together(2, func(i int) error {
			var err error
			if i == 0 {
				_, _, err = nodes[0].Bind(t.Context(), shop, d.ID, byHand, "TICKET-9", operator)
			} else {
				_, err = nodes[1].Deliver(t.Context(), proof)
			}
			if kind := verification.KindOf(err); err != nil && kind != verification.KindRefused && kind != verification.KindRaced {
				return err
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		var owner uuid.UUID
		if err := g.db.QueryRow(t.Context(), `SELECT verification_id FROM provider_ref WHERE ref = $1`, ref).Scan(&owner); err != nil {
			t.Fatal(err)
		}
		for _, id := range []uuid.UUID{byHand, byProof} {
			if state := g.get(id).State; (state == approved) != (id == owner) {
				t.Errorf("%s is %s, the provider's id is %s's", id, state, owner)
			}
		}
		if bound := owner == byHand; bound != (len(g.audited(d.ID)) == 1) {
			t.Errorf("bound: %t, with %d entries in the audit log", bound, len(g.audited(d.ID)))
		}
		g.clock.forward(time.Second)
	}
}
