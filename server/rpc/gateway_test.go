package rpc_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/access/enduser"
	"github.com/verigate/verigate/server/park"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/verification"
)

// testTokens signs and checks the client tokens of all tests.
var testTokens = sync.OnceValue(func() *access.Tokens {
	tokens, err := access.NewTokens([]access.TokenKey{{ID: "k1", Secret: secret.New(strings.Repeat("s", access.MinTokenSecret))}})
	if err != nil {
		panic(err)
	}
	return tokens
})

// oneFlow is a configuration with one flow, which end users may start.
type oneFlow struct{}

func (oneFlow) Flow(s verification.Scope, name string) (*verification.Flow, bool) {
	return &verification.Flow{
		Name: "identity", Scope: s, Connection: "fake", Product: "identity", EndUsers: true, Lifetime: time.Hour, Grace: time.Hour,
	}, s == scope() && name == "identity"
}

func (c oneFlow) FlowFor(_, product string) (*verification.Flow, bool) {
	return c.Flow(scope(), product)
}

func (oneFlow) Provider(string) (verification.Provider, bool) { return company{}, true }

func (oneFlow) Pollable(string) bool { return false }

func (oneFlow) CallsBack(verification.Scope) bool { return true }

// company opens a page for everybody.
type company struct{}

func (company) Start(_ context.Context, r verification.StartSession) (verification.Session, error) {
	return verification.Session{HostedURL: "https://provider.example.com/" + r.VerificationID.String()}, nil
}

// users takes user:<subject> for the token of an end user that ends at end.
type users struct{ end time.Time }

func (users) Knows(credential string) bool { return strings.HasPrefix(credential, "user:") }

func (users) Serves(verification.Scope, string) bool { return true }

func (u users) Verify(_ context.Context, credential string) (enduser.User, error) {
	subject := strings.TrimPrefix(credential, "user:")
	if subject == "" {
		return enduser.User{}, fmt.Errorf("%w: it has no subject", enduser.ErrRefused)
	}
	return enduser.User{Scope: scope(), Subject: subject, ExpireTime: u.end}, nil
}

// gateway is the API behind real credentials and limits, over real HTTP.
type gateway struct {
	*edge

	url   string
	admin *access.Admin

	mu    sync.Mutex
	rates access.Rates
	clock time.Time
}

func newGateway(t *testing.T, timing park.Timing) *gateway {
	t.Helper()
	g := &gateway{clock: time.Now()}
	keys := &vault{}
	end := g.clock.Add(time.Hour)
	auth := &access.Authenticator{
		Keys: keys, Tokens: testTokens, EndUsers: func() access.EndUsers { return users{end} }, Now: g.now,
	}
	limits := access.NewLimits(
		func() access.Rates { g.mu.Lock(); defer g.mu.Unlock(); return g.rates }, g.now, func(string) {})
	g.edge = newEdgeWith(t, auth, limits, keys, timing, time.Minute)
	g.admin = &access.Admin{Store: keys, Random: rand.Reader, Now: g.now}
	g.row.change(func(v *verification.Verification) {
		v.Subject, v.Reference, v.Flow = "alice", "order-1", "identity"
		v.HostedURL, v.Metadata = "https://provider.example.com/page", map[string]string{"cart": "7"}
		v.CreateTime, v.GraceUntil = g.clock, g.clock.Add(time.Hour)
	})
	g.url = g.serve(t)
	return g
}

func (g *gateway) now() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.clock
}

// forward lets the time of credentials and limits pass.
func (g *gateway) forward(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.clock = g.clock.Add(d)
}

// limit puts rates in force.
func (g *gateway) limit(rates access.Rates) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rates = rates
}

// key makes an API key and returns its id and text.
func (g *gateway) key(t *testing.T, scopes ...access.KeyScope) (id, text string) {
	t.Helper()
	key, value, err := g.admin.Create(t.Context(), scope(), "test", scopes, 0, verification.Operator{Actor: "signal"})
	if err != nil {
		t.Fatal(err)
	}
	return key.ID, value.Reveal()
}

// token is the client token of the row.
func (g *gateway) token(t *testing.T) string {
	t.Helper()
	v := g.row.now()
	text, err := testTokens().Issue(&v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (g *gateway) as(t *testing.T, credential string, options ...connecthttp.Option) verigatev1connect.VerificationServiceClient {
	t.Helper()
	return verigatev1connect.NewVerificationServiceClient(dial(t, g.url, credential, true, options...))
}

func (g *gateway) asOperator(t *testing.T, credential string) verigatev1connect.OperatorServiceClient {
	t.Helper()
	return verigatev1connect.NewOperatorServiceClient(dial(t, g.url, credential, false))
}

// wantCode fails unless err has a code and, if one is given, the message.
func wantCode(t *testing.T, what string, err error, code connect.Code, message string) {
	t.Helper()
	if connect.CodeOf(err) != code || err == nil {
		t.Errorf("%s: %v, want %v", what, err, code)
		return
	}
	if told, _ := shown(t, err); message != "" && told.Message() != message {
		t.Errorf("%s: the caller is told %q, want %q", what, told.Message(), message)
	}
}

// wantUnauthenticated fails unless err is the one refusal with the one text.
func wantUnauthenticated(t *testing.T, what string, err error) {
	t.Helper()
	wantCode(t, what, err, connect.CodeUnauthenticated, access.ErrUnauthenticated.Error())
}
