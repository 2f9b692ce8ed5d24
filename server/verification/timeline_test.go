package verification_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/verification"
)

// told says a timeline in one word for each entry: what happened, and the state
// that it led to or what it did.
func (g *gateway) told(id uuid.UUID) []string {
	g.t.Helper()
	timeline, err := g.Timeline(g.t.Context(), shop, id)
	if err != nil {
		g.t.Fatal(err)
	}
	words := make([]string, 0, len(timeline.Entries))
	for _, e := range timeline.Entries {
		switch {
		case (e.Transition == nil) == (e.Delivery == nil):
			g.t.Fatalf("the entry is %+v", e)
		case e.Transition != nil:
			words = append(words, fmt.Sprintf("%s>%s", e.Transition.Event, e.Transition.To))
		case e.Delivery.Body != nil || e.Delivery.Headers != nil:
			g.t.Errorf("the entry shows what is in the delivery: %+v", e.Delivery)
		default:
			words = append(words, fmt.Sprintf("%s:%s", e.Delivery.Event.Kind, e.Delivery.Effect))
		}
	}
	return words
}

func TestATimeline(t *testing.T) {
	t.Parallel()
	sentences(t, map[string]func(g *gateway){
		"tells every transition, and every delivery that moved nothing, oldest first": func(g *gateway) {
			a, b := g.start("identity"), g.start("identity")
			for _, said := range []struct {
				kind   verification.EventKind
				effect verification.Effect
			}{
				{verification.Noted, kept}, {reviewing, applied}, {verification.PersonSubmitted, stale}, {reviewing, duplicate},
				{passed, applied}, {rejected, refused}, {verification.RevisedToRejected, applied},
			} {
				g.deliver(withKey(g.webhook(said.kind), tokenOf(a)), said.effect)
			}
			g.deliver(withKey(g.webhook(passed), tokenOf(b)), applied)
			g.waiting(passed, "verification:of-nobody")
			want := []string{
				"started>created", "session_opened>pending", "noted:noted", "review_started>in_review", "person_submitted:stale",
				"review_started:duplicate", "passed>approved", "rejected:refused", "revised_to_rejected>declined",
			}
			if got := g.told(a); !slices.Equal(got, want) {
				g.t.Errorf("it tells\n%v, want\n%v", got, want)
			}
		},
		"has the last 500 entries": func(g *gateway) {
			a := g.start("identity")
			_, err := g.db.Exec(g.t.Context(), `INSERT INTO delivery (id, project, environment, connection, receive_time, headers, body, dedupe_key, event, effect, verification_id, apply_time)
				SELECT gen_random_uuid(), 'shop', 'test', 'human', at, '{}', '', 'k' || i, 'passed', 'stale', $1, at
				FROM generate_series(1, 700) i, LATERAL (SELECT $2::timestamptz + i * interval '1 second' AS at) t`, a, g.clock.Now())
			if err != nil {
				g.t.Fatal(err)
			}
			g.clock.forward(350*time.Second + time.Millisecond)
			g.deliver(withKey(g.webhook(passed), tokenOf(a)), applied)
			got := g.told(a)
			if len(got) != 500 || got[149] != "passed>approved" || got[0] != "passed:stale" || got[499] != "passed:stale" {
				g.t.Errorf("it has %d entries; the decision is number %d", len(got), slices.Index(got, "passed>approved"))
			}
		},
		"keeps transitions in order when clocks disagree": func(g *gateway) {
			a := g.start("identity")
			g.clock.forward(-time.Minute)
			g.deliver(withKey(g.webhook(reviewing), tokenOf(a)), applied)
			g.clock.forward(time.Minute)
			g.deliver(withKey(g.webhook(passed), tokenOf(a)), applied)
			want := []string{"started>created", "session_opened>pending", "review_started>in_review", "passed>approved"}
			if got := g.told(a); !slices.Equal(got, want) {
				g.t.Errorf("it tells %v, want %v", got, want)
			}
		},
		"of another scope's looks like one of nothing": func(g *gateway) {
			a := g.start("identity")
			for _, at := range []verification.Place{
				{Scope: verification.Scope{Project: "shop", Environment: verification.Live}, ID: a},
				{Scope: verification.Scope{Project: "rival", Environment: verification.Test}, ID: a},
				{Scope: shop, ID: uuid.Must(uuid.NewV7())},
			} {
				if _, err := g.Timeline(g.t.Context(), at.Scope, at.ID); !errors.Is(err, verification.ErrNotFound) {
					g.t.Errorf("%v is told %v", at, err)
				}
			}
		},
	})
}

func TestALookIntoADelivery(t *testing.T) {
	t.Parallel()
	sentences(t, map[string]func(g *gateway){
		"shows what the provider sent, and is on record once": func(g *gateway) {
			d := g.waiting(passed, "verification:1")
			got, err := g.OpenDelivery(g.t.Context(), shop, d.ID, operator)
			if err != nil || string(got.Body) != `{}` || got.Headers["Content-Type"] != "application/json" {
				g.t.Fatalf("it shows %+v (%v)", got, err)
			}
			g.wantAudit(d.ID, verification.AuditRead, nil)
		},
		"shows nothing that cannot be put on record": func(g *gateway) {
			d := g.waiting(passed, "verification:1")
			got, err := g.unrecorded().OpenDelivery(g.t.Context(), shop, d.ID, operator)
			if !errors.Is(err, errUnrecorded) || got != nil {
				g.t.Errorf("it shows %+v (%v)", got, err)
			}
		},
		"finds a purged one empty, and leaves no record": func(g *gateway) {
			d := g.waiting(passed, "verification:1")
			if n, err := g.store.PurgeDeliveries(g.t.Context(), g.clock.Now(), 10); n != 1 || err != nil {
				g.t.Fatalf("%d were purged (%v)", n, err)
			}
			got, err := g.OpenDelivery(g.t.Context(), shop, d.ID, operator)
			if err != nil || !got.Emptied || got.Body != nil {
				g.t.Errorf("it shows %+v (%v)", got, err)
			}
			g.unaudited(d.ID)
		},
		"is not needed to see what it did": func(g *gateway) {
			d := g.waiting(passed, "verification:1")
			got, err := g.Delivery(g.t.Context(), shop, d.ID)
			if err != nil || got.Effect != unmatched || got.Body != nil || got.Headers != nil || got.Event.Refs[0] != "verification:1" {
				g.t.Errorf("it shows %+v (%v)", got, err)
			}
			list, err := g.Deliveries(g.t.Context(), verification.DeliveryQuery{Scope: shop, Limit: 10})
			if err != nil || len(list) != 1 || list[0].ID != d.ID || list[0].Body != nil {
				g.t.Errorf("the list has %+v (%v)", list, err)
			}
			g.unaudited(d.ID)
		},
		"of another scope's looks like one of nothing": func(g *gateway) {
			d := g.waiting(passed, "verification:1")
			for _, at := range []verification.Place{
				{Scope: verification.Scope{Project: "shop", Environment: verification.Live}, ID: d.ID},
				{Scope: verification.Scope{Project: "rival", Environment: verification.Test}, ID: d.ID},
				{Scope: shop, ID: uuid.Must(uuid.NewV7())},
			} {
				_, err := g.Delivery(g.t.Context(), at.Scope, at.ID)
				_, opened := g.OpenDelivery(g.t.Context(), at.Scope, at.ID, operator)
				if !errors.Is(err, verification.ErrDeliveryNotFound) || !errors.Is(opened, verification.ErrDeliveryNotFound) {
					g.t.Errorf("%v is told %v and %v", at, err, opened)
				}
			}
			g.unaudited(d.ID)
		},
	})
}
