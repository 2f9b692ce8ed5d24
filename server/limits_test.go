package server_test

import (
	"net/http"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/verification"
)

// few is a rate of a few in a time that no test reaches the end of.
func few(count int) config.Rate { return config.Rate{Count: count, Per: time.Hour} }

// wantLimited fails unless err says that it is too much, and when to retry.
func wantLimited(t *testing.T, err error, reason string) {
	t.Helper()
	wantError(t, err, connect.CodeResourceExhausted, reason, true)
	if wait := details[*errdetails.RetryInfo](t, err)[0].GetRetryDelay().AsDuration(); wait <= 0 {
		t.Errorf("%v: retry after %v", err, wait)
	}
}

// wantCounted fails unless a rate refused so many.
func (g *gateway) wantCounted(limit string, want float64) {
	g.t.Helper()
	if n := g.metric(`verigate_limited_total{limit="` + limit + `"}`); n != want {
		g.t.Errorf("%s refused %v by the metric, want %v", limit, n, want)
	}
}

func TestAKeyThatCallsTooOftenIsToldWhenToRetryAndOthersAreNot(t *testing.T) {
	t.Parallel()
	g := open(t, func(c *config.Config) { c.Limits.PerKey = few(2) })
	list := &verigatev1.ListVerificationsRequest{}
	for range 2 {
		if err := send(t.Context(), g.api(g.key), list); err != nil {
			t.Fatal(err)
		}
	}
	for _, w := range wires() {
		wantLimited(t, send(t.Context(), g.apiOver(w, g.key), list), "RATE_LIMITED")
	}
	wantLimited(t, send(t.Context(), g.api(g.key), &verigatev1.WatchStatusRequest{Id: nothing().id}), "RATE_LIMITED")
	if err := send(t.Context(), g.api(g.newKey(shopTest())), list); err != nil {
		t.Errorf("another key of the same tenant: %v", err)
	}
	g.wantCounted("per_key", float64(len(wires())+1))
}

func TestAnEndUserAndAClientTokenThatCallTooOftenAreLimitedEachForItself(t *testing.T) {
	t.Parallel()
	users := newIssuer(t)
	g := openFor(t, users, func(c *config.Config) { c.Limits.PerSubject = few(2) })
	started := g.start(g.api(g.key))
	get := &verigatev1.GetVerificationRequest{Id: started.GetVerification().GetId()}
	ann, token := g.api(users.token("ann")), g.api(started.GetClientToken())
	for range 2 {
		wantCode(t, send(t.Context(), ann, get), connect.CodeNotFound)
		if err := send(t.Context(), token, get); err != nil {
			t.Fatal(err)
		}
	}
	wantLimited(t, send(t.Context(), ann, get), "RATE_LIMITED")
	wantLimited(t, send(t.Context(), g.api(users.sign(users.claimsOf("ann", time.Minute))), get), "RATE_LIMITED")
	wantLimited(t, send(t.Context(), token, get), "RATE_LIMITED")
	wantCode(t, send(t.Context(), g.api(users.token("bob")), get), connect.CodeNotFound)
	g.wantCounted("per_subject", 3)
}

func TestStartsOfOneSubjectAreLimitedWhoeverCalls(t *testing.T) {
	t.Parallel()
	users := newIssuer(t)
	g := openFor(t, users, func(c *config.Config) { c.Limits.StartsPerSubject = few(2) })
	startFor(t, g.api(g.key), "ann", "")
	startFor(t, g.api(users.token("ann")), "", "")
	wantLimited(t, send(t.Context(), g.api(g.key), &verigatev1.StartVerificationRequest{Flow: "identity", Subject: "ann"}), "RATE_LIMITED")
	wantLimited(t, send(t.Context(), g.api(users.token("ann")), &verigatev1.StartVerificationRequest{Flow: "identity"}), "RATE_LIMITED")
	startFor(t, g.api(g.key), "bob", "")
	startFor(t, g.api(g.newKey(acmeTest())), "ann", "")
	g.wantCounted("starts_per_subject", 2)
}

func TestAFlowTakesNoMoreOpenVerificationsThanItMay(t *testing.T) {
	t.Parallel()
	g := open(t, func(c *config.Config) {
		for i := range c.Flows {
			c.Flows[i].MaxOpen, c.Flows[i].MaxOpenPerSubject = 2, 1
		}
	})
	api := g.api(g.key)
	id := startFor(t, api, "ann", "").GetId()
	again := &verigatev1.StartVerificationRequest{Flow: "identity", Subject: "ann"}
	wantLimited(t, send(t.Context(), api, again), "SUBJECT_FULL")
	startFor(t, api, "bob", "")
	wantLimited(t, send(t.Context(), api, &verigatev1.StartVerificationRequest{Flow: "identity", Subject: "cid"}), "FLOW_FULL")
	startFor(t, g.api(g.newKey(acmeTest())), "ann", "")
	startFor(t, g.api(g.newKey(shopLive())), "ann", "")
	g.decide(id, verification.Passed)
	if err := send(t.Context(), api, again); err != nil {
		t.Errorf("after one was decided: %v", err)
	}
}

func TestOneClientTokenOrEndUserHoldsNoMoreWatchersThanItMay(t *testing.T) {
	t.Parallel()
	users := newIssuer(t)
	g := openFor(t, users, func(c *config.Config) { c.Watch.MaxPerToken = 2 })
	started := g.start(g.api(g.key))
	own := startFor(t, g.api(users.token("ann")), "", "")
	for name, c := range map[string]struct {
		credential string
		id         string
	}{
		"a client token": {started.GetClientToken(), started.GetVerification().GetId()},
		"an end user":    {users.token("ann"), own.GetId()},
	} {
		api, request := g.api(c.credential), &verigatev1.WatchStatusRequest{Id: c.id}
		first := watch(t, api, request)
		first.next()
		watch(t, api, request).next()
		wantLimited(t, send(t.Context(), api, request), "TOO_MANY_WATCHERS")
		wantLimited(t, send(t.Context(), api, &verigatev1.GetVerificationRequest{Id: c.id, AfterVersion: 9, Wait: longWait()}), "TOO_MANY_WATCHERS")
		watch(t, g.api(g.key), request).next()
		first.close()
		eventually(t, name+" has a place again", func() bool { return send(t.Context(), api, request) == nil })
	}
}

func TestAReloadChangesTheRatesAtOnce(t *testing.T) {
	t.Parallel()
	g := open(t, func(c *config.Config) { c.Limits.PerKey = few(1000) })
	api, list := g.api(g.key), &verigatev1.ListVerificationsRequest{}
	if err := send(t.Context(), api, list); err != nil {
		t.Fatal(err)
	}
	tight := *g.options.Config
	tight.Limits.PerKey = few(1)
	if err := g.server.Reload(&tight); err != nil {
		t.Fatal(err)
	}
	if err := send(t.Context(), api, list); err != nil {
		t.Errorf("the one that the new rate allows: %v", err)
	}
	wantLimited(t, send(t.Context(), api, list), "RATE_LIMITED")
	open := tight
	open.Limits = config.Limits{}
	if err := g.server.Reload(&open); err != nil {
		t.Fatal(err)
	}
	if err := send(t.Context(), api, list); err != nil {
		t.Errorf("after the limit was taken away: %v", err)
	}
}

// probe calls without a credential from a claimed address and says whether the
// address had had its share.
func (g *gateway) probe(forwarded ...string) bool {
	g.t.Helper()
	lines := []string{"Content-Type: application/json"}
	for _, f := range forwarded {
		lines = append(lines, "X-Forwarded-For: "+f, "Forwarded: for="+f, "X-Real-Ip: "+f)
	}
	a := g.call(http.MethodPost, service+"ListVerifications", "{}", lines...)
	if a.status != http.StatusUnauthorized && a.status != http.StatusTooManyRequests {
		g.t.Errorf("answered %d %s", a.status, a.body)
	}
	return a.status == http.StatusTooManyRequests
}

func TestAnAddressIsLimitedBeforeItsCredentialAndCannotTalkItsWayOut(t *testing.T) {
	t.Parallel()
	g := open(t, func(c *config.Config) { c.Limits.PerAddress = few(2) })
	for i := range 2 {
		if g.probe("203.0.113." + strconv.Itoa(i)) {
			t.Fatal("refused too early")
		}
	}
	if !g.probe("203.0.113.9") {
		t.Error("an untrusted peer got a fresh share by a header")
	}
	wantLimited(t, send(t.Context(), g.api(g.key), &verigatev1.ListVerificationsRequest{}), "RATE_LIMITED")
	a := g.call(http.MethodGet, "/return/some-nonce", "")
	if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" {
		t.Errorf("the way back answered %d, Retry-After %q", a.status, a.header.Get("Retry-After"))
	}
	g.wantCounted("per_address", 3)
}

func TestBehindATrustedProxyEachClientHasItsOwnShare(t *testing.T) {
	t.Parallel()
	g := open(t, func(c *config.Config) {
		c.Limits.PerAddress = few(1)
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	for _, c := range []struct {
		forwarded string
		refused   bool
	}{
		{"203.0.113.1", false}, {"203.0.113.1", true}, {"203.0.113.2", false},
		{"198.51.100.7, 203.0.113.2", true}, // what the client wrote itself counts for nothing
		{"2001:db8:0:1::1", false}, {"2001:db8:0:1::2", true}, {"2001:db8:0:2::1", false},
	} {
		if refused := g.probe(c.forwarded); refused != c.refused {
			t.Errorf("%s was refused: %t, want %t", c.forwarded, refused, c.refused)
		}
	}
}

func TestAnAddressThatSendsTooManyWebhooksIsAskedToSlowDownAndNothingIsLost(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	g := openOn(t, dsn, func(c *config.Config) { c.Limits.WebhooksPerAddress = few(1) })
	id := g.start(g.api(g.key)).GetVerification().GetId()
	g.deliver("fake", hook("ping", ""))
	last := hook(verification.Passed, id)
	a := g.deliver("fake", last)
	if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" {
		t.Errorf("answered %d, Retry-After %q", a.status, a.header.Get("Retry-After"))
	}
	g.wantCounted("webhooks_per_address", 1)
	if bodies, _ := deliveries(t, g, dsn); len(bodies) != 1 {
		t.Errorf("%d deliveries stored, want the first only", len(bodies))
	}
	open := *g.options.Config
	open.Limits = config.Limits{}
	if err := g.server.Reload(&open); err != nil {
		t.Fatal(err)
	}
	if a := g.deliver("fake", last); a.status != http.StatusOK {
		t.Errorf("the retry was answered %d", a.status)
	}
	if v := g.state(id); v.GetState() != approved {
		t.Errorf("it is %v", v)
	}
}
