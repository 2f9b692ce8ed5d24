package verification_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/verification"
)

// override decides by hand for a reason that goes on record.
func (g *gateway) override(id uuid.UUID, to verification.State) (*verification.Verification, error) {
	return g.Override(g.t.Context(), shop, id, to, "TICKET-9", operator)
}

// audited returns what the audit log has about a target.
func (g *gateway) audited(target uuid.UUID) []*verification.AuditEntry {
	g.t.Helper()
	entries, err := g.store.AuditEntries(g.t.Context(), verification.AuditQuery{Scope: shop, Target: target.String(), Limit: 100})
	if err != nil {
		g.t.Fatal(err)
	}
	return entries
}

// wantAudit checks that the audit log has one entry about a target.
func (g *gateway) wantAudit(target uuid.UUID, action verification.AuditAction, details map[string]string) {
	g.t.Helper()
	entries := g.audited(target)
	if len(entries) != 1 {
		g.t.Fatalf("the audit log has %d entries, want one", len(entries))
	}
	e := entries[0]
	if e.Action != action || e.Operator != operator || len(e.Details) != len(details) {
		g.t.Errorf("the audit log has %+v", e)
	}
	for key, want := range details {
		if e.Details[key] != want {
			g.t.Errorf("the audit log has %s=%q, want %q", key, e.Details[key], want)
		}
	}
}

// unaudited checks that it has none.
func (g *gateway) unaudited(target uuid.UUID) {
	g.t.Helper()
	if entries := g.audited(target); len(entries) != 0 {
		g.t.Errorf("the audit log has %d entries, want none", len(entries))
	}
}

// wantReason checks an error's kind and its constant for programs.
func wantReason(t testing.TB, err error, kind verification.Kind, reason string) {
	t.Helper()
	wantKind(t, err, kind)
	if e, ok := errors.AsType[*verification.Error](err); !ok || e.Reason != reason {
		t.Errorf("the error is %v, want the reason %s", err, reason)
	}
}

func TestAnOverride(t *testing.T) {
	t.Parallel()
	sentences(t, map[string]func(g *gateway){
		"turns a decision over, on record with its author and reason": func(g *gateway) {
			id := g.start("identity")
			g.deliver(withKey(g.webhook(passed), tokenOf(id)), applied)
			v, err := g.override(id, declined)
			if err != nil || v.State != declined || v.Version != 4 {
				g.t.Fatalf("it is %+v (%v)", v, err)
			}
			timeline := g.timeline(id)
			last := timeline[len(timeline)-1]
			if last.Source != verification.SourceOperator || last.Event != verification.RevisedToRejected || last.Reason != "TICKET-9" ||
				!last.Revision() || last.Channel() != verification.ChannelEvents {
				g.t.Errorf("the last transition is %+v", last)
			}
			g.wantAudit(id, verification.AuditOverride, map[string]string{"reason": "TICKET-9", "from": "approved", "to": "declined"})
			if woken := g.meter.version(id); woken != 4 {
				g.t.Errorf("its watchers were woken for version %d, want 4", woken)
			}
			g.want(id, declined, verification.Exact)
		},
		"decides an open verification": func(g *gateway) {
			id := g.start("identity")
			if _, err := g.override(id, approved); err != nil {
				g.t.Fatal(err)
			}
			g.want(id, approved, verification.NoMatch)
			g.wantAudit(id, verification.AuditOverride, map[string]string{"reason": "TICKET-9", "from": "pending", "to": "approved"})
		},
		"to what is so already changes and records nothing": func(g *gateway) {
			id := g.start("identity")
			g.deliver(withKey(g.webhook(passed), tokenOf(id)), applied)
			v, err := g.override(id, approved)
			if err != nil || v.State != approved || v.Version != 3 {
				g.t.Errorf("it is %+v (%v)", v, err)
			}
			g.unaudited(id)
		},
		"decides an expired one while the grace period lasts, and not after it": func(g *gateway) {
			early, late := g.start("identity"), g.start("age")
			g.clock.forward(lifetime)
			g.sweep()
			if _, err := g.override(early, approved); err != nil {
				g.t.Error(err)
			}
			g.clock.forward(grace)
			_, err := g.override(late, approved)
			wantReason(g.t, err, verification.KindRefused, "VERIFICATION_OVER")
			g.want(late, expired, verification.NoMatch)
			g.unaudited(late)
		},
		"of a canceled or failed one is refused, and says to start a new one": func(g *gateway) {
			for _, end := range []verification.EventKind{verification.CancelRequested, verification.ProcessingFailed} {
				id := g.start("identity")
				g.deliver(withKey(g.webhook(end), tokenOf(id)), applied)
				_, err := g.override(id, approved)
				wantReason(g.t, err, verification.KindRefused, "VERIFICATION_OVER")
				if text := err.Error(); !strings.Contains(text, string(g.get(id).State)) || !strings.Contains(text, "start a new one") {
					g.t.Errorf("the operator is told %q", text)
				}
				g.unaudited(id)
			}
		},
		"of an erased one is refused": func(g *gateway) {
			id := g.startAnna("identity")
			g.deliver(withKey(g.webhook(passed), tokenOf(id)), applied)
			g.erase()
			_, err := g.override(id, declined)
			wantReason(g.t, err, verification.KindRefused, "VERIFICATION_ERASED")
			g.want(id, approved, verification.Exact)
			g.unaudited(id)
		},
		"to anything but a decision is invalid": func(g *gateway) {
			id := g.start("identity")
			for _, state := range []verification.State{"", created, pending, processing, inReview, expired, canceled, failed} {
				_, err := g.override(id, state)
				wantReason(g.t, err, verification.KindInvalid, "INVALID_FIELD")
			}
			g.want(id, pending, verification.NoMatch)
		},
		"for no reason, or one that names the subject, is invalid": func(g *gateway) {
			id := g.startAnna("identity")
			for _, reason := range []string{"", "mail of " + strings.ToUpper(anna)} {
				_, err := g.Override(g.t.Context(), shop, id, approved, reason, operator)
				wantKind(g.t, err, verification.KindInvalid)
				if !strings.HasPrefix(err.Error(), "reason: ") {
					g.t.Errorf("the operator is told %q", err)
				}
			}
			g.want(id, pending, verification.NoMatch)
			g.unaudited(id)
		},
		"of another scope's looks like one of nothing": func(g *gateway) {
			id := g.start("identity")
			_, nothing := g.override(uuid.Must(uuid.NewV7()), approved)
			for _, scope := range []verification.Scope{
				{Project: "shop", Environment: verification.Live}, {Project: "rival", Environment: verification.Test},
			} {
				_, err := g.Override(g.t.Context(), scope, id, approved, "TICKET-9", operator)
				if !errors.Is(err, verification.ErrNotFound) || err.Error() != nothing.Error() {
					g.t.Errorf("%v is told %v, of nothing %v", scope, err, nothing)
				}
			}
			g.want(id, pending, verification.NoMatch)
		},
		"that cannot be recorded does not happen": func(g *gateway) {
			id := g.start("identity")
			_, err := g.unrecorded().Override(g.t.Context(), shop, id, approved, "TICKET-9", operator)
			if !errors.Is(err, errUnrecorded) {
				g.t.Errorf("the error is %v", err)
			}
			g.want(id, pending, verification.NoMatch)
			g.timeline(id)
		},
	})
}

func TestOfManyEqualOverridesOneIsRecorded(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	nodes := g.nodes(2)
	id := g.start("identity")
	err := together(crowd, func(i int) error {
		v, err := nodes[i%len(nodes)].Override(t.Context(), shop, id, approved, "TICKET-9", operator)
		if err == nil && v.State != approved {
			return errors.New("one was told " + string(v.State))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	g.wantAudit(id, verification.AuditOverride, map[string]string{"reason": "TICKET-9", "from": "pending", "to": "approved"})
}

var errUnrecorded = errors.New("the audit log takes nothing")

// unrecorded is a node whose audit log takes nothing.
func (g *gateway) unrecorded() *verification.Service { return g.node(forgetful{g.store}) }

type forgetful struct{ verification.Store }

func (f forgetful) InTx(ctx context.Context, fn func(verification.Tx) error) error {
	var failure error
	err := f.Store.InTx(ctx, func(tx verification.Tx) error {
		failure = fn(forgetfulTx{tx})
		return failure
	})
	if errors.Is(failure, errUnrecorded) {
		return failure // the store says no more than that something broke
	}
	return err
}

type forgetfulTx struct{ verification.Tx }

func (forgetfulTx) AddAudit(context.Context, *verification.AuditEntry) error { return errUnrecorded }
