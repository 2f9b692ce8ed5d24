package server_test

import (
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/verification"
)

// intruder is a credential that may not touch the victim's verification.
type intruder struct {
	name       string
	credential string
	// known tells that the credential is good for something else.
	known bool
	// client tells that it is a client token.
	client bool
}

// token signs a client token as the gateway would, for any row.
func token(t *testing.T, v *verification.Verification) string {
	t.Helper()
	tokens, err := access.NewTokens([]access.TokenKey{{ID: "k1", Secret: secret.New(tokenSecret)}})
	if err != nil {
		t.Fatal(err)
	}
	text, err := tokens.Issue(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func intruders(g *gateway, victim string) []intruder {
	g.t.Helper()
	later := time.Now().Add(time.Hour)
	id := uuid.MustParse(victim)
	revoked := g.newKey(shopTest())
	if ok, err := g.server.Store().RevokeKey(g.t.Context(), strings.Split(revoked, "_")[2], time.Now()); err != nil || !ok {
		g.t.Fatalf("RevokeKey: %t, %v", ok, err)
	}
	return []intruder{
		{name: "nothing"},
		{name: "garbage", credential: "garbage"},
		{name: "a key of another shape", credential: "vg_test_zz"},
		{name: "a key with bytes outside ASCII", credential: "vg_test_\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe_x"},
		{name: "a key that was never made", credential: "vg_test_0011223344556677_" + long(43)},
		{name: "a key with the other prefix", credential: strings.Replace(g.key, "vg_test_", "vg_live_", 1)},
		{name: "a revoked key", credential: revoked},
		{name: "an expired token", credential: token(g.t, &verification.Verification{ID: id, Scope: shopTest(), GraceUntil: time.Now().Add(-time.Hour)})},
		{name: "another project's key", credential: g.newKey(acmeTest()), known: true},
		{name: "the other environment's key", credential: g.newKey(shopLive()), known: true},
		{name: "another verification's token", credential: g.start(g.api(g.key)).GetClientToken(), known: true, client: true},
		{name: "a token of another project", credential: token(g.t, &verification.Verification{ID: id, Scope: acmeTest(), GraceUntil: later}), known: true, client: true},
		{name: "a token of the other environment", credential: token(g.t, &verification.Verification{ID: id, Scope: shopLive(), GraceUntil: later}), known: true, client: true},
	}
}

// walk is every call that could reach the victim.
func walk(victim *verigatev1.Verification) map[string]proto.Message {
	return map[string]proto.Message{
		"get":              &verigatev1.GetVerificationRequest{Id: victim.GetId()},
		"get by reference": &verigatev1.GetVerificationRequest{Reference: victim.GetReference()},
		"long poll":        &verigatev1.GetVerificationRequest{Id: victim.GetId(), Wait: longWait()},
		"cancel":           &verigatev1.CancelVerificationRequest{Id: victim.GetId()},
		"watch":            &verigatev1.WatchStatusRequest{Id: victim.GetId()},
	}
}

func TestNobodyReachesAnotherCallersVerification(t *testing.T) {
	t.Parallel()
	g := open(t, func(c *config.Config) { c.Flows = append(c.Flows, secretFlow()) })
	started, err := g.api(g.key).StartVerification(t.Context(), &verigatev1.StartVerificationRequest{
		Flow: "identity", Subject: "victim", Reference: "victim-order", IdempotencyKey: "victim-once",
	})
	if err != nil {
		t.Fatal(err)
	}
	victim := started.GetVerification()
	for _, in := range intruders(g, victim.GetId()) {
		t.Run(in.name, func(t *testing.T) {
			t.Parallel()
			api := g.in(t).api(in.credential)
			for name, request := range walk(victim) {
				want := connect.CodeUnauthenticated
				if in.known && (name != "cancel" || !in.client) {
					want = connect.CodeNotFound
				}
				wantTheOneText(t, name, send(t.Context(), api, request), want)
			}
			if !in.known || in.client {
				wantTheOneText(t, "start", send(t.Context(), api, begin(func(*verigatev1.StartVerificationRequest) {})), connect.CodeUnauthenticated)
				wantTheOneText(t, "list", send(t.Context(), api, &verigatev1.ListVerificationsRequest{}), connect.CodeUnauthenticated)
				return
			}
			list, err := api.ListVerifications(t.Context(), &verigatev1.ListVerificationsRequest{Subject: "victim"})
			if err != nil || len(list.GetVerifications()) != 0 {
				t.Errorf("list: %v, %v; want nothing", list, err)
			}
			err = send(t.Context(), api, &verigatev1.StartVerificationRequest{Flow: "shop-test-only", Subject: "s"})
			wantCode(t, err, connect.CodeNotFound)
			own, err := api.StartVerification(t.Context(), &verigatev1.StartVerificationRequest{
				Flow: "identity", Subject: "other", IdempotencyKey: "victim-once",
			})
			if err != nil || own.GetVerification().GetId() == victim.GetId() {
				t.Errorf("the same idempotency key elsewhere: %v, %v; want a verification of its own", own, err)
			}
		})
	}
}

// secretFlow is a flow that exists for one tenant only.
func secretFlow() verification.Flow {
	return verification.Flow{
		Name: "shop-test-only", Scope: shopTest(), Connection: "fake", Product: "id2", Lifetime: time.Hour, Grace: time.Hour,
	}
}

// wantTheOneText fails unless the error is the same for everything that is
// refused with this code: what differs tells something.
func wantTheOneText(t *testing.T, call string, err error, code connect.Code) {
	t.Helper()
	texts := map[connect.Code]struct{ message, reason string }{
		connect.CodeUnauthenticated: {access.ErrUnauthenticated.Message, "UNAUTHENTICATED"},
		connect.CodeNotFound:        {verification.ErrNotFound.Message, "VERIFICATION_NOT_FOUND"},
	}
	if err == nil || connect.CodeOf(err) != code {
		t.Errorf("%s: %v, want code %v", call, err, code)
		return
	}
	if want := code.String() + ": " + texts[code].message; err.Error() != want {
		t.Errorf("%s: %q, want %q", call, err, want)
	}
	infos := details[*errdetails.ErrorInfo](t, err)
	if len(infos) != 1 || infos[0].GetReason() != texts[code].reason || len(infos[0].GetMetadata()) != 0 {
		t.Errorf("%s: details %v, want the reason %s alone", call, infos, texts[code].reason)
	}
}

func TestAWebhookOfOneEnvironmentCannotTouchTheOther(t *testing.T) {
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

func TestARevokedKeyStopsWorkingAtOnce(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	key := g.newKey(shopTest())
	api := g.api(key)
	g.start(api)
	if _, err := g.server.Store().RevokeKey(t.Context(), strings.Split(key, "_")[2], time.Now()); err != nil {
		t.Fatal(err)
	}
	wantTheOneText(t, "list", send(t.Context(), api, &verigatev1.ListVerificationsRequest{}), connect.CodeUnauthenticated)
}
