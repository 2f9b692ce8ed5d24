package verification_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/verification"
)

// The correlation ladder, told as sentences. A mistake here approves the wrong
// person; docs/correlation.md says why each rule is as it is.

// sentences runs each named test on an empty gateway: one after the other on
// one database, because making a database costs more than most tests.
func sentences(t *testing.T, tests map[string]func(g *gateway)) {
	t.Helper()
	g := newGateway(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(g.emptied(t)) })
	}
}

const (
	created    = verification.Created
	pending    = verification.Pending
	processing = verification.Processing
	inReview   = verification.InReview
	approved   = verification.Approved
	declined   = verification.Declined
	expired    = verification.Expired
	canceled   = verification.Canceled
	failed     = verification.Failed

	applied   = verification.Applied
	duplicate = verification.Duplicate
	stale     = verification.Stale
	refused   = verification.Refused
	unmatched = verification.Unmatched

	passed    = verification.Passed
	rejected  = verification.Rejected
	reviewing = verification.ReviewStarted
)

func withKey(d *verification.Delivery, keys ...string) *verification.Delivery {
	d.Event.Keys = keys
	return d
}

func withID(d *verification.Delivery, id string) *verification.Delivery {
	d.Event.VerificationID = id
	return d
}

func TestLadderExactEvidence(t *testing.T) {
	t.Parallel()
	sentences(t, map[string]func(g *gateway){
		"a session key in the payload is exact, however many are open": func(g *gateway) {
			a, b := g.start("identity"), g.start("identity")
			g.deliver(withKey(g.webhook(passed, "verification:1"), tokenOf(b)), applied)
			g.want(b, approved, verification.Exact)
			g.rung(b, verification.RungPayloadKey, verification.Exact)
			g.want(a, pending, verification.NoMatch)
		},
		"our own id in the payload is exact": func(g *gateway) {
			a, b := g.start("identity"), g.start("identity")
			g.deliver(withID(g.webhook(rejected, "verification:1"), a.String()), applied)
			g.want(a, declined, verification.Exact)
			g.rung(a, verification.RungPayloadKey, verification.Exact)
			g.want(b, pending, verification.NoMatch)
		},
		"a provider id that an exact match bound is exact from then on": func(g *gateway) {
			a := g.start("identity")
			g.start("identity")
			g.deliver(withKey(g.webhook(verification.ReviewStarted, "verification:1"), tokenOf(a)), applied)
			g.deliver(g.webhook(passed, "verification:1"), applied)
			g.want(a, approved, verification.Exact)
			g.rung(a, verification.RungBoundRef, verification.Exact)
		},
		"an exact flow takes exact evidence": func(g *gateway) {
			a := g.start("exact")
			d := withKey(g.webhook(passed, "verification:1"), tokenOf(a))
			d.Event.Product = "passport"
			g.deliver(d, applied)
			g.want(a, approved, verification.Exact)
		},
		"our own id of nobody parks, even if exactly one is open": func(g *gateway) {
			a := g.start("identity")
			g.returns(a)
			g.deliver(withID(g.webhook(passed, "verification:1"), uuid.NewString()), unmatched)
			g.deliver(withID(g.webhook(passed, "verification:2"), "order-1"), unmatched)
			g.want(a, processing, verification.NoMatch)
		},
		"keys that name two verifications park": func(g *gateway) {
			a, b := g.start("identity"), g.start("identity")
			g.deliver(withKey(g.webhook(passed), tokenOf(a), tokenOf(b)), unmatched)
			g.deliver(withID(withKey(g.webhook(passed), tokenOf(a)), b.String()), unmatched)
			g.want(a, pending, verification.NoMatch)
			g.want(b, pending, verification.NoMatch)
		},
		"a provider id that means somebody else than the key parks, and is never bound again": func(g *gateway) {
			a, b := g.start("identity"), g.start("identity")
			g.deliver(withKey(g.webhook(verification.ReviewStarted, "verification:1"), tokenOf(a)), applied)
			g.deliver(withKey(g.webhook(passed, "verification:1"), tokenOf(b)), unmatched)
			g.want(b, pending, verification.NoMatch)
			g.deliver(g.webhook(passed, "verification:1"), applied)
			g.want(a, approved, verification.Exact)
		},
		"an unknown key beside an id that was only inferred parks": func(g *gateway) {
			a := g.start("identity")
			g.returns(a)
			g.deliver(g.webhook(verification.ReviewStarted, "verification:1"), applied)
			g.deliver(withKey(g.webhook(passed, "verification:1"), "token:unheard-of"), unmatched)
			g.want(a, inReview, verification.Inferred)
		},
	})
}

func TestLadderWrongHouse(t *testing.T) {
	t.Parallel()
	tests := map[string]func(g *gateway){}
	for name, change := range map[string]func(*verification.Delivery){
		"product":     func(d *verification.Delivery) { d.Event.Product = "age" },
		"connection":  func(d *verification.Delivery) { d.Connection = "second" },
		"environment": func(d *verification.Delivery) { d.Scope.Environment = verification.Live },
		"project":     func(d *verification.Delivery) { d.Scope.Project = "rival" },
	} {
		tests["the wrong "+name+" parks even with our own id"] = func(g *gateway) {
			a := g.start("identity")
			d := withID(g.webhook(passed, "verification:1"), a.String())
			change(d)
			g.deliver(d, unmatched)
			g.want(a, pending, verification.NoMatch)
		}
		tests["the wrong "+name+" parks even with the session key"] = func(g *gateway) {
			a := g.start("identity")
			d := withKey(g.webhook(passed, "verification:1"), tokenOf(a))
			change(d)
			g.deliver(d, unmatched)
			g.want(a, pending, verification.NoMatch)
		}
		tests["the wrong "+name+" parks where the only open one returned"] = func(g *gateway) {
			a := g.start("identity")
			g.returns(a)
			d := g.webhook(passed, "verification:1")
			change(d)
			g.deliver(d, unmatched)
			g.want(a, processing, verification.NoMatch)
		}
	}
	sentences(t, tests)
}

func TestLadderInference(t *testing.T) {
	t.Parallel()
	sentences(t, map[string]func(g *gateway){
		"the only open verification is inferred": func(g *gateway) {
			a := g.start("identity")
			g.deliver(g.webhook(passed, "verification:1"), applied)
			g.want(a, approved, verification.Inferred)
			g.rung(a, verification.RungSoleOpen, verification.Inferred)
		},
		"the only one that returned is inferred": func(g *gateway) {
			a, b := g.start("identity"), g.start("identity")
			g.returns(b)
			g.deliver(g.webhook(passed, "verification:1"), applied)
			g.want(b, approved, verification.Inferred)
			g.rung(b, verification.RungSoleReturned, verification.Inferred)
			g.want(a, pending, verification.NoMatch)
		},
		"two open verifications and one webhook: it is parked": func(g *gateway) {
			a, b := g.start("identity"), g.start("identity")
			g.deliver(g.webhook(passed, "verification:1"), unmatched)
			g.want(a, pending, verification.NoMatch)
			g.want(b, pending, verification.NoMatch)
		},
		"two open, one returns just before the webhook: it is applied": func(g *gateway) {
			a, b := g.start("identity"), g.start("identity")
			g.returns(a)
			g.clock.forward(window)
			g.deliver(g.webhook(passed, "verification:1"), applied)
			g.want(a, approved, verification.Inferred)
			g.want(b, pending, verification.NoMatch)
		},
		"two open, one returned too long before the webhook: it is parked": func(g *gateway) {
			a := g.start("identity")
			g.start("identity")
			g.returns(a)
			g.clock.forward(window + time.Microsecond)
			g.deliver(g.webhook(passed, "verification:1"), unmatched)
			g.want(a, processing, verification.NoMatch)
		},
		"two open, one returns just after the webhook: it is applied": func(g *gateway) {
			a, b := g.start("identity"), g.start("identity")
			d := g.webhook(passed, "verification:1")
			g.deliver(d, unmatched)
			g.clock.forward(window - time.Second)
			g.returns(a)
			g.stored(d, applied)
			g.want(a, approved, verification.Inferred)
			g.rung(a, verification.RungSoleReturned, verification.Inferred)
			g.want(b, pending, verification.NoMatch)
		},
		"two open, one returns too long after the webhook: it stays parked": func(g *gateway) {
			a := g.start("identity")
			g.start("identity")
			d := g.webhook(passed, "verification:1")
			g.deliver(d, unmatched)
			g.clock.forward(window)
			g.returns(a)
			g.sweep()
			g.stored(d, unmatched)
		},
		"both returned: it is parked": func(g *gateway) {
			a, b := g.start("identity"), g.start("identity")
			g.returns(a)
			g.returns(b)
			d := g.webhook(passed, "verification:1")
			g.deliver(d, unmatched)
			g.sweep()
			g.stored(d, unmatched)
		},
		"two waiting webhooks and one return: both stay parked": func(g *gateway) {
			a := g.start("identity")
			g.start("identity")
			first, second := g.webhook(passed, "verification:1"), g.webhook(rejected, "verification:2")
			g.deliver(first, unmatched)
			g.deliver(second, unmatched)
			g.returns(a)
			g.sweep()
			g.stored(first, unmatched)
			g.stored(second, unmatched)
			g.want(a, processing, verification.NoMatch)
		},
		"a return between two webhooks that wait 100 seconds apart picks neither": func(g *gateway) {
			a := g.start("identity")
			g.start("identity")
			first, second := g.webhook(rejected, "verification:1"), g.webhook(passed, "verification:2")
			second.ReceiveTime = first.ReceiveTime.Add(100 * time.Second)
			g.deliver(first, unmatched)
			g.deliver(second, unmatched)
			g.clock.forward(48 * time.Second)
			g.returns(a)
			g.sweep()
			g.stored(first, unmatched)
			g.stored(second, unmatched)
		},
		"a webhook while another waits that may be the same person's is parked": func(g *gateway) {
			a, b := g.start("identity"), g.start("identity")
			first, second := g.webhook(rejected, "verification:1"), g.webhook(passed, "verification:2")
			g.deliver(first, unmatched)
			g.deliver(withKey(g.webhook(passed, "verification:3"), tokenOf(b)), applied)
			second.ReceiveTime = g.clock.Now()
			g.deliver(second, unmatched)
			g.want(a, pending, verification.NoMatch)
		},
		"a waiting webhook that names somebody unknown does not hold up others": func(g *gateway) {
			a := g.start("identity")
			g.deliver(withKey(g.webhook(passed), "token:unheard-of"), unmatched)
			g.deliver(g.webhook(passed, "verification:1"), applied)
			g.want(a, approved, verification.Inferred)
		},
		"an exact flow that would only match by inference parks": func(g *gateway) {
			a := g.start("exact")
			g.returns(a, "verification_id=1")
			for _, refs := range [][]string{{"verification:1"}, {"verification:2"}} {
				d := g.webhook(passed, refs...)
				d.Event.Product = "passport"
				g.deliver(d, unmatched)
			}
			g.sweep()
			g.want(a, processing, verification.NoMatch)
		},
		"a webhook for a verification that this gateway never started parks": func(g *gateway) {
			g.deliver(g.webhook(passed, "verification:1"), unmatched)
		},
		"a webhook from before a verification was created is never about it": func(g *gateway) {
			d := g.webhook(passed, "verification:1")
			g.deliver(d, unmatched)
			a := g.start("identity")
			g.returns(a, "verification_id=1")
			g.sweep()
			g.stored(d, unmatched)
			g.want(a, processing, verification.NoMatch)
		},
		"an unknown token parks, even if exactly one is open and returned": func(g *gateway) {
			a := g.start("identity")
			g.returns(a)
			g.deliver(withKey(g.webhook(passed, "verification:1"), "token:unheard-of"), unmatched)
			g.sweep()
			g.want(a, processing, verification.NoMatch)
		},
		"a second provider id for a bound verification is not inferred": func(g *gateway) {
			a := g.start("identity")
			g.returns(a)
			g.deliver(g.webhook(verification.ReviewStarted, "verification:1"), applied)
			g.deliver(g.webhook(passed, "verification:2"), unmatched)
			g.want(a, inReview, verification.Inferred)
		},
		"a second provider id of an open verification is not pinned on the other open one": func(g *gateway) {
			a := g.start("identity")
			g.deliver(g.webhook(verification.ReviewStarted, "verification:1"), applied)
			b := g.start("identity")
			g.deliver(g.webhook(passed, "verification:2"), unmatched)
			g.want(a, inReview, verification.Inferred)
			g.want(b, pending, verification.NoMatch)
		},
		"the match stays inferred when the bound id finds it again": func(g *gateway) {
			a := g.start("identity")
			g.deliver(g.webhook(verification.ReviewStarted, "verification:1"), applied)
			g.rung(a, verification.RungSoleOpen, verification.Inferred)
			g.start("identity")
			g.deliver(g.webhook(passed, "verification:1"), applied)
			g.want(a, approved, verification.Inferred)
			g.rung(a, verification.RungBoundRef, verification.Inferred)
		},
		"the match stays inferred even when a key confirms it later": func(g *gateway) {
			a := g.start("identity")
			g.deliver(g.webhook(verification.ReviewStarted, "verification:1"), applied)
			g.deliver(withKey(g.webhook(passed, "verification:1"), tokenOf(a)), applied)
			g.want(a, approved, verification.Inferred)
			g.rung(a, verification.RungPayloadKey, verification.Exact)
		},
		"verifications of another product or connection do not block": func(g *gateway) {
			a := g.start("identity")
			g.start("age")
			g.start("elsewhere")
			g.deliver(g.webhook(passed, "verification:1"), applied)
			g.want(a, approved, verification.Inferred)
		},
	})
}
