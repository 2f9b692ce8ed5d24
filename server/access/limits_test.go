package access_test

import (
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/access/limit"
	"github.com/verigate/verigate/server/verification"
)

// gauge is Limits with rates and a clock that a test sets, and a meter.
type gauge struct {
	*access.Limits

	rates   access.Rates
	time    time.Time
	limited []string
}

func newGauge(rates access.Rates) *gauge {
	g := &gauge{rates: rates, time: now()}
	g.Limits = access.NewLimits(
		func() access.Rates { return g.rates },
		func() time.Time { return g.time },
		func(name string) { g.limited = append(g.limited, name) })
	return g
}

func someKey() access.Principal { return access.Principal{Scope: testScope(), KeyID: "k1"} }

func someUser() access.Principal { return access.Principal{Scope: testScope(), Subject: "alice"} }

// wantLimited fails unless err asks to come back after the wait.
func wantLimited(t *testing.T, err error, wait time.Duration) {
	t.Helper()
	e, ok := errors.AsType[*verification.Error](err)
	if !ok || e.Kind != verification.KindLimited || e.Reason != "RATE_LIMITED" || e.RetryAfter != wait {
		t.Errorf("got %#v, want it limited, to come back after %v", err, wait)
		return
	}
	if !strings.Contains(e.Error(), "retry after the time that RetryInfo tells") {
		t.Errorf("the caller is told %q, which does not help", e.Error())
	}
}

func TestEachLimitCountsWhatItIsFor(t *testing.T) {
	t.Parallel()
	two := limit.Rate{Count: 2, Per: time.Second}
	token := access.Principal{Scope: testScope(), VerificationID: uuid.Must(uuid.NewV7())}
	anotherToken := access.Principal{Scope: testScope(), VerificationID: uuid.Must(uuid.NewV7())}
	for name, c := range map[string]struct {
		rates access.Rates
		take  func(g *gauge) error
		other func(g *gauge) error
		meter string
	}{
		"calls with a key": {
			access.Rates{PerKey: two}, func(g *gauge) error { return g.Caller(someKey()) },
			func(g *gauge) error { return g.Caller(access.Principal{Scope: testScope(), KeyID: "k2"}) }, "per_key",
		},
		"calls of an end user": {
			access.Rates{PerSubject: two}, func(g *gauge) error { return g.Caller(someUser()) },
			func(g *gauge) error { return g.Caller(access.Principal{Scope: testScope(), Subject: "bob"}) }, "per_subject",
		},
		"calls with a client token": {
			access.Rates{PerSubject: two}, func(g *gauge) error { return g.Caller(token) },
			func(g *gauge) error { return g.Caller(anotherToken) }, "per_subject",
		},
		"starts of a subject": {
			access.Rates{StartsPerSubject: two}, func(g *gauge) error { return g.Start(someKey(), "alice") },
			func(g *gauge) error { return g.Start(someKey(), "bob") }, "starts_per_subject",
		},
		"calls from an address": {
			access.Rates{PerAddress: two}, func(g *gauge) error { return g.Address("192.0.2.1") },
			func(g *gauge) error { return g.Address("192.0.2.2") }, "per_address",
		},
		"webhooks from an address": {
			access.Rates{WebhooksPerAddress: two}, func(g *gauge) error { return g.Webhook("192.0.2.1") },
			func(g *gauge) error { return g.Webhook("192.0.2.2") }, "webhooks_per_address",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGauge(c.rates)
			for i := range 2 {
				if err := c.take(g); err != nil {
					t.Fatalf("number %d of 2: %v", i+1, err)
				}
			}
			wantLimited(t, c.take(g), 500*time.Millisecond)
			if err := c.other(g); err != nil {
				t.Errorf("somebody else is refused: %v", err)
			}
			if len(g.limited) != 1 || g.limited[0] != c.meter {
				t.Errorf("the meter counted %v, want %s", g.limited, c.meter)
			}
			g.time = g.time.Add(500 * time.Millisecond)
			if err := c.take(g); err != nil {
				t.Errorf("after the time that was asked for: %v", err)
			}
		})
	}
}

func TestNoLimitTakesFromAnother(t *testing.T) {
	t.Parallel()
	one := limit.Rate{Count: 1, Per: time.Hour}
	g := newGauge(access.Rates{PerKey: one, PerSubject: one, StartsPerSubject: one, PerAddress: one, WebhooksPerAddress: one})
	const same = "192.0.2.1"
	for name, take := range map[string]func() error{
		"a call from the address":    func() error { return g.Address(same) },
		"a webhook from the address": func() error { return g.Webhook(same) },
		"a call with the key":        func() error { return g.Caller(access.Principal{Scope: testScope(), KeyID: same}) },
		"a call of the subject":      func() error { return g.Caller(access.Principal{Scope: testScope(), Subject: same}) },
		"a start of the subject":     func() error { return g.Start(someKey(), same) },
	} {
		if err := take(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := take(); err == nil {
			t.Errorf("%s: twice", name)
		}
	}
}

// room is how many different callers one limit has buckets for.
const room = 100_000

// counted is everything that is counted by itself: each takes a call of
// somebody who is made up.
func counted(g *gauge) map[string]func(who string) error {
	all := map[string]func(who string) error{"addresses": g.Address, "webhooks": g.Webhook}
	for name, scope := range map[string]verification.Scope{
		"shop test": testScope(),
		"shop live": {Project: "shop", Environment: verification.Live},
		"acme test": {Project: "acme", Environment: verification.Test},
	} {
		all["keys of "+name] = func(who string) error { return g.Caller(access.Principal{Scope: scope, KeyID: who}) }
		all["subjects of "+name] = func(who string) error { return g.Caller(access.Principal{Scope: scope, Subject: who}) }
		all["starts of "+name] = func(who string) error { return g.Start(access.Principal{Scope: scope, KeyID: "k1"}, who) }
	}
	return all
}

func TestWhoeverUsesUpTheRoomOfOneLimitTakesItFromNobodyElse(t *testing.T) {
	t.Parallel()
	one := limit.Rate{Count: 1, Per: time.Hour}
	for _, flooded := range []string{"starts of shop test", "subjects of shop test", "addresses"} {
		t.Run(flooded, func(t *testing.T) {
			t.Parallel()
			g := newGauge(access.Rates{PerKey: one, PerSubject: one, StartsPerSubject: one, PerAddress: one, WebhooksPerAddress: one})
			flood := counted(g)[flooded]
			for i := range room {
				if err := flood(strconv.Itoa(i)); err != nil {
					t.Fatalf("number %d while there was room: %v", i, err)
				}
			}
			for name, take := range counted(g) {
				if err := take("first"); err != nil {
					t.Errorf("%s: the first newcomer: %v", name, err)
				}
				switch err := take("second"); {
				case name == flooded:
					wantLimited(t, err, time.Hour)
				case err != nil:
					t.Errorf("%s: the second newcomer: %v", name, err)
				}
			}
		})
	}
}

func TestTheFirstCallersOfATenantShareOneBurst(t *testing.T) {
	t.Parallel()
	const callers, burst = 64, 20
	rates := access.Rates{PerKey: limit.Rate{Count: burst, Per: time.Hour}}
	var let, refused atomic.Int64
	l := access.NewLimits(func() access.Rates { return rates }, now, func(string) { refused.Add(1) })
	start := make(chan struct{})
	var calling sync.WaitGroup
	for range callers {
		calling.Go(func() {
			<-start
			if l.Caller(someKey()) == nil {
				let.Add(1)
			}
		})
	}
	close(start)
	calling.Wait()
	if let.Load() != burst || refused.Load() != callers-burst {
		t.Errorf("%d were let in and %d counted as refused, want %d of %d let in", let.Load(), refused.Load(), burst, callers)
	}
}

func TestAStartCountsForItsSubjectWhoeverCalls(t *testing.T) {
	t.Parallel()
	g := newGauge(access.Rates{StartsPerSubject: limit.Rate{Count: 1, Per: time.Minute}})
	if err := g.Start(someKey(), "alice"); err != nil {
		t.Fatal(err)
	}
	wantLimited(t, g.Start(someUser(), "alice"), time.Minute)
	live := access.Principal{Scope: verification.Scope{Project: "shop", Environment: verification.Live}, Subject: "alice"}
	if err := g.Start(live, "alice"); err != nil {
		t.Errorf("the subject of the same name in live: %v", err)
	}
}

func TestNobodyIsAskedToComeBackWithinTheSameBreath(t *testing.T) {
	t.Parallel()
	g := newGauge(access.Rates{PerAddress: limit.Rate{Count: 1000, Per: time.Second}})
	for range 1000 {
		if err := g.Address("192.0.2.1"); err != nil {
			t.Fatal(err)
		}
	}
	wantLimited(t, g.Address("192.0.2.1"), 50*time.Millisecond)
}

func TestWithoutRatesNothingIsLimited(t *testing.T) {
	t.Parallel()
	g := newGauge(access.Rates{})
	for range 1000 {
		if err := errors.Join(g.Caller(someKey()), g.Caller(someUser()), g.Start(someKey(), "alice"),
			g.Address("192.0.2.1"), g.Webhook("192.0.2.1")); err != nil {
			t.Fatal(err)
		}
	}
	if g.limited != nil {
		t.Errorf("the meter counted %v", g.limited)
	}
}

func TestAReloadOfTheRatesTakesEffectAtOnce(t *testing.T) {
	t.Parallel()
	g := newGauge(access.Rates{PerKey: limit.Rate{Count: 1, Per: time.Hour}})
	if err := g.Caller(someKey()); err != nil {
		t.Fatal(err)
	}
	wantLimited(t, g.Caller(someKey()), time.Hour)
	g.rates = access.Rates{}
	if err := g.Caller(someKey()); err != nil {
		t.Errorf("without the limit: %v", err)
	}
	// No fresh burst comes with it: the bucket fills faster from here on.
	g.rates = access.Rates{PerKey: limit.Rate{Count: 60, Per: time.Minute}}
	wantLimited(t, g.Caller(someKey()), time.Second)
	g.time = g.time.Add(time.Second)
	if err := g.Caller(someKey()); err != nil {
		t.Errorf("with a wider limit, a second later: %v", err)
	}
}
