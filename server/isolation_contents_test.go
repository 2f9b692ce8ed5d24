package server_test

import (
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/verification"
)

// startFor starts a verification for a subject, which is empty for end users.
func startFor(t *testing.T, api verigatev1connect.VerificationServiceClient, subject, idempotencyKey string) *verigatev1.Verification {
	t.Helper()
	started, err := api.StartVerification(t.Context(), &verigatev1.StartVerificationRequest{
		Flow: "identity", Subject: subject, IdempotencyKey: idempotencyKey,
	})
	if err != nil {
		t.Fatalf("StartVerification: %v", err)
	}
	return started.GetVerification()
}

func TestEqualIdempotencyKeysOfDifferentCallersNeverMeet(t *testing.T) {
	t.Parallel()
	s := newScene(t, pgtest.New(t), nil)
	credentials := map[string]struct{ credential, subject string }{
		"a backend":                        {s.key, "ann"},
		"the other environment's backend":  {s.newKey(shopLive()), "ann"},
		"another project's backend":        {s.newKey(acmeTest()), "ann"},
		"the end user herself":             {s.users.token("ann"), ""},
		"another end user":                 {s.users.token("bob"), ""},
		"her namesake at the other issuer": {s.liveUsers.token("ann"), ""},
	}
	owners := make(map[string]string, len(credentials))
	for name, c := range credentials {
		first := startFor(t, s.api(c.credential), c.subject, "once")
		if other, met := owners[first.GetId()]; met {
			t.Errorf("%s was given the verification of %s", name, other)
		}
		owners[first.GetId()] = name
	}
	for name, c := range credentials {
		if again := startFor(t, s.api(c.credential), c.subject, "once"); owners[again.GetId()] != name {
			t.Errorf("%s, again, was given that of %q", name, owners[again.GetId()])
		}
	}
}

func TestAListNeverShowsAnotherTenantsVerifications(t *testing.T) {
	t.Parallel()
	s := newScene(t, pgtest.New(t), nil)
	startFor(t, s.api(s.key), "victim", "")
	first, err := s.api(s.key).ListVerifications(t.Context(), &verigatev1.ListVerificationsRequest{PageSize: 1})
	if err != nil || first.GetNextPageToken() == "" {
		t.Fatalf("the owner's first page: %v, %v", first, err)
	}
	for name, scope := range map[string]verification.Scope{"another project": acmeTest(), "the other environment": shopLive()} {
		api := s.api(s.newKey(scope))
		own := startFor(t, api, "victim", "").GetId()
		for _, r := range []*verigatev1.ListVerificationsRequest{
			{}, {Subject: "victim"}, {Flow: "identity", PageSize: 200},
		} {
			list, err := api.ListVerifications(t.Context(), r)
			if err != nil || len(list.GetVerifications()) != 1 || list.GetVerifications()[0].GetId() != own {
				t.Errorf("%s lists %v, %v; want its own one", name, list.GetVerifications(), err)
			}
		}
		list, err := api.ListVerifications(t.Context(), &verigatev1.ListVerificationsRequest{PageSize: 1, PageToken: first.GetNextPageToken()})
		if err != nil || len(list.GetVerifications()) != 0 {
			t.Errorf("%s with the owner's page token lists %v, %v; want nothing", name, list.GetVerifications(), err)
		}
	}
}

func TestAFlowOfAnotherTenantDoesNotExist(t *testing.T) {
	t.Parallel()
	s := newScene(t, pgtest.New(t), func(c *config.Config) {
		c.Flows = append(c.Flows, verification.Flow{
			Name: "shop-test-only", Scope: shopTest(), Connection: "fake", Product: "id2", EndUsers: true, Lifetime: time.Hour, Grace: time.Hour,
		})
	})
	for name, c := range map[string]struct{ credential, subject string }{
		"another project's key":       {s.newKey(acmeTest()), "s"},
		"the other environment's key": {s.newKey(shopLive()), "s"},
		"an end user of the other":    {s.liveUsers.token("s"), ""},
	} {
		var told []string
		for _, flow := range []string{"shop-test-only", "never-declared"} {
			err := send(t.Context(), s.api(c.credential), &verigatev1.StartVerificationRequest{Flow: flow, Subject: c.subject})
			wantError(t, err, connect.CodeNotFound, "FLOW_NOT_FOUND", false)
			told = append(told, err.Error())
		}
		if told[0] != told[1] {
			t.Errorf("%s is told %q of another's flow and %q of none", name, told[0], told[1])
		}
	}
}

func TestKeysAndAuditEntriesOfAnotherTenantAreInvisible(t *testing.T) {
	t.Parallel()
	s := newScene(t, pgtest.New(t), nil)
	for name, scope := range map[string]verification.Scope{"another project": acmeTest(), "the other environment": shopLive()} {
		operatorKey := s.newOperatorKey(scope)
		api := s.operatorAPI(operatorKey)
		keys, err := api.ListApiKeys(t.Context(), &verigatev1.ListApiKeysRequest{})
		if err != nil || len(keys.GetApiKeys()) != 1 || keys.GetApiKeys()[0].GetId() != keyID(operatorKey) {
			t.Errorf("%s lists the keys %v, %v; want its own one", name, keys, err)
		}
		for _, r := range []*verigatev1.ListAuditEntriesRequest{
			{PageSize: 200}, {Target: s.victim.key}, {Action: "api_key.create"},
		} {
			list, err := api.ListAuditEntries(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			for _, entry := range list.GetEntries() {
				if entry.GetTarget() != keyID(operatorKey) {
					t.Errorf("%s reads of %v", name, entry)
				}
			}
			if r.GetTarget() == "" && len(list.GetEntries()) != 1 {
				t.Errorf("%s reads %d entries, want the one of its own key", name, len(list.GetEntries()))
			}
		}
	}
}

func TestErasingASubjectLeavesTheSameNameOfOtherTenantsAlone(t *testing.T) {
	t.Parallel()
	s := newScene(t, pgtest.New(t), nil)
	live, acme := s.api(s.newKey(shopLive())), s.api(s.newKey(acmeTest()))
	twin, stranger := startFor(t, live, "victim", "").GetId(), startFor(t, acme, "victim", "").GetId()
	neighbor := startFor(t, s.api(s.key), "victim-2", "").GetId()
	done, err := s.operatorAPI(s.newOperatorKey(shopTest())).EraseSubject(t.Context(),
		&verigatev1.EraseSubjectRequest{Subject: "victim", Reason: "ticket 7"})
	if err != nil || done.GetVerifications() != 1 || done.GetCanceled() != 1 {
		t.Fatalf("EraseSubject: %v, %v; want one erased and canceled", done, err)
	}
	for id, api := range map[string]verigatev1connect.VerificationServiceClient{twin: live, stranger: acme, neighbor: s.api(s.key)} {
		got, err := api.GetVerification(t.Context(), &verigatev1.GetVerificationRequest{Id: id})
		if v := got.GetVerification(); err != nil || v.GetState() != pending || (v.GetSubject() != "victim" && v.GetSubject() != "victim-2") {
			t.Errorf("it is now %v, %v", v, err)
		}
	}
	erased := s.state(s.victim.id)
	if erased.GetSubject() != verification.ErasedSubject || erased.GetReference() != "" {
		t.Errorf("the erased one is %v", erased)
	}
}

func TestATestWebhookNeverTouchesALiveVerification(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	live := g.api(g.newKey(shopLive()))
	v := g.start(live).GetVerification()
	for _, connection := range []string{"fake", "fake-acme"} {
		if a := g.deliver(connection, hook(verification.Passed, v.GetId())); a.status != 200 {
			t.Errorf("%s answered %d", connection, a.status)
		}
	}
	got, err := live.GetVerification(t.Context(), &verigatev1.GetVerificationRequest{Id: v.GetId()})
	if err != nil || got.GetVerification().GetState() != pending {
		t.Errorf("after foreign webhooks: %v, %v; want it pending", got, err)
	}
	if n := g.metric(`verigate_deliveries_parked_total{connection="fake"}`); n != 1 {
		t.Errorf("%v deliveries parked, want 1", n)
	}
}

// A row of the other environment answers nothing but to its own credentials,
// whichever of the four kinds is tried.
func TestNoTestCredentialReadsOrChangesALiveVerification(t *testing.T) {
	t.Parallel()
	s := newScene(t, pgtest.New(t), nil)
	live := s.api(s.newKey(shopLive()))
	id := startFor(t, live, "victim", "").GetId()
	until := time.Now().Add(time.Hour)
	for name, credential := range map[string]string{
		"a test key":                    s.owner,
		"a test client token for it":    token(t, row(id, shopTest(), until)),
		"a test end user of that name":  s.users.token("victim"),
		"the test verification's token": token(t, row(s.victim.id, shopTest(), until)),
	} {
		for _, r := range []*verigatev1.GetVerificationRequest{{Id: id}, {Id: id, AfterVersion: 9, Wait: longWait()}} {
			if err := send(t.Context(), s.api(credential), r); connect.CodeOf(err) != connect.CodeNotFound {
				t.Errorf("%s: %v, want not_found", name, err)
			}
		}
		if err := send(t.Context(), s.api(credential), &verigatev1.CancelVerificationRequest{Id: id}); err == nil {
			t.Errorf("%s canceled it", name)
		}
	}
	got, err := live.GetVerification(t.Context(), &verigatev1.GetVerificationRequest{Id: id})
	if err != nil || got.GetVerification().GetVersion() != 2 {
		t.Errorf("it is now %v, %v", got, err)
	}
}
