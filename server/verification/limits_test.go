package verification_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/verification"
)

func startOf(flow, subject, key string) verification.StartRequest {
	return verification.StartRequest{Flow: flow, Subject: subject, IdempotencyKey: key}
}

// full checks that a start was refused because too many are open.
func full(t testing.TB, err error, reason string) {
	t.Helper()
	wantKind(t, err, verification.KindLimited)
	if e, ok := errors.AsType[*verification.Error](err); !ok || e.Reason != reason || e.RetryAfter <= 0 {
		t.Errorf("the error is %+v, want %s with a time to retry", e, reason)
	}
}

func TestLimitsOfOpenVerifications(t *testing.T) {
	t.Parallel()
	start := func(g *gateway, flow, subject, key string) (*verification.Verification, error) {
		return g.Start(g.t.Context(), shop, startOf(flow, subject, key))
	}
	must := func(g *gateway, flow, subject, key string) uuid.UUID {
		g.t.Helper()
		v, err := start(g, flow, subject, key)
		if err != nil {
			g.t.Fatal(err)
		}
		return v.ID
	}
	sentences(t, map[string]func(g *gateway){
		"a flow takes as many as it allows, whoever they are": func(g *gateway) {
			for _, subject := range []string{"u1", "u2", "u1"} {
				must(g, "limited", subject, "")
			}
			_, err := start(g, "limited", "u3", "")
			full(g.t, err, "FLOW_FULL")
			if calls := g.company.calls(); len(calls) != maxOpen {
				g.t.Errorf("the provider was asked %d times, want %d", len(calls), maxOpen)
			}
		},
		"a subject takes as many as the flow allows it, whatever others do": func(g *gateway) {
			must(g, "personal", "u1", "")
			must(g, "personal", "u2", "")
			must(g, "personal", "u1", "")
			_, err := start(g, "personal", "u1", "")
			full(g.t, err, "SUBJECT_FULL")
			must(g, "personal", "u2", "")
		},
		"whatever is over makes room": func(g *gateway) {
			ids := []uuid.UUID{must(g, "personal", "u1", ""), must(g, "personal", "u1", "")}
			g.cancel(ids[0])
			must(g, "personal", "u1", "")
			d := withID(g.webhook(passed), ids[1].String())
			d.Connection = "personal"
			g.deliver(d, applied)
			must(g, "personal", "u1", "")
			g.clock.forward(lifetime)
			g.sweep()
			must(g, "personal", "u1", "")
		},
		"a start that the provider refused makes room": func(g *gateway) {
			g.company.answer = func(context.Context, verification.StartSession) (verification.Session, error) {
				return verification.Session{}, errProviderDown
			}
			for range maxOpen + 1 {
				_, err := start(g, "limited", "u1", "")
				wantKind(g.t, err, verification.KindUnavailable)
			}
		},
		"a refused start leaves its idempotency key free": func(g *gateway) {
			first := must(g, "personal", "u1", "")
			must(g, "personal", "u1", "")
			_, err := start(g, "personal", "u1", "k")
			full(g.t, err, "SUBJECT_FULL")
			g.cancel(first)
			must(g, "personal", "u1", "k")
		},
		"a repeated start is answered although everything is full": func(g *gateway) {
			first := must(g, "personal", "u1", "k")
			must(g, "personal", "u1", "")
			if again := must(g, "personal", "u1", "k"); again != first {
				g.t.Errorf("the repeat made %s, want %s", again, first)
			}
		},
		"other flows count for themselves": func(g *gateway) {
			for range maxOpen {
				must(g, "limited", "u1", "")
			}
			must(g, "identity", "u1", "")
			must(g, "personal", "u1", "")
		},
	})
}

func TestStartsAtOnceStayWithinTheLimits(t *testing.T) {
	t.Parallel()
	sentencesFor := map[string]struct {
		flow, reason string
		most         int
	}{
		"of a flow":    {"limited", "FLOW_FULL", maxOpen},
		"of a subject": {"personal", "SUBJECT_FULL", maxOpenPerSubject},
	}
	for name, c := range sentencesFor {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t)
			nodes := g.nodes(2)
			var mu sync.Mutex
			won, limited := 0, 0
			err := together(2*crowd, func(i int) error {
				_, err := nodes[i%len(nodes)].Start(t.Context(), shop, startOf(c.flow, "u1", ""))
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won++
					return nil
				}
				limited++
				if e, ok := errors.AsType[*verification.Error](err); ok && e.Reason == c.reason {
					return nil
				}
				return err
			})
			if err != nil || won != c.most || limited != 2*crowd-c.most {
				t.Errorf("%d won and %d were limited (%v), want %d winners", won, limited, err, c.most)
			}
			if calls := g.company.calls(); len(calls) != c.most {
				t.Errorf("the provider was asked %d times, want %d", len(calls), c.most)
			}
		})
	}
}

func TestEndUsersStart(t *testing.T) {
	t.Parallel()
	own := func(change func(r *verification.StartRequest)) verification.StartRequest {
		r := startOf("personal", "u1", "")
		r.EndUser = true
		if change != nil {
			change(&r)
		}
		return r
	}
	start := func(g *gateway, r verification.StartRequest) (*verification.Verification, error) {
		return g.Start(g.t.Context(), shop, r)
	}
	sentences(t, map[string]func(g *gateway){
		"what the flow gives them": func(g *gateway) {
			v, err := start(g, own(func(r *verification.StartRequest) {
				r.RedirectURL = "https://app.example.com/done"
			}))
			if err != nil || v.Subject != "u1" || v.HostedURL == "" {
				g.t.Errorf("it is %+v (%v)", v, err)
			}
		},
		"no flow that is not for them, and cannot tell it from one that is not there": func(g *gateway) {
			_, theirs := start(g, own(func(r *verification.StartRequest) { r.Flow = "identity" }))
			_, none := start(g, own(func(r *verification.StartRequest) { r.Flow = "nope" }))
			for _, err := range []error{theirs, none} {
				wantKind(g.t, err, verification.KindNotFound)
				if e, ok := errors.AsType[*verification.Error](err); !ok || e.Reason != "FLOW_NOT_FOUND" || err.Error() != none.Error() {
					g.t.Errorf("the error is %+v", err)
				}
			}
		},
		"without saying what is the backend's to say": func(g *gateway) {
			for field, change := range map[string]func(r *verification.StartRequest){
				"reference":           func(r *verification.StartRequest) { r.Reference = "order-1" },
				"callback_url":        func(r *verification.StartRequest) { r.CallbackURL = "https://api.example.com/a" },
				"events_callback_url": func(r *verification.StartRequest) { r.EventsCallbackURL = "https://api.example.com/a" },
				"metadata":            func(r *verification.StartRequest) { r.Metadata = map[string]string{"a": "b"} },
				"expires_in":          func(r *verification.StartRequest) { r.ExpiresIn = time.Second },
				"page_title":          func(r *verification.StartRequest) { r.PageTitle = "Your bank" },
				"success_message":     func(r *verification.StartRequest) { r.SuccessMessage = "call us" },
				"failure_message":     func(r *verification.StartRequest) { r.FailureMessage = "call us" },
				"subject":             func(r *verification.StartRequest) { r.Subject = "" },
			} {
				_, err := start(g, own(change))
				wantKind(g.t, err, verification.KindInvalid)
				if e, ok := errors.AsType[*verification.Error](err); !ok || e.Field != field {
					g.t.Errorf("the error names %q, want %q", e.Field, field)
				}
			}
			if calls := g.company.calls(); len(calls) != 0 {
				g.t.Errorf("the provider was asked %d times", len(calls))
			}
		},
		"with idempotency keys that meet nobody else's": func(g *gateway) {
			ids := map[uuid.UUID]string{}
			for who, r := range map[string]verification.StartRequest{
				"the backend":  startOf("personal", "u1", "k"),
				"one subject":  own(func(r *verification.StartRequest) { r.IdempotencyKey = "k" }),
				"another":      own(func(r *verification.StartRequest) { r.Subject, r.IdempotencyKey = "u2", "k" }),
				"without keys": own(func(r *verification.StartRequest) { r.Subject = "u3" }),
			} {
				v, err := start(g, r)
				if err != nil {
					g.t.Fatalf("%s: %v", who, err)
				}
				ids[v.ID] = who
			}
			if len(ids) != 4 {
				g.t.Errorf("four starts made %v", ids)
			}
			again, err := start(g, own(func(r *verification.StartRequest) { r.IdempotencyKey = "k" }))
			if err != nil || ids[again.ID] != "one subject" {
				g.t.Errorf("the repeat gives the one of %q (%v)", ids[again.ID], err)
			}
		},
		"nobody as the one whom erased subjects are called": func(g *gateway) {
			for _, endUser := range []bool{true, false} {
				_, err := start(g, own(func(r *verification.StartRequest) { r.Subject, r.EndUser = verification.ErasedSubject, endUser }))
				wantKind(g.t, err, verification.KindInvalid)
			}
		},
	})
}
