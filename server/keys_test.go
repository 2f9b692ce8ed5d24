package server_test

import (
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/durationpb"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/pgdev/pgtest"
)

// works makes a call with a key.
func (g *gateway) works(key string) error {
	g.t.Helper()
	return send(g.t.Context(), g.api(key), &verigatev1.ListVerificationsRequest{})
}

// wantRefused fails unless a key is as good as none.
func (g *gateway) wantRefused(key string) {
	g.t.Helper()
	wantError(g.t, g.works(key), connect.CodeUnauthenticated, "UNAUTHENTICATED", false)
}

// make makes a key by the operator's call.
func makeKey(t *testing.T, api verigatev1connect.OperatorServiceClient, r *verigatev1.CreateApiKeyRequest) *verigatev1.CreateApiKeyResponse {
	t.Helper()
	made, err := api.CreateApiKey(t.Context(), r)
	if err != nil {
		t.Fatalf("CreateApiKey: %v", err)
	}
	return made
}

// findKey returns a key as the operator sees it.
func findKey(t *testing.T, api verigatev1connect.OperatorServiceClient, id string) *verigatev1.ApiKey {
	t.Helper()
	list, err := api.ListApiKeys(t.Context(), &verigatev1.ListApiKeysRequest{})
	if err != nil {
		t.Fatalf("ListApiKeys: %v", err)
	}
	for _, key := range list.GetApiKeys() {
		if key.GetId() == id {
			return key
		}
	}
	t.Fatalf("no key %s in %v", id, list)
	return nil
}

func TestAKeyOfTheOperatorsCallWorksAtOnceOnEveryNodeAndIsShownOnce(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	one, two := openOn(t, dsn, nil), openOn(t, dsn, nil)
	operator := one.operatorAPI(one.newOperatorKey(shopTest()))
	made := makeKey(t, operator, &verigatev1.CreateApiKeyRequest{
		Name: "checkout", Scopes: []string{"verifications:read"}, ExpiresIn: durationpb.New(time.Hour),
	})
	if k := made.GetApiKey(); k.GetEnvironment() != "test" || k.GetName() != "checkout" || k.GetExpireTime() == nil || k.GetId() != keyID(made.GetSecret()) {
		t.Errorf("made %v", k)
	}
	for _, g := range []*gateway{one, two} {
		if err := g.works(made.GetSecret()); err != nil {
			t.Errorf("the new key: %v", err)
		}
	}
	if len(made.GetSecret()) < len("vg_test_0011223344556677_")+43 {
		t.Errorf("the secret has %d bytes, too few for 256 bits", len(made.GetSecret()))
	}
	shown := rowsOf(t, dsn, "SELECT api_key::text FROM api_key WHERE id = $1", made.GetApiKey().GetId())
	if text := shown[0][0].(string); len(text) == 0 || containsAny(text, encodings(made.GetSecret()[len(made.GetSecret())-43:])) {
		t.Errorf("the database holds the secret: %s", text)
	}
	err := send(t.Context(), one.api(made.GetSecret()), begin(func(*verigatev1.StartVerificationRequest) {}))
	wantCode(t, err, connect.CodeUnauthenticated)
}

func TestARevokedKeyIsRefusedAtOnceOnEveryNodeAndItsStreamsEndWithinAHeartbeat(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	brisk := func(c *config.Config) { c.Watch.Heartbeat = 50 * time.Millisecond }
	one, two := openOn(t, dsn, brisk), openOn(t, dsn, brisk)
	key := one.newKey(shopTest())
	id := one.start(one.api(key)).GetVerification().GetId()
	streams := []*stream{}
	for _, w := range wires() {
		s := watch(t, two.apiOver(w, key), &verigatev1.WatchStatusRequest{Id: id})
		s.next()
		streams = append(streams, s)
	}
	kept := watch(t, two.api(one.key), &verigatev1.WatchStatusRequest{Id: id})
	kept.next()
	operator := one.operatorAPI(one.newOperatorKey(shopTest()))
	for range 2 {
		revoked, err := operator.RevokeApiKey(t.Context(), &verigatev1.RevokeApiKeyRequest{Id: keyID(key)})
		if err != nil || revoked.GetApiKey().GetRevokeTime() == nil {
			t.Fatalf("RevokeApiKey: %v, %v", revoked, err)
		}
	}
	one.wantRefused(key)
	two.wantRefused(key)
	for _, s := range streams {
		wantError(t, untilError(s), connect.CodeUnauthenticated, "UNAUTHENTICATED", false)
	}
	if u := kept.next(); u.GetKind() != heartbeat {
		t.Errorf("another key's stream said %v", u)
	}
	if n := two.metric(`verigate_credentials_refused_total{reason="revoked"}`); n != float64(len(streams)+1) {
		t.Errorf("the other node counted %v refusals, want one for each stream and the call", n)
	}
}

func TestAnExpiredKeyIsRefusedAndItsStreamEnds(t *testing.T) {
	t.Parallel()
	g := open(t, func(c *config.Config) { c.Watch.Heartbeat = 50 * time.Millisecond })
	// Made so long ago that it ends in a moment.
	past := g.admin()
	past.Now = func() time.Time { return time.Now().Add(2*time.Second - time.Hour) }
	_, text, err := past.Create(t.Context(), shopTest(), "short", access.BackendScopes(), time.Hour, command())
	if err != nil {
		t.Fatal(err)
	}
	id := g.start(g.api(text.Reveal())).GetVerification().GetId()
	updates := watch(t, g.api(text.Reveal()), &verigatev1.WatchStatusRequest{Id: id})
	updates.next()
	wantError(t, untilError(updates), connect.CodeUnauthenticated, "UNAUTHENTICATED", false)
	g.wantRefused(text.Reveal())
	if n := g.metric(`verigate_credentials_refused_total{reason="expired"}`); n != 2 {
		t.Errorf("%v expired credentials counted, want the stream's and the call's", n)
	}
}

func TestARotatedKeyWorksBesideItsSuccessorUntilTheOverlapEnds(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	operator := g.operatorAPI(g.newOperatorKey(shopTest()))
	made := makeKey(t, operator, &verigatev1.CreateApiKeyRequest{Name: "checkout", Scopes: []string{"verifications:read"}})
	rotate := func(id string, overlap time.Duration) *verigatev1.RotateApiKeyResponse {
		t.Helper()
		done, err := operator.RotateApiKey(t.Context(), &verigatev1.RotateApiKeyRequest{Id: id, Overlap: durationpb.New(overlap)})
		if err != nil {
			t.Fatalf("RotateApiKey: %v", err)
		}
		return done
	}
	first := rotate(made.GetApiKey().GetId(), time.Second)
	if k := first.GetApiKey(); k.GetName() != "checkout" || len(k.GetScopes()) != 1 || first.GetPredecessor().GetSuccessorId() != k.GetId() {
		t.Errorf("rotated to %v", first)
	}
	for _, key := range []string{made.GetSecret(), first.GetSecret()} {
		if err := g.works(key); err != nil {
			t.Errorf("during the overlap: %v", err)
		}
	}
	eventually(t, "the overlap is over", func() bool { return g.works(made.GetSecret()) != nil })
	g.wantRefused(made.GetSecret())
	if err := g.works(first.GetSecret()); err != nil {
		t.Errorf("the successor after the overlap: %v", err)
	}
	_, err := operator.RotateApiKey(t.Context(), &verigatev1.RotateApiKeyRequest{Id: made.GetApiKey().GetId()})
	wantError(t, err, connect.CodeFailedPrecondition, "API_KEY_ROTATED", false)
	second := rotate(first.GetApiKey().GetId(), 0)
	g.wantRefused(first.GetSecret())
	if err := g.works(second.GetSecret()); err != nil {
		t.Errorf("the successor without an overlap: %v", err)
	}
}

func TestTheLastUseOfAKeyIsKnownAfterItsNodeStopped(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	one, two := openOn(t, dsn, nil), openOn(t, dsn, nil)
	used, unused := one.newKey(shopTest()), one.newKey(shopTest())
	began := time.Now().Add(-time.Second)
	if err := one.works(used); err != nil {
		t.Fatal(err)
	}
	// A wrong secret is no use of the key.
	one.wantRefused(unused[:len(unused)-1] + "_")
	if err := one.stop(); err != nil {
		t.Fatal(err)
	}
	operator := two.operatorAPI(two.newOperatorKey(shopTest()))
	if at := findKey(t, operator, keyID(used)).GetLastUseTime(); at == nil || at.AsTime().Before(began) {
		t.Errorf("last used at %v, want since %v", at.AsTime(), began)
	}
	if at := findKey(t, operator, keyID(unused)).GetLastUseTime(); at != nil {
		t.Errorf("the unused key was last used at %v", at.AsTime())
	}
}

func TestAnOperatorKeyStartsAndReadsNothing(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	g.wantRefused(g.newOperatorKey(shopTest()))
	_, err := g.operatorAPI(g.key).ListApiKeys(t.Context(), &verigatev1.ListApiKeysRequest{})
	wantError(t, err, connect.CodeUnauthenticated, "UNAUTHENTICATED", false)
}
