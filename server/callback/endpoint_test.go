package callback_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/verigate/verigate/server/callback"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/verification"
)

func TestAReceiverThatKeepsFailingIsLeftAlone(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"with server errors":   status(500),
		"with too much to do":  status(429),
		"without any answer":   func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"with another path":    status(502),
		"in its own good time": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t, func(o *callback.Options) { o.AttemptTimeout, o.BreakFor = 200*time.Millisecond, time.Hour })
			broken, well := receive(t, answer), receive(t, nil)
			for range 5 {
				g.wantWait(g.one(broken.URL+"/path"), 5*time.Second)
			}
			broken.ids()
			first, second := g.one(broken.URL), g.one(broken.URL+"/other")
			wait, err := g.do(first)
			if err != nil || wait < time.Hour || wait > time.Hour+time.Second {
				t.Errorf("the next one is put off for %s (%v), want an hour", wait, err)
			}
			later, err := g.do(second)
			if err != nil || later <= wait {
				t.Errorf("the one after it is put off for %s (%v), want longer than %s", later, err, wait)
			}
			g.wantState(first, verification.CallbackPending, "", 0)
			if ids := broken.ids(); len(ids) != 0 {
				t.Errorf("it got %v while it was left alone", ids)
			}
			g.wantWait(g.one(well.URL), 0)
		})
	}
}

func TestAReceiverThatDoesNotLikeMessagesIsNotBroken(t *testing.T) {
	t.Parallel()
	g := newGateway(t, nil)
	r := receive(t, status(400))
	for range 8 {
		c := g.one(r.URL)
		g.wantWait(c, 5*time.Second)
		g.wantState(c, verification.CallbackPending, verification.CallbackStatus, 1)
	}
}

func TestAReceiverThatWorksAgainIsBelieved(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(o *callback.Options) { o.BreakFor = time.Nanosecond })
	r := receive(t, status(500, 500, 500, 500, 500, 200))
	for range 5 {
		g.wantWait(g.one(r.URL), 5*time.Second)
	}
	for range 3 {
		g.wantWait(g.one(r.URL), 0)
	}
}

func TestAReceiverThatWasNeverLetThroughIsGivenUp(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(o *callback.Options) { o.BreakFor = time.Hour })
	r := receive(t, status(500))
	for range 5 {
		g.wantWait(g.one(r.URL), 5*time.Second)
	}
	c := g.one(r.URL)
	const step, steps = 10 * time.Minute, 73 * 6
	for range steps {
		g.clock.move(step)
		if wait, err := g.do(c); err != nil || wait == 0 {
			t.Fatalf("the callback is put off for %s (%v)", wait, err)
		}
	}
	g.clock.move(time.Second)
	g.wantWait(c, 0)
	g.wantState(c, verification.CallbackDead, verification.CallbackExpired, 0)
}

func TestASlowReceiverTakesFourAtOnce(t *testing.T) {
	t.Parallel()
	const atOnce = 4
	g := newGateway(t, func(o *callback.Options) { o.Patience = time.Millisecond })
	release := make(chan struct{})
	slow := receive(t, func(http.ResponseWriter, *http.Request) { <-release })
	callbacks := make([]*verification.Callback, 0, atOnce)
	for range atOnce {
		callbacks = append(callbacks, g.one(slow.URL))
	}
	var running sync.WaitGroup
	for _, c := range callbacks {
		running.Go(func() {
			if wait, err := g.do(c); err != nil || wait != 0 {
				t.Errorf("the callback is put off for %s (%v)", wait, err)
			}
		})
	}
	for range atOnce {
		<-slow.got
	}
	c := g.one(slow.URL)
	if wait, err := g.do(c); err != nil || wait < time.Second || wait > 2*time.Second {
		t.Errorf("the fifth is put off for %s (%v), want about a second", wait, err)
	}
	g.wantState(c, verification.CallbackPending, "", 0)
	g.wantWait(g.one(receive(t, nil).URL), 0)
	close(release)
	running.Wait()
	g.clock.move(2 * time.Second)
	g.wantWait(c, 0)
}

func TestOneTenantLeavesHandsToOthersHoweverManyReceiversItHas(t *testing.T) {
	t.Parallel()
	const share = 3
	other := verification.Scope{Project: "other", Environment: verification.Test}
	g := newGateway(t, func(o *callback.Options) {
		o.Hands = 4 * share
		o.Secrets = func(verification.Scope) []secret.Value { return []secret.Value{secret.New(whsec("current"))} }
	})
	release := make(chan struct{})
	got := make(chan struct{}, share)
	slow := func(http.ResponseWriter, *http.Request) { got <- struct{}{}; <-release }
	var running sync.WaitGroup
	for range share {
		c := g.one(receive(t, slow).URL)
		running.Go(func() {
			if wait, err := g.do(c); err != nil || wait != 0 {
				t.Errorf("the callback is put off for %s (%v)", wait, err)
			}
		})
	}
	for range share {
		<-got
	}
	well := receive(t, nil)
	mine, theirs := g.one(well.URL), g.one(well.URL)
	if wait, err := g.do(mine); err != nil || wait < time.Second || wait > 2*time.Second {
		t.Errorf("one more is put off for %s (%v), want about a second", wait, err)
	}
	g.give(theirs, other)
	g.wantWait(theirs, 0)
	if ids := well.ids(); len(ids) != 1 {
		t.Errorf("%v arrived, want that of the other tenant", ids)
	}
	close(release)
	running.Wait()
	g.clock.move(2 * time.Second)
	g.wantWait(mine, 0)
}

// give makes a callback and its verification those of another scope.
func (g *gateway) give(c *verification.Callback, to verification.Scope) {
	g.t.Helper()
	conn, err := pgx.Connect(g.t.Context(), g.dsn)
	if err != nil {
		g.t.Fatal(err)
	}
	defer func() { _ = conn.Close(g.t.Context()) }()
	for table, key := range map[string]string{"verification": "id", "transition": "verification_id", "callback": "verification_id"} {
		if _, err := conn.Exec(g.t.Context(), "UPDATE "+table+" SET project = $1 WHERE "+key+" = $2", to.Project, c.VerificationID); err != nil {
			g.t.Fatal(err)
		}
	}
	c.Scope = to
}

func TestABusyReceiverGetsTheNextOneAsSoonAsATurnIsFree(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(o *callback.Options) { o.Patience = time.Hour })
	const all = 10
	release := make(chan struct{})
	slow := receive(t, func(http.ResponseWriter, *http.Request) { <-release })
	var running sync.WaitGroup
	for range all {
		c := g.one(slow.URL)
		running.Go(func() {
			if wait, err := g.do(c); err != nil || wait != 0 {
				t.Errorf("the callback is put off for %s (%v)", wait, err)
			}
		})
	}
	for range all {
		<-slow.got
		release <- struct{}{}
	}
	running.Wait()
}

func TestTwoDeadReceiversOfATenantDoNotHoldUpItsThird(t *testing.T) {
	t.Parallel()
	const hands, each = 64, 16
	g := newGateway(t, func(o *callback.Options) { o.Hands, o.Patience = hands, time.Millisecond })
	release := make(chan struct{})
	hang := func(http.ResponseWriter, *http.Request) { <-release }
	dead := []*receiver{receive(t, hang), receive(t, hang)}
	var running sync.WaitGroup
	for i := range each * len(dead) {
		c := g.one(dead[i%len(dead)].URL)
		running.Go(func() {
			if _, err := g.do(c); err != nil {
				t.Error(err)
			}
		})
	}
	for range 4 {
		<-dead[0].got
		<-dead[1].got
	}
	g.wantWait(g.one(receive(t, nil).URL), 0)
	close(release)
	running.Wait()
}
