package verification_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/verigate/verigate/server/verification"
)

func TestExclusiveLanes(t *testing.T) {
	t.Parallel()
	second := func(g *gateway) error {
		_, err := g.Start(g.t.Context(), shop, verification.StartRequest{Flow: "exclusive", Subject: "u2"})
		return err
	}
	inLane := func(d *verification.Delivery) *verification.Delivery {
		d.Connection = "lane"
		return d
	}
	free := func(g *gateway) {
		g.t.Helper()
		if err := second(g); err != nil {
			g.t.Errorf("the lane is not free: %v", err)
		}
	}
	sentences(t, map[string]func(g *gateway){
		"of many starts one gets the lane": func(g *gateway) {
			nodes := g.nodes(2)
			var won, limited atomic.Int64
			err := together(crowd, func(i int) error {
				_, err := nodes[i%len(nodes)].Start(g.t.Context(), shop, verification.StartRequest{Flow: "exclusive", Subject: "u1"})
				switch {
				case err == nil:
					won.Add(1)
				case verification.KindOf(err) == verification.KindLimited:
					limited.Add(1)
				default:
					return err
				}
				return nil
			})
			if err != nil || won.Load() != 1 || limited.Load() != crowd-1 || len(g.company.calls()) != 1 {
				g.t.Errorf("%d won, %d were limited, %d calls (%v)", won.Load(), limited.Load(), len(g.company.calls()), err)
			}
		},
		"a decision frees it at once": func(g *gateway) {
			g.start("exclusive")
			wantKind(g.t, second(g), verification.KindLimited)
			g.deliver(inLane(g.webhook(passed, "verification:1")), applied)
			free(g)
		},
		"a limited start leaves its idempotency key free": func(g *gateway) {
			first := g.start("exclusive")
			r := verification.StartRequest{Flow: "exclusive", Subject: "u2", IdempotencyKey: "k"}
			_, err := g.Start(g.t.Context(), shop, r)
			wantKind(g.t, err, verification.KindLimited)
			g.deliver(inLane(withKey(g.webhook(passed), tokenOf(first))), applied)
			if _, err := g.Start(g.t.Context(), shop, r); err != nil {
				g.t.Errorf("the retry: %v", err)
			}
		},
		"a start that failed frees it": func(g *gateway) {
			g.company.answer = func(context.Context, verification.StartSession) (verification.Session, error) {
				return verification.Session{}, errProviderDown
			}
			wantKind(g.t, second(g), verification.KindUnavailable)
			g.company.answer = nil
			free(g)
		},
		"a canceled one keeps it until its page ends": func(g *gateway) {
			g.cancel(g.start("exclusive"))
			g.sweep()
			wantKind(g.t, second(g), verification.KindLimited)
			g.clock.forward(lifetime - 2*time.Second)
			g.sweep()
			wantKind(g.t, second(g), verification.KindLimited)
			g.clock.forward(time.Second)
			g.sweep()
			free(g)
		},
		"an expired one keeps it until its grace ends": func(g *gateway) {
			g.start("exclusive")
			g.clock.forward(lifetime)
			g.sweep()
			wantKind(g.t, second(g), verification.KindLimited)
			g.clock.forward(grace)
			g.sweep()
			free(g)
		},
		"other flows and connections are not held up": func(g *gateway) {
			g.start("exclusive")
			g.start("identity")
			g.start("elsewhere")
		},
	})
}

func TestCancel(t *testing.T) {
	t.Parallel()
	sentences(t, map[string]func(g *gateway){
		"canceling again returns the canceled one": func(g *gateway) {
			a := g.start("identity")
			g.cancel(a)
			g.cancel(a)
			timeline := g.timeline(a)
			if last := timeline[len(timeline)-1]; len(timeline) != 3 || last.Reason != "changed their mind" || last.Source != verification.SourceCaller {
				g.t.Errorf("%d transitions, the last is %+v", len(timeline), last)
			}
		},
		"what is over cannot be canceled": func(g *gateway) {
			a := g.start("identity")
			g.deliver(withKey(g.webhook(passed), tokenOf(a)), applied)
			_, err := g.Cancel(g.t.Context(), shop, a, "")
			wantKind(g.t, err, verification.KindRefused)
		},
		"not yours is not found": func(g *gateway) {
			a := g.start("identity")
			for _, scope := range []verification.Scope{
				{Project: "rival", Environment: verification.Test}, {Project: "shop", Environment: verification.Live},
			} {
				_, err := g.Cancel(g.t.Context(), scope, a, "")
				wantKind(g.t, err, verification.KindNotFound)
				_, err = g.Get(g.t.Context(), scope, a)
				wantKind(g.t, err, verification.KindNotFound)
				_, err = g.GetByReference(g.t.Context(), scope, "order-1", "")
				wantKind(g.t, err, verification.KindNotFound)
			}
			g.want(a, pending, verification.NoMatch)
		},
		"what the sweep gave up while the provider was asked sends nobody anywhere": func(g *gateway) {
			g.company.answer = func(_ context.Context, r verification.StartSession) (verification.Session, error) {
				g.clock.forward(3 * time.Minute)
				g.sweep()
				return ordinary(r), nil
			}
			request := verification.StartRequest{Flow: "identity", Subject: "u1", IdempotencyKey: "k"}
			v, err := g.Start(g.t.Context(), shop, request)
			wantKind(g.t, err, verification.KindUnavailable)
			if v != nil {
				g.t.Errorf("start sends somebody to %s", v.HostedURL)
			}
			g.company.answer = nil
			if _, err := g.Start(g.t.Context(), shop, request); err != nil {
				g.t.Errorf("the retry: %v", err)
			}
		},
		"what was canceled while the provider was asked stays canceled": func(g *gateway) {
			g.company.answer = func(_ context.Context, r verification.StartSession) (verification.Session, error) {
				g.cancel(r.VerificationID)
				return ordinary(r), nil
			}
			v, err := g.Start(g.t.Context(), shop, verification.StartRequest{Flow: "identity", Subject: "u1"})
			wantKind(g.t, err, verification.KindRefused)
			if v != nil {
				g.t.Errorf("start sends somebody to %s", v.HostedURL)
			}
		},
	})
}
