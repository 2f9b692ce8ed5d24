package verification_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/verification"
)

const (
	revisedToPassed   = verification.RevisedToPassed
	revisedToRejected = verification.RevisedToRejected
)

// secondThoughts lets a reviewer decline, approve and decline again with the same
// words, and returns the last delivery.
func (g *gateway) secondThoughts(id uuid.UUID) *verification.Delivery {
	g.t.Helper()
	say := func(kind verification.EventKind, key string, want verification.Effect) *verification.Delivery {
		d := g.ofPolled(id, kind)
		d.DedupeKey = id.String() + key
		g.deliver(d, want)
		return d
	}
	say(revisedToRejected, "D", applied)
	say(revisedToPassed, "A", applied)
	g.clock.forward(time.Hour)
	again := say(revisedToRejected, "D", duplicate)
	g.want(id, approved, verification.Exact)
	return again
}

func TestARepeatThatContradicts(t *testing.T) {
	t.Parallel()
	sentences(t, map[string]func(g *gateway){
		"is kept, and the provider's answer decides": func(g *gateway) {
			id := g.start("polled")
			d := g.secondThoughts(id)
			if kept := g.delivery(d.ID); kept.Emptied || kept.VerificationID != id {
				g.t.Fatalf("it is kept as %+v", kept)
			}
			v := g.get(id)
			if !v.FetchTime.Equal(g.clock.Now().Add(-time.Second)) || !v.DueForFetch(g.clock.Now()) {
				g.t.Fatalf("the provider is asked at %s", v.FetchTime)
			}
			g.fetched(id, said(id, rejected), applied)
			g.want(id, declined, verification.Exact)
			timeline := g.timeline(id)
			if last := timeline[len(timeline)-1]; last.Event != revisedToRejected || last.Source != verification.SourcePoll {
				g.t.Errorf("it is recorded as %+v", last)
			}
			g.fetchIn(id, never, 0)
			g.fetched(id, said(id, passed), refused)
			g.want(id, declined, verification.Exact)
		},
		"changes nothing if the provider's answer agrees": func(g *gateway) {
			id := g.start("polled")
			g.secondThoughts(id)
			g.fetched(id, said(id, passed), duplicate)
			g.want(id, approved, verification.Exact)
			g.fetchIn(id, never, 1)
		},
		"is asked about again after an answer about somebody else": func(g *gateway) {
			id, other := g.start("polled"), g.start("polled")
			g.secondThoughts(id)
			wrong := said(id, rejected)
			wrong.Event.VerificationID = other.String()
			g.fetched(id, wrong, refused)
			g.fetchIn(id, 2*fetchAfter, 1)
		},
		"stays when the row went on since the question": func(g *gateway) {
			id := g.start("polled")
			g.secondThoughts(id)
			g.fetchedAt(id, g.get(id).Version-1, said(id, rejected), refused)
			if !g.get(id).DueForFetch(g.clock.Now()) {
				g.t.Error("nobody is asked any more")
			}
		},
		"is given up when the provider never answers": func(g *gateway) {
			id := g.start("polled")
			g.secondThoughts(id)
			place := verification.Place{Scope: shop, ID: id}
			tries := 0
			for ; g.get(id).DueForFetch(g.clock.Now()) && tries < 100; tries++ {
				if err := g.FetchFailed(g.t.Context(), place, time.Minute); err != nil {
					g.t.Fatal(err)
				}
				if next := g.get(id).FetchTime; !next.IsZero() && next.Before(g.clock.Now().Add(time.Minute)) {
					g.t.Fatalf("the next question is at %s", next)
				}
			}
			if tries != 24 {
				g.t.Errorf("it was asked %d times", tries)
			}
			g.want(id, approved, verification.Exact)
		},
		"does not overrule an operator": func(g *gateway) {
			id := g.start("polled")
			d := g.ofPolled(id, rejected)
			g.deliver(d, applied)
			if _, err := g.override(id, approved); err != nil {
				g.t.Fatal(err)
			}
			repeat := *d
			repeat.ID = uuid.Must(uuid.NewV7())
			g.deliver(&repeat, duplicate)
			g.fetchIn(id, never, 0)
		},
		"of an erased person leaves nothing": func(g *gateway) {
			id := g.start("polled")
			d := g.ofPolled(id, rejected)
			g.deliver(d, applied)
			g.deliver(g.ofPolled(id, revisedToPassed), applied)
			if _, err := g.EraseSubject(g.t.Context(), shop, "u1", "TICKET-1", operator); err != nil {
				g.t.Fatal(err)
			}
			repeat := *d
			repeat.ID = uuid.Must(uuid.NewV7())
			g.deliver(&repeat, duplicate)
			if kept := g.delivery(repeat.ID); !kept.Emptied || kept.VerificationID != uuid.Nil {
				g.t.Errorf("it is kept as %+v", kept)
			}
			g.fetchIn(id, never, 0)
		},
	})
}

func TestWhatWaitedDoesNotOverruleWhatCameLater(t *testing.T) {
	t.Parallel()
	sentences(t, map[string]func(g *gateway){
		"when it is replayed": func(g *gateway) {
			a := g.start("identity")
			g.deliver(withID(g.webhook(rejected), a.String()), applied)
			old := g.unread()
			g.clock.forward(24 * time.Hour)
			g.deliver(withID(g.webhook(revisedToRejected), a.String()), duplicate)
			d, err := g.replay(old, reading(named(revisedToPassed, a)))
			if err != nil || d.Effect != stale || d.VerificationID != a {
				g.t.Fatalf("it is %+v (%v)", d, err)
			}
			g.want(a, declined, verification.Exact)
		},
		"when an operator decided meanwhile": func(g *gateway) {
			a, old := g.start("identity"), g.unread()
			g.clock.forward(time.Second)
			g.deliver(withID(g.webhook(reviewing), a.String()), applied)
			if _, err := g.override(a, declined); err != nil {
				g.t.Fatal(err)
			}
			if d, err := g.replay(old, reading(named(revisedToPassed, a))); err != nil || d.Effect != stale {
				g.t.Fatalf("it is %+v (%v)", d, err)
			}
			g.want(a, declined, verification.Exact)
		},
		"when it is bound by hand": func(g *gateway) {
			a := g.start("identity")
			waits := withKey(g.webhook(revisedToPassed), "token:unknown")
			g.deliver(waits, unmatched)
			g.clock.forward(time.Hour)
			g.deliver(withID(g.webhook(rejected), a.String()), applied)
			g.bindRefused(waits, a, verification.KindRefused, "DECIDED_SINCE")
			g.want(a, declined, verification.Exact)
		},
		"when its ref is bound by the later one": func(g *gateway) {
			a := g.start("identity")
			waits := withKey(g.webhook(revisedToPassed), "session:s9")
			g.deliver(waits, unmatched)
			later := withID(withKey(g.webhook(revisedToRejected, "verification:v9"), "session:s9"), a.String())
			g.deliver(later, applied)
			g.sweep()
			g.stored(waits, stale)
			if g.delivery(waits.ID).VerificationID != a {
				g.t.Error("it is not settled on the verification")
			}
			g.want(a, declined, verification.Exact)
		},
		"but counts over what came before": func(g *gateway) {
			a := g.start("identity")
			g.deliver(withID(g.webhook(rejected), a.String()), applied)
			old := g.unread()
			if d, err := g.replay(old, reading(named(revisedToPassed, a))); err != nil || d.Effect != applied {
				g.t.Fatalf("it is %+v (%v)", d, err)
			}
		},
	})
}

func TestAReviewOutlivesThePage(t *testing.T) {
	t.Parallel()
	const page = lifetime / 2
	short := func(g *gateway, until time.Duration) {
		g.company.answer = func(_ context.Context, r verification.StartSession) (verification.Session, error) {
			s := ordinary(r)
			s.ExpireTime = r.Now.Add(until)
			return s, nil
		}
	}
	lives := func(g *gateway, id uuid.UUID, want time.Duration) {
		g.t.Helper()
		v := g.get(id)
		if v.ExpireTime.Sub(v.CreateTime) != want || v.GraceUntil.Sub(v.ExpireTime) != grace {
			g.t.Fatalf("it lives for %s, and %s of grace", v.ExpireTime.Sub(v.CreateTime), v.GraceUntil.Sub(v.ExpireTime))
		}
	}
	sentences(t, map[string]func(g *gateway){
		"when the provider says that it began": func(g *gateway) {
			short(g, page)
			id := g.start("polled")
			lives(g, id, page)
			g.deliver(g.ofPolled(id, reviewing), applied)
			lives(g, id, lifetime)
			g.clock.forward(page)
			g.sweep()
			g.want(id, inReview, verification.Exact)
			g.clock.forward(lifetime)
			g.sweep()
			g.want(id, expired, verification.Exact)
		},
		"when the provider says so in an answer": func(g *gateway) {
			short(g, page)
			id := g.start("polled")
			g.fetched(id, said(id, reviewing), applied)
			lives(g, id, lifetime)
		},
		"but not because somebody came back": func(g *gateway) {
			short(g, page)
			id := g.start("polled")
			g.returns(id)
			lives(g, id, page)
			g.deliver(g.ofPolled(id, verification.PersonSubmitted), duplicate)
			lives(g, id, lifetime)
			g.fetchIn(id, fetchAfter-time.Second, 0)
		},
		"which never makes it shorter": func(g *gateway) {
			short(g, 2*lifetime)
			id := g.start("polled")
			g.deliver(g.ofPolled(id, reviewing), applied)
			lives(g, id, lifetime)
		},
	})
}
