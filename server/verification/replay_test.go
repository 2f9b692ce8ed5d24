package verification_test

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/verification"
)

// reading is what an adapter makes of a delivery today.
func reading(event verification.Event) func(*verification.Delivery) error {
	return func(d *verification.Delivery) error {
		d.ProviderEvent, d.ProviderStatus, d.Event = "verification.decided", "PASS", event
		d.DedupeKey = "decided:" + d.ID.String()
		return nil
	}
}

func (g *gateway) replay(d *verification.Delivery, read func(*verification.Delivery) error) (*verification.Delivery, error) {
	return g.Replay(g.t.Context(), shop, d.ID, read, operator)
}

// unread is a delivery that the adapter could not read when it came.
func (g *gateway) unread() *verification.Delivery {
	g.t.Helper()
	d := g.webhook("")
	d.Effect, d.ProviderEvent, d.Event = verification.Unreadable, "", verification.Event{}
	g.deliver(d, verification.Unreadable)
	return d
}

// named is an event of the ordinary product that names its session.
func named(kind verification.EventKind, id uuid.UUID, refs ...string) verification.Event {
	return verification.Event{Kind: kind, Product: "identity", Keys: []string{tokenOf(id)}, Refs: refs, ReasonCodes: []string{"document_valid"}}
}

func replayed(before, after verification.Effect) map[string]string {
	return map[string]string{"before": string(before), "after": string(after)}
}

// replayRefused checks that a replay is refused and changes and records nothing.
func (g *gateway) replayRefused(d *verification.Delivery, reason string) {
	g.t.Helper()
	before, entries := g.delivery(d.ID), len(g.audited(d.ID))
	_, err := g.replay(d, func(*verification.Delivery) error {
		g.t.Error("it was read")
		return nil
	})
	wantReason(g.t, err, verification.KindRefused, reason)
	if after := g.delivery(d.ID); after.Effect != before.Effect || !after.ApplyTime.Equal(before.ApplyTime) {
		g.t.Errorf("it was %+v and is %+v", before, after)
	}
	if n := len(g.audited(d.ID)); n != entries {
		g.t.Errorf("the audit log has %d entries, want %d", n, entries)
	}
}

func TestAReplay(t *testing.T) {
	t.Parallel()
	sentences(t, map[string]func(g *gateway){
		"applies what could not be read before, and stores what it says": func(g *gateway) {
			a, d := g.start("identity"), g.unread()
			got, err := g.replay(d, func(d *verification.Delivery) error {
				if string(d.Body) != `{}` || !maps.Equal(d.Headers, map[string]string{"Content-Type": "application/json"}) {
					g.t.Errorf("it is opened as %+v", d)
				}
				return reading(named(passed, a, "verification:1"))(d)
			})
			if err != nil || got.Effect != applied || got.VerificationID != a || got.Body != nil || got.Headers != nil {
				g.t.Fatalf("it is %+v (%v)", got, err)
			}
			g.want(a, approved, verification.Exact)
			g.rung(a, verification.RungPayloadKey, verification.Exact)
			stored := g.delivery(d.ID)
			if stored.Effect != applied || stored.VerificationID != a || stored.ProviderStatus != "PASS" || stored.ProviderEvent != "verification.decided" ||
				stored.Event.Kind != passed || stored.Event.Product != "identity" || !slices.Equal(stored.Event.Refs, []string{"verification:1"}) ||
				!slices.Equal(stored.Event.ReasonCodes, []string{"document_valid"}) || string(stored.Body) != `{}` ||
				!stored.ReceiveTime.Equal(d.ReceiveTime) || !stored.ApplyTime.Equal(g.clock.Now()) {
				g.t.Errorf("it is stored as %+v", stored)
			}
			g.wantAudit(d.ID, verification.AuditReplay, replayed(verification.Unreadable, applied))
			if woken := g.meter.version(a); woken != 3 {
				g.t.Errorf("its watchers were woken for version %d, want 3", woken)
			}
		},
		"is judged as of its arrival": func(g *gateway) {
			a, d := g.start("identity"), g.unread()
			g.clock.forward(lifetime + 2*grace)
			g.sweep()
			if _, err := g.replay(d, reading(named(passed, a))); err != nil {
				g.t.Fatal(err)
			}
			g.want(a, approved, verification.Exact)
		},
		"teaches what others wait for": func(g *gateway) {
			a := g.start("identity")
			g.start("identity")
			d, waits := g.unread(), g.waiting(passed, "verification:1")
			if _, err := g.replay(d, reading(named(reviewing, a, "verification:1"))); err != nil {
				g.t.Fatal(err)
			}
			g.stored(waits, applied)
			g.want(a, approved, verification.Exact)
		},
	})
}

func TestWhatAReplayMakesOfADelivery(t *testing.T) {
	t.Parallel()
	sentences(t, map[string]func(g *gateway){
		"guesses only what a waiting delivery may": func(g *gateway) {
			a, d := g.start("identity"), g.unread()
			event := verification.Event{Kind: passed, Product: "identity", Refs: []string{"verification:1"}}
			if got, err := g.replay(d, reading(event)); err != nil || got.Effect != unmatched || got.VerificationID != uuid.Nil {
				g.t.Fatalf("it is %+v (%v)", got, err)
			}
			g.want(a, pending, verification.NoMatch)
			g.returns(a)
			g.stored(d, applied)
			g.want(a, approved, verification.Inferred)
		},
		"of what waits still waits, and is told once": func(g *gateway) {
			g.start("identity")
			g.start("identity")
			d := g.waiting(passed, "verification:1")
			parked := g.meter.parkings()
			got, err := g.replay(d, reading(d.Event))
			if err != nil || got.Effect != unmatched || g.meter.parkings() != parked {
				g.t.Errorf("it is %+v (%v), counted %d times more", got, err, g.meter.parkings()-parked)
			}
			g.wantAudit(d.ID, verification.AuditReplay, replayed(unmatched, unmatched))
		},
		"may turn a note into a decision": func(g *gateway) {
			a := g.start("identity")
			d := withKey(g.webhook(verification.Noted), tokenOf(a))
			g.deliver(d, kept)
			if _, err := g.replay(d, reading(named(passed, a))); err != nil {
				g.t.Fatal(err)
			}
			g.want(a, approved, verification.Exact)
		},
		"of what is still unreadable says so": func(g *gateway) {
			d := g.unread()
			got, err := g.replay(d, func(d *verification.Delivery) error {
				d.Effect, d.DedupeKey, d.Event = verification.Unreadable, "sha256:1", verification.Event{}
				return nil
			})
			if err != nil || got.Effect != verification.Unreadable {
				g.t.Errorf("it is %+v (%v)", got, err)
			}
			g.wantAudit(d.ID, verification.AuditReplay, replayed(verification.Unreadable, verification.Unreadable))
		},
		"keeps with its verification what is no event any more": func(g *gateway) {
			a := g.start("identity")
			d := withKey(g.webhook(verification.Noted), tokenOf(a))
			g.deliver(d, kept)
			got, err := g.replay(d, func(d *verification.Delivery) error {
				d.Effect, d.DedupeKey, d.Event = verification.Unknown, "unknown:1", verification.Event{}
				return nil
			})
			if err != nil || got.Effect != verification.Unknown || got.VerificationID != a {
				g.t.Errorf("it is %+v (%v)", got, err)
			}
		},
	})
}

func TestAReplayCountsOnceAndKeepsNothingErased(t *testing.T) {
	t.Parallel()
	sentences(t, map[string]func(g *gateway){
		"when the provider sent it again meanwhile": func(g *gateway) {
			a, d := g.start("identity"), g.unread()
			g.deliver(withKey(g.webhook(passed), tokenOf(a)), applied)
			again := withKey(g.webhook(verification.RevisedToRejected), tokenOf(a))
			again.DedupeKey = "decided:" + d.ID.String()
			g.deliver(again, applied)
			if _, err := g.override(a, approved); err != nil {
				g.t.Fatal(err)
			}
			got, err := g.replay(d, reading(named(verification.RevisedToRejected, a)))
			if err != nil || got.Effect != duplicate || got.VerificationID != uuid.Nil {
				g.t.Errorf("it is %+v (%v)", got, err)
			}
			g.bare(d, duplicate, uuid.Nil)
			g.want(a, approved, verification.Exact)
		},
		"before the provider's next attempt, which is a duplicate then": func(g *gateway) {
			a, d := g.start("identity"), g.unread()
			if _, err := g.replay(d, reading(named(passed, a))); err != nil {
				g.t.Fatal(err)
			}
			again := withKey(g.webhook(passed), tokenOf(a))
			again.DedupeKey = "decided:" + d.ID.String()
			g.deliver(again, duplicate)
			g.bare(again, duplicate, uuid.Nil)
		},
		"after it was applied": func(g *gateway) {
			a := g.start("identity")
			g.start("identity")
			d := g.waiting(passed, "verification:1")
			if _, err := g.replay(d, reading(named(passed, a))); err != nil {
				g.t.Fatal(err)
			}
			g.replayRefused(d, "DELIVERY_APPLIED")
		},
		"and keeps nothing of an erased person": func(g *gateway) {
			a, d := g.startAnna("identity"), g.unread()
			g.erase()
			got, err := g.replay(d, reading(named(passed, a, "verification:m-ref")))
			if err != nil || got.Effect != stale || !got.Emptied {
				g.t.Errorf("it is %+v (%v)", got, err)
			}
			g.bare(d, stale, a)
			g.gone("m-ref")
		},
		"and keeps nothing of an erased person for whom it waited": func(g *gateway) {
			a := g.startAnna("identity")
			g.start("identity")
			d := g.waiting(passed, "verification:m-ref")
			g.erase()
			if _, err := g.replay(d, reading(named(passed, a, "verification:m-ref"))); err != nil {
				g.t.Fatal(err)
			}
			g.bare(d, stale, a)
			g.gone("m-ref")
		},
	})
}

// parkings is how many deliveries were counted as parked.
func (m *meter) parkings() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.parked
}

func TestAReplayThatIsRefused(t *testing.T) {
	t.Parallel()
	sentences(t, map[string]func(g *gateway){
		"because it was applied": func(g *gateway) {
			a := g.start("identity")
			d := withKey(g.webhook(passed), tokenOf(a))
			g.deliver(d, applied)
			g.replayRefused(d, "DELIVERY_APPLIED")
		},
		"because it repeats another": func(g *gateway) {
			a := g.start("identity")
			g.deliver(withKey(g.webhook(passed), tokenOf(a)), applied)
			d := withKey(g.webhook(passed), tokenOf(a))
			g.deliver(d, duplicate)
			g.replayRefused(d, "DELIVERY_DUPLICATE")
		},
		"because its content was purged": func(g *gateway) {
			d := g.unread()
			if n, err := g.store.PurgeDeliveries(g.t.Context(), g.clock.Now(), 10); n != 1 || err != nil {
				g.t.Fatalf("%d were purged (%v)", n, err)
			}
			g.replayRefused(d, "DELIVERY_PURGED")
		},
		"because its reader refuses": func(g *gateway) {
			d := g.unread()
			gone := verification.NewError(verification.KindRefused, "CONNECTION_GONE", "the connection human is gone")
			_, err := g.replay(d, func(d *verification.Delivery) error {
				d.Effect, d.Event.Kind = "", passed
				return gone
			})
			if !errors.Is(err, gone) {
				g.t.Errorf("the error is %v", err)
			}
			g.stored(d, verification.Unreadable)
			g.unaudited(d.ID)
		},
		"because it is another scope's, which looks like nothing": func(g *gateway) {
			a, d := g.start("identity"), g.unread()
			for _, at := range []verification.Place{
				{Scope: verification.Scope{Project: "shop", Environment: verification.Live}, ID: d.ID},
				{Scope: verification.Scope{Project: "rival", Environment: verification.Test}, ID: d.ID},
				{Scope: shop, ID: uuid.Must(uuid.NewV7())},
			} {
				_, err := g.Replay(g.t.Context(), at.Scope, at.ID, reading(named(passed, a)), operator)
				if !errors.Is(err, verification.ErrDeliveryNotFound) {
					g.t.Errorf("%v is told %v", at, err)
				}
			}
			g.stored(d, verification.Unreadable)
		},
		"because it cannot be recorded": func(g *gateway) {
			a, d := g.start("identity"), g.unread()
			_, err := g.unrecorded().Replay(g.t.Context(), shop, d.ID, reading(named(passed, a)), operator)
			if !errors.Is(err, errUnrecorded) {
				g.t.Errorf("the error is %v", err)
			}
			g.stored(d, verification.Unreadable)
			g.want(a, pending, verification.NoMatch)
		},
	})
}

func TestAReplayAndAPurgeWaitForEachOther(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	a, d := g.start("identity"), g.unread()
	later := g.clock.Now().Add(time.Hour)
	purge := func(want int64) {
		t.Helper()
		if n, err := g.store.PurgeDeliveries(t.Context(), later, 10); n != want || err != nil {
			t.Errorf("%d were purged (%v), want %d", n, err, want)
		}
	}
	_, err := g.replay(d, func(d *verification.Delivery) error {
		purge(0) // it is being read
		return reading(named(passed, a))(d)
	})
	if err != nil {
		t.Fatal(err)
	}
	g.want(a, approved, verification.Exact)
	purge(1)
	g.bare(d, applied, a)
}

func TestOfManyReplaysOneApplies(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	nodes := g.nodes(2)
	a, d := g.start("identity"), g.unread()
	err := together(crowd, func(i int) error {
		_, err := nodes[i%len(nodes)].Replay(t.Context(), shop, d.ID, reading(named(passed, a)), operator)
		if verification.KindOf(err) == verification.KindRefused {
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if timeline := g.timeline(a); len(timeline) != 3 {
		t.Errorf("%d transitions, want 3", len(timeline))
	}
	g.wantAudit(d.ID, verification.AuditReplay, replayed(verification.Unreadable, applied))
}
