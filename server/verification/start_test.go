package verification_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/verification"
)

func request(key string) verification.StartRequest {
	return verification.StartRequest{Flow: "identity", Subject: "u1", Reference: "order-1", IdempotencyKey: key}
}

func TestManyStartsWithOneKeyAreOneVerification(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	nodes := g.nodes(2)
	var mu sync.Mutex
	seen := map[uuid.UUID]bool{}
	err := together(crowd, func(i int) error {
		for {
			v, err := nodes[i%len(nodes)].Start(t.Context(), shop, request("k"))
			if verification.KindOf(err) == verification.KindRaced && err != nil {
				continue // as the error says: retry in a moment
			}
			if err == nil {
				mu.Lock()
				seen[v.ID] = true
				mu.Unlock()
			}
			return err
		}
	})
	if err != nil || len(seen) != 1 || len(g.company.calls()) != 1 {
		t.Errorf("%d verifications, %d calls to the provider (%v), want one each", len(seen), len(g.company.calls()), err)
	}
}

func TestIdempotencyKeys(t *testing.T) {
	t.Parallel()
	sentences(t, map[string]func(g *gateway){
		"the same key and content return the same verification": func(g *gateway) {
			first, err := g.Start(g.t.Context(), shop, request("k"))
			if err != nil {
				g.t.Fatal(err)
			}
			g.deliver(withKey(g.webhook(passed), tokenOf(first.ID)), applied)
			again, err := g.Start(g.t.Context(), shop, request("k"))
			if err != nil || again.ID != first.ID || again.HostedURL != first.HostedURL || again.State != approved {
				g.t.Errorf("the second start gives %+v (%v)", again, err)
			}
		},
		"the same key and other content conflict and name the field": func(g *gateway) {
			if _, err := g.Start(g.t.Context(), shop, request("k")); err != nil {
				g.t.Fatal(err)
			}
			for name, change := range map[string]func(*verification.StartRequest){
				"subject":   func(r *verification.StartRequest) { r.Subject = "u2" },
				"reference": func(r *verification.StartRequest) { r.Reference = "order-2" },
				"redirect":  func(r *verification.StartRequest) { r.RedirectURL = "myapp://other" },
				"lifetime":  func(r *verification.StartRequest) { r.ExpiresIn = time.Minute },
				"metadata":  func(r *verification.StartRequest) { r.Metadata = map[string]string{"a": "b"} },
				"flow":      func(r *verification.StartRequest) { r.Flow = "age" },
			} {
				other := request("k")
				change(&other)
				_, err := g.Start(g.t.Context(), shop, other)
				wantKind(g.t, err, verification.KindConflict)
				if !strings.Contains(err.Error(), "idempotency_key") {
					g.t.Errorf("other %s: the error %q does not name the field", name, err)
				}
			}
		},
		"keys of other projects and environments are other keys": func(g *gateway) {
			ids := map[uuid.UUID]bool{}
			for _, scope := range []verification.Scope{
				shop, {Project: "shop", Environment: verification.Live}, {Project: "rival", Environment: verification.Test},
			} {
				v, err := g.Start(g.t.Context(), scope, request("k"))
				if err != nil {
					g.t.Fatal(err)
				}
				ids[v.ID] = true
			}
			if len(ids) != 3 {
				g.t.Errorf("three scopes share %d verifications", len(ids))
			}
		},
		"starts without a key are separate": func(g *gateway) {
			if first, second := g.start("identity"), g.start("identity"); first == second {
				g.t.Error("two starts gave one verification")
			}
		},
	})
}

func TestAStartThatFails(t *testing.T) {
	t.Parallel()
	refusal := verification.NewError(verification.KindRefused, "NO_CREDIT", "the provider refuses the account")
	tests := map[string]func(g *gateway){}
	for name, c := range map[string]struct {
		err    error
		kind   verification.Kind
		reason string
	}{
		"a provider that does not answer": {errProviderDown, verification.KindUnavailable, verification.ReasonProviderUnavailable},
		"a provider that refuses us":      {refusal, verification.KindRefused, verification.ReasonProviderRefused},
	} {
		tests[name+" fails the verification and releases the key"] = func(g *gateway) {
			g.company.answer = func(context.Context, verification.StartSession) (verification.Session, error) {
				return verification.Session{}, c.err
			}
			_, err := g.Start(g.t.Context(), shop, request("k"))
			wantKind(g.t, err, c.kind)
			lost := g.company.calls()[0].VerificationID
			g.want(lost, failed, verification.NoMatch)
			if codes := g.get(lost).ReasonCodes; len(codes) != 1 || codes[0] != c.reason {
				g.t.Errorf("the reasons are %q, want %q", codes, c.reason)
			}
			g.company.answer = nil
			again, err := g.Start(g.t.Context(), shop, request("k"))
			if err != nil || again.ID == lost || again.State != pending {
				g.t.Errorf("the retry gives %+v (%v)", again, err)
			}
		}
	}
	sentences(t, tests)
}

// cutStore is a store whose transactions fail once its count is used up.
type cutStore struct {
	verification.Store
	left atomic.Int64
}

var errCut = verification.NewError(verification.KindUnavailable, "DATABASE_UNAVAILABLE", "cut")

func (f *cutStore) InTx(ctx context.Context, fn func(verification.Tx) error) error {
	if f.left.Add(-1) < 0 {
		return errCut
	}
	return f.Store.InTx(ctx, fn)
}

func TestAStartThatDies(t *testing.T) {
	t.Parallel()
	// recovers checks that the sweep cleans up after a lost start.
	recovers := func(g *gateway) {
		g.t.Helper()
		lost := g.company.calls()[0].VerificationID
		g.want(lost, created, verification.NoMatch)
		_, err := g.Start(g.t.Context(), shop, request("k"))
		wantKind(g.t, err, verification.KindRaced)
		g.sweep()
		g.want(lost, created, verification.NoMatch)
		g.clock.forward(2*time.Minute + time.Second)
		g.sweep()
		g.want(lost, failed, verification.NoMatch)
		g.timeline(lost)
		g.company.answer = nil
		if again, err := g.Start(g.t.Context(), shop, request("k")); err != nil || again.ID == lost {
			g.t.Errorf("the key was not released: %v", err)
		}
	}
	sentences(t, map[string]func(g *gateway){
		"in the provider's adapter is failed by the sweep": func(g *gateway) {
			g.company.answer = func(context.Context, verification.StartSession) (verification.Session, error) {
				panic("an adapter's bug")
			}
			func() {
				defer func() {
					if recover() == nil {
						g.t.Error("the panic was swallowed")
					}
				}()
				_, _ = g.Start(g.t.Context(), shop, request("k"))
			}()
			recovers(g)
		},
		"with its database is failed by the sweep": func(g *gateway) {
			broken := &cutStore{Store: g.store}
			broken.left.Store(1)
			_, err := g.node(broken).Start(g.t.Context(), shop, request("k"))
			wantKind(g.t, err, verification.KindUnavailable)
			recovers(g)
		},
		"with its database is finished by an exact webhook": func(g *gateway) {
			broken := &cutStore{Store: g.store}
			broken.left.Store(1)
			_, err := g.node(broken).Start(g.t.Context(), shop, request("k"))
			wantKind(g.t, err, verification.KindUnavailable)
			id := g.company.calls()[0].VerificationID
			g.deliver(withID(g.webhook(passed), id.String()), applied)
			g.clock.forward(time.Hour)
			g.sweep()
			g.want(id, approved, verification.Exact)
		},
		"with its caller, while the provider is asked, is failed at once": func(g *gateway) {
			ctx, cancel := context.WithCancel(g.t.Context())
			g.company.answer = func(ctx context.Context, _ verification.StartSession) (verification.Session, error) {
				cancel()
				return verification.Session{}, errProviderDown.WithCause(ctx.Err())
			}
			_, err := g.Start(ctx, shop, request("k"))
			if !errors.Is(err, context.Canceled) {
				g.t.Errorf("the error is %v", err)
			}
			g.want(g.company.calls()[0].VerificationID, failed, verification.NoMatch)
		},
		"with its caller, after the provider answered, keeps the session": func(g *gateway) {
			ctx, cancel := context.WithCancel(g.t.Context())
			g.company.answer = func(_ context.Context, r verification.StartSession) (verification.Session, error) {
				cancel()
				return ordinary(r), nil
			}
			_, _ = g.Start(ctx, shop, request("k"))
			id := g.company.calls()[0].VerificationID
			g.want(id, pending, verification.NoMatch)
			if again, err := g.Start(g.t.Context(), shop, request("k")); err != nil || again.ID != id || again.HostedURL == "" {
				g.t.Errorf("the retry gives %+v (%v)", again, err)
			}
		},
	})
}

func TestStartTellsTheProviderOnlyOurLegs(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	id := g.start("identity")
	r := g.company.calls()[0]
	nonce := g.company.nonceOf(t, id)
	if r.ReturnURL != legs+"/"+nonce || r.FailureReturnURL != legs+"/"+nonce+"/failure" {
		t.Errorf("the legs are %q and %q", r.ReturnURL, r.FailureReturnURL)
	}
	if v := g.get(id); !r.ExpireTime.Equal(v.ExpireTime) || v.GraceUntil.Sub(v.ExpireTime) != grace {
		t.Errorf("the page ends at %s, the verification at %s, grace until %s", r.ExpireTime, v.ExpireTime, v.GraceUntil)
	}
}

func TestTheProvidersShorterTimeWins(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	ends := g.clock.Now().Add(lifetime / 2)
	g.company.answer = func(_ context.Context, r verification.StartSession) (verification.Session, error) {
		s := ordinary(r)
		s.ExpireTime = ends
		return s, nil
	}
	if v := g.get(g.start("identity")); !v.ExpireTime.Equal(ends) || !v.GraceUntil.Equal(ends.Add(grace)) {
		t.Errorf("it expires at %s, grace until %s; want %s and %s later", v.ExpireTime, v.GraceUntil, ends, grace)
	}
}

func TestStartRefusesWhatItMust(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	for name, c := range map[string]struct {
		change func(*verification.StartRequest)
		kind   verification.Kind
		says   string
	}{
		"an unknown flow":           {func(r *verification.StartRequest) { r.Flow = "nope" }, verification.KindNotFound, "flows"},
		"a redirect off the list":   {func(r *verification.StartRequest) { r.RedirectURL = "https://evil.test" }, verification.KindInvalid, "redirect_url: "},
		"a failure redirect":        {func(r *verification.StartRequest) { r.FailureRedirectURL = "javascript:alert(1)" }, verification.KindInvalid, "failure_redirect_url: "},
		"a callback without https":  {func(r *verification.StartRequest) { r.CallbackURL = "http://a.test" }, verification.KindInvalid, "callback_url: "},
		"an events callback as app": {func(r *verification.StartRequest) { r.EventsCallbackURL = "myapp://x" }, verification.KindInvalid, "events_callback_url: "},
	} {
		r := request("")
		c.change(&r)
		_, err := g.Start(t.Context(), shop, r)
		wantKind(t, err, c.kind)
		if !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: the error %q does not say %q", name, err, c.says)
		}
	}
	if calls := g.company.calls(); len(calls) != 0 {
		t.Errorf("the provider was asked %d times", len(calls))
	}
}
