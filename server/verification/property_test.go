package verification_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/verigate/verigate/server/verification"
)

// The rules again, told the way a person would tell them and not as a table.

var (
	// progress orders the open states; an event on the way never leads back.
	progress = []verification.State{created, pending, processing, inReview}
	reaches  = map[verification.EventKind]verification.State{
		verification.SessionOpened: pending, verification.PersonReturned: processing,
		verification.PersonSubmitted: processing, verification.ReviewStarted: inReview,
	}
	decides = map[verification.EventKind]verification.State{
		passed: approved, verification.RevisedToPassed: approved,
		rejected: declined, verification.RevisedToRejected: declined,
	}
	ends = map[verification.EventKind]verification.State{
		verification.LifetimeEnded: expired, verification.CancelRequested: canceled, verification.ProcessingFailed: failed,
	}
)

func revises(e verification.EventKind) bool {
	return e == verification.RevisedToPassed || e == verification.RevisedToRejected
}

// prescribed says what the rules make of an event.
func prescribed(from verification.State, e verification.EventKind, inGrace bool) (verification.State, verification.Effect) {
	if e == verification.Noted {
		return from, verification.Kept
	}
	rank := slices.Index(progress, from)
	open := rank >= 0
	if to, ok := decides[e]; ok {
		switch {
		case open, from == expired && inGrace:
			return to, applied
		case from == to:
			return from, duplicate
		case from == expired:
			return from, stale
		case revises(e) && (from == approved || from == declined):
			return to, applied
		}
		return from, refused
	}
	if to, ok := ends[e]; ok {
		switch {
		case open:
			return to, applied
		case from == to:
			return from, duplicate
		case e == verification.LifetimeEnded:
			return from, stale
		}
		return from, refused
	}
	to, back := reaches[e], e == verification.ResubmissionRequested
	switch {
	case !open, back && from == created:
		return from, stale
	case back && from == pending, to == from:
		return from, duplicate
	case back:
		return pending, applied
	case slices.Index(progress, to) > rank:
		return to, applied
	}
	return from, stale
}

// possibleEnds says where a verification may stand when all events have come,
// in whatever order. Empty means that it is still open.
func possibleEnds(kinds []verification.EventKind) map[verification.State]bool {
	has := func(k verification.EventKind) bool { return slices.Contains(kinds, k) }
	possible := map[verification.State]bool{}
	toPassed, toRejected := has(verification.RevisedToPassed), has(verification.RevisedToRejected)
	// A revision overrules any decision; between two, the last one counts.
	if toPassed || (!toRejected && has(passed)) {
		possible[approved] = true
	}
	if toRejected || (!toPassed && has(rejected)) {
		possible[declined] = true
	}
	// Expiry yields to any decision here: all come within the grace period.
	if has(verification.LifetimeEnded) && len(possible) == 0 {
		possible[expired] = true
	}
	for kind, state := range map[verification.EventKind]verification.State{
		verification.CancelRequested: canceled, verification.ProcessingFailed: failed,
	} {
		if has(kind) {
			possible[state] = true
		}
	}
	return possible
}

func TestAnySequenceOfEventsEndsWhereTheRulesSay(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	rapid.Check(t, func(rt *rapid.T) {
		graceLeft := time.Duration(rapid.IntRange(0, 20).Draw(rt, "seconds until the grace period ends")) * time.Second
		kinds := rapid.SliceOfN(rapid.SampledFrom(verification.EventKinds()), 1, 12).Draw(rt, "events")
		graceUntil := g.clock.Now().Add(graceLeft)
		id := g.row(graceUntil)
		state, version := created, int64(1)
		for _, kind := range kinds {
			g.clock.forward(time.Second)
			next, want := prescribed(state, kind, g.clock.Now().Before(graceUntil))
			got, err := g.Deliver(context.Background(), withID(g.webhook(kind), id.String()))
			if err != nil || got != want {
				rt.Fatalf("%s on %s is %s (%v), the rules say %s", kind, state, got, err, want)
			}
			if want == applied {
				version++
			}
			state = next
		}
		v, err := g.store.Get(context.Background(), shop, id)
		if err != nil || v.State != state || v.Version != version {
			rt.Fatalf("it ends %+v (%v), the rules say %s at version %d", v, err, state, version)
		}
	})
}

func TestAnyInterleavingOfEventsEndsWhereTheRulesSay(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	nodes := g.nodes(3)
	rapid.Check(t, func(rt *rapid.T) {
		kinds := rapid.SliceOfN(rapid.SampledFrom(verification.EventKinds()), 2, 8).Draw(rt, "events")
		repeats := rapid.SliceOfN(rapid.IntRange(0, len(kinds)-1), 0, 4).Draw(rt, "repeated")
		id := g.row(g.clock.Now().Add(grace))
		deliveries := make([]*verification.Delivery, 0, len(kinds)+len(repeats))
		for _, kind := range kinds {
			deliveries = append(deliveries, withID(g.webhook(kind), id.String()))
		}
		for _, i := range repeats {
			repeat := *deliveries[i]
			repeat.ID = uuid.Must(uuid.NewV7())
			deliveries = append(deliveries, &repeat)
		}
		deliveries = rapid.Permutation(deliveries).Draw(rt, "order")
		err := together(len(nodes), func(n int) error {
			for i := n; i < len(deliveries); i += len(nodes) {
				if _, err := nodes[n].Deliver(context.Background(), deliveries[i]); err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil {
			err = g.accountsFor(id, kinds, deliveries)
		}
		if err != nil {
			rt.Fatal(err)
		}
	})
}

// accountsFor checks one verification against all deliveries about it.
func (g *gateway) accountsFor(id uuid.UUID, kinds []verification.EventKind, deliveries []*verification.Delivery) error {
	ctx := context.Background()
	v, err := g.store.Get(ctx, shop, id)
	if err != nil {
		return err
	}
	timeline, err := g.store.Transitions(ctx, shop, id)
	if err != nil {
		return err
	}
	if err := errors.Join(unbroken(timeline, v), followsTheRules(timeline)); err != nil {
		return err
	}
	possible := possibleEnds(kinds)
	if possible[v.State] != (len(possible) > 0) || len(possible) == 0 && v.State.Terminal() {
		return fmt.Errorf("it ends %s, the rules allow %v", v.State, possible)
	}
	causes := map[uuid.UUID]bool{}
	for _, tr := range timeline[1:] {
		causes[tr.DeliveryID] = true
	}
	settled := map[string]bool{}
	for _, d := range deliveries {
		kept, err := g.store.Delivery(ctx, shop, d.ID)
		switch {
		case err != nil:
			return err
		case kept.Effect != d.Effect || (kept.Effect == applied) != causes[d.ID]:
			return fmt.Errorf("a %s is stored as %s, was answered %s, and caused a transition: %t", d.Event.Kind, kept.Effect, d.Effect, causes[d.ID])
		case kept.VerificationID == id:
			settled[kept.DedupeKey] = true
			// A repeated decision that contradicts is kept with it, and moves nothing.
			repeat := kept.Effect == duplicate && decides[d.Event.Kind] != "" && repeated(deliveries, d)
			if !repeat && !excused(timeline, kept) {
				return fmt.Errorf("a %s was %s, which no state on the way calls for", kept.Event.Kind, kept.Effect)
			}
		case kept.Effect != duplicate || kept.VerificationID != uuid.Nil:
			return fmt.Errorf("a %s is %s and belongs to %s", kept.Event.Kind, kept.Effect, kept.VerificationID)
		}
	}
	if len(settled) != len(kinds) || len(causes) != len(timeline)-1 {
		return fmt.Errorf("%d deliveries met the verification, want %d; %d transitions have %d causes", len(settled), len(kinds), len(timeline)-1, len(causes))
	}
	return nil
}

// repeated reports whether another delivery has the same dedupe key.
func repeated(deliveries []*verification.Delivery, d *verification.Delivery) bool {
	return slices.ContainsFunc(deliveries, func(o *verification.Delivery) bool { return o.ID != d.ID && o.DedupeKey == d.DedupeKey })
}

// followsTheRules replays a timeline and counts how often it ended.
func followsTheRules(timeline []*verification.Transition) error {
	endings := 0
	for _, tr := range timeline[1:] {
		if to, effect := prescribed(tr.From, tr.Event, true); to != tr.To || effect != applied {
			return fmt.Errorf("%s led from %s to %s, the rules say %s (%s)", tr.Event, tr.From, tr.To, to, effect)
		}
		if tr.To.Terminal() && !tr.From.Terminal() {
			endings++
		}
		if tr.From.Terminal() && tr.From != expired && !revises(tr.Event) {
			return fmt.Errorf("%s left the terminal state %s", tr.Event, tr.From)
		}
	}
	if endings > 1 {
		return fmt.Errorf("it ended %d times", endings)
	}
	return nil
}

// excused reports whether a state on the way explains a delivery's effect.
func excused(timeline []*verification.Transition, d *verification.Delivery) bool {
	return slices.ContainsFunc(timeline, func(tr *verification.Transition) bool {
		_, effect := prescribed(tr.To, d.Event.Kind, true)
		return effect == d.Effect
	})
}
