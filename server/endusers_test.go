package server_test

import (
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/durationpb"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/verification"
)

// openFor starts a node whose shopTest has the users of an issuer.
func openFor(t *testing.T, users *issuer, change func(*config.Config)) *gateway {
	t.Helper()
	return openDeveloping(t, pgtest.New(t), func(c *config.Config) {
		c.EndUsers = []config.EndUsers{users.of(shopTest())}
		letEndUsersStart(c)
		if change != nil {
			change(c)
		}
	})
}

func TestAnEndUserStartsGetsAndWatchesItsOwnVerification(t *testing.T) {
	t.Parallel()
	users := newIssuer(t)
	g := openFor(t, users, nil)
	for _, w := range wires() {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			g := g.in(t)
			api := g.apiOver(w, users.token("ann"))
			v := startFor(t, api, "", "")
			if v.GetSubject() != "ann" || v.GetEnvironment() != "test" {
				t.Errorf("it started %v, want it for the token's subject", v)
			}
			updates := watch(t, api, &verigatev1.WatchStatusRequest{Id: v.GetId()})
			updates.next()
			g.decide(v.GetId(), verification.Passed)
			if u := updates.next(); u.GetState() != approved {
				t.Errorf("the stream said %v", u)
			}
			updates.end()
			got, err := api.GetVerification(t.Context(), &verigatev1.GetVerificationRequest{Id: v.GetId()})
			if err != nil || got.GetVerification().GetState() != approved {
				t.Errorf("GetVerification: %v, %v", got, err)
			}
		})
	}
}

func TestAnEndUserCannotSayWhoItIsOrWhatIsTheBackends(t *testing.T) {
	t.Parallel()
	users := newIssuer(t)
	g := openFor(t, users, nil)
	api := g.api(users.token("ann"))
	for field, r := range map[string]*verigatev1.StartVerificationRequest{
		"subject":             {Flow: "identity", Subject: "bob"},
		"reference":           {Flow: "identity", Reference: "order-1"},
		"metadata":            {Flow: "identity", Metadata: map[string]string{"k": "v"}},
		"callback_url":        {Flow: "identity", CallbackUrl: "https://backend.example.com/"},
		"events_callback_url": {Flow: "identity", EventsCallbackUrl: "https://backend.example.com/"},
		"expires_in":          {Flow: "identity", ExpiresIn: durationpb.New(2 * time.Hour)},
		"redirect_url":        {Flow: "identity", RedirectUrl: "https://evil.test/"},
	} {
		err := send(t.Context(), api, r)
		wantCode(t, err, connect.CodeInvalidArgument)
		wantField(t, err, field)
	}
	list, err := g.api(g.key).ListVerifications(t.Context(), &verigatev1.ListVerificationsRequest{})
	if err != nil || len(list.GetVerifications()) != 0 {
		t.Errorf("it left %v, %v", list, err)
	}
}

func TestAFlowThatIsNotForEndUsersDoesNotExistForThem(t *testing.T) {
	t.Parallel()
	users := newIssuer(t)
	g := openFor(t, users, func(c *config.Config) {
		for i := range c.Flows {
			c.Flows[i].EndUsers = false
		}
	})
	var told []string
	for _, flow := range []string{"identity", "never-declared"} {
		err := send(t.Context(), g.api(users.token("ann")), &verigatev1.StartVerificationRequest{Flow: flow})
		wantError(t, err, connect.CodeNotFound, "FLOW_NOT_FOUND", false)
		told = append(told, err.Error())
	}
	if told[0] != told[1] {
		t.Errorf("told %q of the one and %q of none", told[0], told[1])
	}
	g.start(g.api(g.key))
}

func TestAnEndUserSeesNoMetadataAndNoStrangersReference(t *testing.T) {
	t.Parallel()
	users := newIssuer(t)
	g := openFor(t, users, nil)
	started, err := g.api(g.key).StartVerification(t.Context(), &verigatev1.StartVerificationRequest{
		Flow: "identity", Subject: "ann", Reference: "order-9", Metadata: map[string]string{"score": "7"},
	})
	if err != nil {
		t.Fatal(err)
	}
	own := &verigatev1.GetVerificationRequest{Reference: "order-9"}
	got, err := g.api(users.token("ann")).GetVerification(t.Context(), own)
	if v := got.GetVerification(); err != nil || v.GetId() != started.GetVerification().GetId() || len(v.GetMetadata()) != 0 {
		t.Errorf("her own, started by the backend: %v, %v; want it without metadata", v, err)
	}
	wantCode(t, send(t.Context(), g.api(users.token("bob")), own), connect.CodeNotFound)
}

func TestAnIssuerThatIsDownOrLiesLetsNobodyInAndStopsNobodyElse(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*issuer){"down": func(i *issuer) { i.fail(true) }, "lying": (*issuer).lie} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			users := newIssuer(t)
			spoil(users)
			g := openFor(t, users, nil)
			for _, r := range []*verigatev1.StartVerificationRequest{{Flow: "identity"}, {Flow: "identity"}} {
				err := send(t.Context(), g.api(users.token("ann")), r)
				wantError(t, err, connect.CodeUnavailable, "ISSUER_UNAVAILABLE", true)
				if strings.Contains(err.Error(), "marked") {
					t.Errorf("%v repeats what the issuer said", err)
				}
			}
			id := g.start(g.api(g.key)).GetVerification().GetId()
			err := send(t.Context(), g.api(users.token("ann")), &verigatev1.WatchStatusRequest{Id: id})
			wantCode(t, err, connect.CodeUnavailable)
			if strings.Contains(g.logs.String(), "marked-") {
				t.Error("the log repeats what the issuer said")
			}
		})
	}
}

func TestKnownKeysServeWhileTheirIssuerIsDown(t *testing.T) {
	t.Parallel()
	users := newIssuer(t)
	g := openFor(t, users, nil)
	v := startFor(t, g.api(users.token("ann")), "", "")
	users.fail(true)
	if err := send(t.Context(), g.api(users.token("ann")), &verigatev1.GetVerificationRequest{Id: v.GetId()}); err != nil {
		t.Errorf("a token by a known key: %v", err)
	}
}

func TestAnIssuersNewKeyIsFetchedAndItsWithdrawnOneRefused(t *testing.T) {
	t.Parallel()
	users := newIssuer(t)
	g := openFor(t, users, nil)
	before := users.token("ann")
	startFor(t, g.api(before), "", "")
	users.rotate()
	startFor(t, g.api(users.token("ann")), "", "")
	if n := users.fetched(); n != 2 {
		t.Errorf("the keys were fetched %d times, want 2", n)
	}
	for range 5 {
		wantCode(t, send(t.Context(), g.api(before), &verigatev1.StartVerificationRequest{Flow: "identity"}), connect.CodeUnauthenticated)
	}
	if n := users.fetched(); n != 2 {
		t.Errorf("a withdrawn key id made the gateway fetch %d times", n-2)
	}
}

func TestAStreamEndsWithTheAccessTokenThatOpenedIt(t *testing.T) {
	t.Parallel()
	users := newIssuer(t)
	g := openFor(t, users, func(c *config.Config) { c.Watch.Heartbeat = 50 * time.Millisecond })
	v := startFor(t, g.api(users.token("ann")), "", "")
	// Signed when all else is there, and long enough for a slow machine to open a
	// stream with it.
	api := g.api(users.sign(users.claimsOf("ann", 10*time.Second)))
	updates := watch(t, api, &verigatev1.WatchStatusRequest{Id: v.GetId()})
	updates.next()
	err := untilError(updates)
	wantError(t, err, connect.CodeUnauthenticated, "UNAUTHENTICATED", false)
	wantCode(t, send(t.Context(), api, &verigatev1.WatchStatusRequest{Id: v.GetId()}), connect.CodeUnauthenticated)
	if n := g.metric(`verigate_credentials_refused_total{reason="expired"}`); n != 1 {
		t.Errorf("%v expired credentials counted, want the stream's", n)
	}
}

// untilError reads a stream until it ends with an error.
func untilError(s *stream) error {
	s.t.Helper()
	for {
		if _, err := s.in.Receive(); err != nil {
			return err
		}
	}
}

func TestAReloadEndsAnIssuersTokensAtOnceAndKeepsTheKeysOfTheOthers(t *testing.T) {
	t.Parallel()
	users := newIssuer(t)
	g := openFor(t, users, nil)
	v := startFor(t, g.api(users.token("ann")), "", "")
	get := &verigatev1.GetVerificationRequest{Id: v.GetId()}
	same := *g.options.Config
	same.Drain = time.Minute
	if err := g.server.Reload(&same); err != nil {
		t.Fatal(err)
	}
	if err := send(t.Context(), g.api(users.token("ann")), get); err != nil || users.fetched() != 1 {
		t.Errorf("after a reload of something else: %v, %d fetches; want the known keys", err, users.fetched())
	}
	gone := same
	gone.EndUsers = nil
	if err := g.server.Reload(&gone); err != nil {
		t.Fatal(err)
	}
	wantCode(t, send(t.Context(), g.api(users.token("ann")), get), connect.CodeUnauthenticated)
}
