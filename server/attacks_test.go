package server_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/verification"
)

// target is what somebody aims at, by its names.
type target struct{ id, reference, key, delivery, callback string }

// nothing is a target that does not exist.
func nothing() target {
	return target{
		id: "01900000-0000-7000-8000-000000000000", reference: "order-of-nobody", key: "0011223344556677",
		delivery: "01900000-0000-7000-8000-000000000001", callback: "01900000-0000-7000-8000-000000000002",
	}
}

// attack is one way to make a call.
type attack struct {
	name, method string
	// scope is what an API key needs for it.
	scope access.KeyScope
	// client tokens, end users: is the call for them?
	client, endUser bool
	// aimed tells that the call names a target.
	aimed bool
	aim   func(target) proto.Message
}

// attacks are all calls of the contract. A call that is not here fails
// TestTheWalkKnowsEveryCallOfTheContract.
func attacks() []attack {
	return slices.Concat(callerAttacks(), eventAttacks(), operatorAttacks(), deliveryAttacks(), callbackAttacks())
}

// eventAttacks follow what happens. The cursor of the stream is none, so that
// whoever may follow it is told so, and is not kept.
func eventAttacks() []attack {
	return []attack{
		{"stream events", "StreamEvents", access.EventsRead, false, false, false, func(target) proto.Message {
			return &verigatev1.StreamEventsRequest{AfterCursor: "no-cursor"}
		}},
		{"list events", "ListEvents", access.EventsRead, false, false, false, func(target) proto.Message {
			return &verigatev1.ListEventsRequest{}
		}},
	}
}

func callerAttacks() []attack {
	const write, read = access.VerificationsWrite, access.VerificationsRead
	return []attack{
		{"start", "StartVerification", write, false, true, false, func(target) proto.Message {
			return &verigatev1.StartVerificationRequest{Flow: "identity", Subject: "s"}
		}},
		{"get", "GetVerification", read, true, true, true, func(at target) proto.Message {
			return &verigatev1.GetVerificationRequest{Id: at.id}
		}},
		{"get by reference", "GetVerification", read, true, true, true, func(at target) proto.Message {
			return &verigatev1.GetVerificationRequest{Reference: at.reference}
		}},
		{"long poll", "GetVerification", read, true, true, true, func(at target) proto.Message {
			return &verigatev1.GetVerificationRequest{Id: at.id, Wait: longWait()}
		}},
		{"list", "ListVerifications", read, false, false, false, func(target) proto.Message {
			return &verigatev1.ListVerificationsRequest{}
		}},
		{"cancel", "CancelVerification", write, false, false, true, func(at target) proto.Message {
			return &verigatev1.CancelVerificationRequest{Id: at.id}
		}},
		{"watch", "WatchStatus", read, true, true, true, func(at target) proto.Message {
			return &verigatev1.WatchStatusRequest{Id: at.id}
		}},
	}
}

func operatorAttacks() []attack {
	const operator = access.OperatorScope
	return []attack{
		{"create a key", "CreateApiKey", operator, false, false, false, func(target) proto.Message {
			return &verigatev1.CreateApiKeyRequest{Name: "n", Scopes: []string{"operator"}}
		}},
		{"list keys", "ListApiKeys", operator, false, false, false, func(target) proto.Message {
			return &verigatev1.ListApiKeysRequest{}
		}},
		{"rotate a key", "RotateApiKey", operator, false, false, true, func(at target) proto.Message {
			return &verigatev1.RotateApiKeyRequest{Id: at.key, Overlap: durationpb.New(time.Hour)}
		}},
		{"revoke a key", "RevokeApiKey", operator, false, false, true, func(at target) proto.Message {
			return &verigatev1.RevokeApiKeyRequest{Id: at.key}
		}},
		{"erase a subject", "EraseSubject", operator, false, false, false, func(target) proto.Message {
			return &verigatev1.EraseSubjectRequest{Subject: "nobody", Reason: "ticket 1"}
		}},
		{"list audit entries", "ListAuditEntries", operator, false, false, false, func(target) proto.Message {
			return &verigatev1.ListAuditEntriesRequest{}
		}},
	}
}

// descriptor finds the attack's method in the contract.
func (a attack) descriptor(t *testing.T) protoreflect.MethodDescriptor {
	t.Helper()
	for _, method := range everyMethod() {
		if string(method.Name()) == a.method {
			return method
		}
	}
	t.Fatalf("the contract has no %s", a.method)
	return nil
}

// scene is a gateway with end users of two tenants, and something to aim at.
type scene struct {
	*gateway

	users, liveUsers *issuer
	// victim is a verification of shopTest with the subject "victim", an API key of
	// shopTest, a delivery that waits there, and a callback that nobody takes.
	victim target
	// owner may do everything in shopTest.
	owner string
}

func newScene(t *testing.T, dsn string, change func(*config.Config)) *scene {
	t.Helper()
	s := &scene{users: newIssuer(t), liveUsers: newIssuer(t)}
	s.gateway = openDeveloping(t, dsn, func(c *config.Config) {
		c.EndUsers = []config.EndUsers{s.users.of(shopTest()), s.liveUsers.of(shopLive())}
		letEndUsersStart(c)
		if change != nil {
			change(c)
		}
	})
	started, err := s.api(s.key).StartVerification(t.Context(), &verigatev1.StartVerificationRequest{
		Flow: "identity", Subject: "victim", Reference: "victim-order", IdempotencyKey: "victim-once",
		EventsCallbackUrl: deafBackend,
	})
	if err != nil {
		t.Fatal(err)
	}
	id := started.GetVerification().GetId()
	s.victim = target{
		id: id, reference: "victim-order", key: keyID(s.newKey(shopTest())), delivery: s.park(t), callback: s.queued(t, id),
	}
	s.owner = s.newKeyFor(shopTest(), access.KeyScopes()...)
	return s
}

// row is a verification as a token is bound to it.
func row(id string, scope verification.Scope, until time.Time) *verification.Verification {
	return &verification.Verification{ID: uuid.MustParse(id), Scope: scope, CreateTime: time.Now(), GraceUntil: until}
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

// strangers are Authorization headers that are good for nothing.
func (s *scene) strangers(t *testing.T) map[string]string {
	t.Helper()
	g, later := s.in(t), time.Now().Add(time.Hour)
	revoked := g.newKeyFor(shopTest(), access.KeyScopes()...)
	if _, err := g.admin().Revoke(t.Context(), shopTest(), keyID(revoked), command()); err != nil {
		t.Fatal(err)
	}
	lastYear := g.admin()
	lastYear.Now = func() time.Time { return time.Now().AddDate(-1, 0, 0) }
	_, expiredKey, err := lastYear.Create(t.Context(), shopTest(), "old", access.KeyScopes(), time.Hour, command())
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, strange := s.users.claimsOf("victim", time.Hour), newIssuer(t)
	elsewhere["aud"] = "https://api.another.example"
	clientToken := token(t, row(s.victim.id, shopTest(), later))
	bearer := map[string]string{
		"garbage":                              "garbage",
		"a key of another shape":               "vg_test_zz",
		"a key with bytes outside ASCII":       "vg_test_\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe_x",
		"a key that was never made":            "vg_test_0011223344556677_" + long(43),
		"a key with another secret":            strings.Join(append(strings.Split(s.owner, "_")[:3], long(43)), "_"),
		"a key with the other prefix":          strings.Replace(s.owner, "vg_test_", "vg_live_", 1),
		"a key with a letter more":             s.owner + "x",
		"a revoked key":                        revoked,
		"an expired key":                       expiredKey.Reveal(),
		"an expired client token":              token(t, row(s.victim.id, shopTest(), time.Now().Add(-time.Hour))),
		"a client token cut short":             clientToken[:len(clientToken)-1],
		"an expired access token":              s.users.sign(s.users.claimsOf("victim", -time.Minute)),
		"an access token for another audience": s.users.sign(elsewhere),
		"an access token by another key":       s.users.forge(s.users.claimsOf("victim", time.Hour)),
		"an access token without a signature":  s.users.unsigned(s.users.claimsOf("victim", time.Hour)),
		"an access token of a strange issuer":  strange.token("victim"),
	}
	headers := map[string]string{
		"another scheme": "Basic " + s.owner, "a bare key": s.owner, "an empty credential": "Bearer ", "a comma for a blank": "Bearer," + s.owner,
	}
	for name, credential := range bearer {
		headers[name] = "Bearer " + credential
	}
	return headers
}

// foreigner is somebody with a good credential for something else.
type foreigner struct {
	credential      string
	client, endUser bool
}

func (s *scene) foreigners(t *testing.T) map[string]foreigner {
	t.Helper()
	g, later := s.in(t), time.Now().Add(time.Hour)
	return map[string]foreigner{
		"another project's key":                     {credential: g.newKeyFor(acmeTest(), access.KeyScopes()...)},
		"the other environment's key":               {credential: g.newKeyFor(shopLive(), access.KeyScopes()...)},
		"another verification's token":              {credential: g.start(g.api(g.key)).GetClientToken(), client: true},
		"a token of another project":                {credential: token(t, row(s.victim.id, acmeTest(), later)), client: true},
		"a token of the other environment":          {credential: token(t, row(s.victim.id, shopLive(), later)), client: true},
		"another end user":                          {credential: s.users.token("somebody-else"), endUser: true},
		"the same subject of the other environment": {credential: s.liveUsers.token("victim"), endUser: true},
		"a subject that differs in case":            {credential: s.users.token("Victim"), endUser: true},
	}
}

// may reports whether the call is for such a credential at all.
func (f foreigner) may(a attack) bool {
	switch {
	case f.client:
		return a.client
	case f.endUser:
		return a.endUser
	default:
		return true
	}
}

// without is every scope but one.
func without(scope access.KeyScope) []access.KeyScope {
	return slices.DeleteFunc(access.KeyScopes(), func(s access.KeyScope) bool { return s == scope })
}
