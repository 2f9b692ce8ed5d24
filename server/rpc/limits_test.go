package rpc_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/access/limit"
)

// protocolsOfTheWire are the three that callers may speak.
func protocolsOfTheWire() map[string][]connecthttp.Option {
	return map[string][]connecthttp.Option{
		"Connect": nil, "gRPC": {connecthttp.WithGRPC()}, "gRPC-Web": {connecthttp.WithGRPCWeb()},
	}
}

// wantLimited fails unless err says when to come back.
func wantLimited(t *testing.T, what string, err error, wait time.Duration) {
	t.Helper()
	wantCode(t, what, err, connect.CodeResourceExhausted, "")
	if connect.CodeOf(err) != connect.CodeResourceExhausted {
		return
	}
	_, details := shown(t, err)
	reason, retries := "", 0
	for _, detail := range details {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			reason = d.GetReason()
		case *errdetails.RetryInfo:
			retries++
			if d.GetRetryDelay().AsDuration() != wait {
				t.Errorf("%s: come back after %v, want %v", what, d.GetRetryDelay().AsDuration(), wait)
			}
		}
	}
	if retries != 1 || reason != "RATE_LIMITED" {
		t.Errorf("%s: %d RetryInfo and the reason %q", what, retries, reason)
	}
}

func TestTooManyCallsAreToldWhenToComeBack(t *testing.T) {
	t.Parallel()
	once := limit.Rate{Count: 1, Per: time.Minute}
	list := func(v verigatev1connect.VerificationServiceClient, t *testing.T) error {
		_, err := v.ListVerifications(t.Context(), &verigatev1.ListVerificationsRequest{PageSize: 1})
		return err
	}
	watch := func(v verigatev1connect.VerificationServiceClient, t *testing.T, id string) error {
		stream, err := v.WatchStatus(t.Context(), &verigatev1.WatchStatusRequest{Id: id})
		if err != nil {
			return err
		}
		defer func() { _ = stream.Close() }()
		_, err = stream.Receive()
		return err
	}
	for name, options := range protocolsOfTheWire() {
		for what, c := range map[string]struct {
			rates access.Rates
			call  func(v verigatev1connect.VerificationServiceClient, g *gateway, t *testing.T) error
		}{
			"an address": {access.Rates{PerAddress: once}, func(v verigatev1connect.VerificationServiceClient, _ *gateway, t *testing.T) error { return list(v, t) }},
			"a key":      {access.Rates{PerKey: once}, func(v verigatev1connect.VerificationServiceClient, _ *gateway, t *testing.T) error { return list(v, t) }},
			"a key's streams": {access.Rates{PerKey: once}, func(v verigatev1connect.VerificationServiceClient, g *gateway, t *testing.T) error {
				return watch(v, t, g.id())
			}},
			"the starts of a subject": {access.Rates{StartsPerSubject: once}, func(v verigatev1connect.VerificationServiceClient, _ *gateway, t *testing.T) error {
				_, err := v.StartVerification(t.Context(), &verigatev1.StartVerificationRequest{Flow: "identity", Subject: "alice"})
				return err
			}},
		} {
			t.Run(what+" over "+name, func(t *testing.T) {
				t.Parallel()
				g := newGateway(t, slowTiming())
				_, key := g.key(t, access.BackendScopes()...)
				v := g.as(t, key, options...)
				g.limit(c.rates)
				if err := c.call(v, g, t); err != nil {
					t.Fatalf("the first call: %v", err)
				}
				wantLimited(t, "the second", c.call(v, g, t), time.Minute)
				g.forward(time.Minute)
				if err := c.call(v, g, t); err != nil {
					t.Errorf("after that time: %v", err)
				}
			})
		}
	}
}

func TestAClientTokenAndAnEndUserHaveRatesOfTheirOwn(t *testing.T) {
	t.Parallel()
	g := newGateway(t, slowTiming())
	g.limit(access.Rates{PerSubject: limit.Rate{Count: 1, Per: time.Minute}})
	_, key := g.key(t, access.BackendScopes()...)
	get := func(credential string) error {
		_, err := g.as(t, credential).GetVerification(t.Context(), &verigatev1.GetVerificationRequest{Id: g.id()})
		return err
	}
	for name, credential := range map[string]string{"a client token": g.token(t), "an end user": "user:alice"} {
		if err := get(credential); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		wantLimited(t, name+" again", get(credential), time.Minute)
	}
	for range 3 {
		if err := get(key); err != nil {
			t.Errorf("a key: %v", err)
		}
	}
}

func TestAnAddressIsLimitedBeforeItsCredentialIsLookedAt(t *testing.T) {
	t.Parallel()
	g := newGateway(t, slowTiming())
	g.limit(access.Rates{PerAddress: limit.Rate{Count: 1, Per: time.Minute}})
	wantUnauthenticated(t, "the first guess", g.lists(t, "vg_test_0011223344556677_guess"))
	wantLimited(t, "the second guess", g.lists(t, "vg_test_0011223344556677_guess"), time.Minute)
	if told := g.calls.reasons(); len(told) != 1 {
		t.Errorf("%d credentials were looked at: %v", len(told), told)
	}
}

func TestARefusedCredentialTakesNothingFromACaller(t *testing.T) {
	t.Parallel()
	g := newGateway(t, slowTiming())
	g.limit(access.Rates{PerKey: limit.Rate{Count: 1, Per: time.Minute}})
	_, key := g.key(t, access.BackendScopes()...)
	for range 3 {
		wantUnauthenticated(t, "a guess at the key's secret", g.lists(t, key[:strings.LastIndexByte(key[:25], '_')+1]+"guess"))
	}
	if err := g.lists(t, key); err != nil {
		t.Errorf("the key itself: %v", err)
	}
}

// listener is Limits that remembers whom it was asked about.
type listener struct {
	mu    sync.Mutex
	asked []string
}

func (l *listener) note(what string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, what)
	return nil
}

func (l *listener) Address(bucket string) error              { return l.note("address " + bucket) }
func (l *listener) Caller(p access.Principal) error          { return l.note("caller " + p.KeyID) }
func (l *listener) Start(_ access.Principal, s string) error { return l.note("start " + s) }

func TestTheLimitsAreAskedAboutTheCallersAddressThenItselfThenItsSubject(t *testing.T) {
	t.Parallel()
	limits := &listener{}
	e := newEdgeWith(t, everybody{}, limits, &vault{}, slowTiming(), time.Minute)
	_, err := overHTTP(t, e.serve(t), false).StartVerification(t.Context(), &verigatev1.StartVerificationRequest{Flow: "identity", Subject: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"address 127.0.0.1", "caller k", "start alice"}; !slices.Equal(limits.asked, want) {
		t.Errorf("asked about %q, want %q", limits.asked, want)
	}
}
