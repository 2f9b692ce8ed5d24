package server_test

import (
	"errors"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/verification"
)

// wantError fails unless err has the code, the reason, and a RetryInfo exactly
// if retry says so.
func wantError(t *testing.T, err error, code connect.Code, reason string, retry bool) {
	t.Helper()
	wantCode(t, err, code)
	infos := details[*errdetails.ErrorInfo](t, err)
	if len(infos) != 1 || infos[0].GetReason() != reason || infos[0].GetDomain() != "verigate.v1" {
		t.Errorf("%v: ErrorInfo %v, want the reason %s", err, infos, reason)
	}
	retries := details[*errdetails.RetryInfo](t, err)
	if (len(retries) == 1) != retry {
		t.Errorf("%v: RetryInfo %v, want one %t", err, retries, retry)
	}
}

func TestErrorsArriveWholeOverEveryWire(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	g.provider.failStarts(verification.NewError(verification.KindUnavailable, "PROVIDER_UNAVAILABLE", "the provider does not answer").
		WithCause(errors.New("marked provider text")))
	for _, w := range wires() {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			g := g.in(t)
			api := g.apiOver(w, g.key)
			err := send(t.Context(), api, begin(func(*verigatev1.StartVerificationRequest) {}))
			wantError(t, err, connect.CodeUnavailable, "PROVIDER_UNAVAILABLE", true)
			if remote, ok := errors.AsType[*connect.Error](err); !ok || remote.Message() != "the provider does not answer" {
				t.Errorf("the message is %v", err)
			}
			err = send(t.Context(), api, &verigatev1.WatchStatusRequest{Id: "01900000-0000-7000-8000-000000000000"})
			wantError(t, err, connect.CodeNotFound, "VERIFICATION_NOT_FOUND", false)
			err = send(t.Context(), g.apiOver(w, "nobody"), &verigatev1.ListVerificationsRequest{})
			wantError(t, err, connect.CodeUnauthenticated, "UNAUTHENTICATED", false)
			err = send(t.Context(), g.apiOver(w, "nobody"), &verigatev1.WatchStatusRequest{Id: "01900000-0000-7000-8000-000000000000"})
			wantError(t, err, connect.CodeUnauthenticated, "UNAUTHENTICATED", false)
		})
	}
}

func TestEveryRefusalOfAStartHasItsReason(t *testing.T) {
	t.Parallel()
	g := open(t, func(c *config.Config) {
		c.Flows = append(c.Flows, verification.Flow{
			Name: "lane", Scope: shopTest(), Connection: "fake", Product: "lane", Exclusive: true, Lifetime: time.Hour, Grace: time.Hour,
		})
	})
	api := g.api(g.key)
	for _, r := range []*verigatev1.StartVerificationRequest{
		{Flow: "identity", Subject: "s", IdempotencyKey: "once"}, {Flow: "lane", Subject: "s"},
	} {
		if err := send(t.Context(), api, r); err != nil {
			t.Fatal(err)
		}
	}
	err := send(t.Context(), api, &verigatev1.StartVerificationRequest{Flow: "identity", Subject: "other", IdempotencyKey: "once"})
	wantError(t, err, connect.CodeAlreadyExists, "IDEMPOTENCY_KEY_REUSED", false)
	err = send(t.Context(), api, &verigatev1.StartVerificationRequest{Flow: "lane", Subject: "other"})
	wantError(t, err, connect.CodeResourceExhausted, "LANE_TAKEN", true)
	err = send(t.Context(), api, &verigatev1.StartVerificationRequest{Flow: "nothing", Subject: "s"})
	wantError(t, err, connect.CodeNotFound, "FLOW_NOT_FOUND", false)
	g.provider.failStarts(verification.NewError(verification.KindRefused, "PROVIDER_REFUSED_REQUEST", "no"))
	err = send(t.Context(), api, &verigatev1.StartVerificationRequest{Flow: "identity", Subject: "s"})
	wantError(t, err, connect.CodeFailedPrecondition, "PROVIDER_REFUSED_REQUEST", false)
	g.provider.failStarts(errors.New("marked detail"))
	err = send(t.Context(), api, &verigatev1.StartVerificationRequest{Flow: "identity", Subject: "s"})
	wantError(t, err, connect.CodeInternal, "INTERNAL", false)
}

func TestAFailedStartReleasesItsIdempotencyKey(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	api := g.api(g.key)
	request := &verigatev1.StartVerificationRequest{Flow: "identity", Subject: "s", IdempotencyKey: "once"}
	g.provider.failStarts(verification.NewError(verification.KindUnavailable, "PROVIDER_UNAVAILABLE", "later"))
	wantCode(t, send(t.Context(), api, request), connect.CodeUnavailable)
	g.provider.failStarts(nil)
	started, err := api.StartVerification(t.Context(), request)
	if err != nil || started.GetVerification().GetState() != pending {
		t.Errorf("the retry: %v, %v; want it started", started, err)
	}
}

func TestWithoutADatabaseEveryCallSaysRetry(t *testing.T) {
	t.Parallel()
	line := newCable(t, pgtest.New(t))
	g := openOn(t, line.dsn, nil)
	started := g.start(g.api(g.key))
	line.cut()
	for name, request := range walk(started.GetVerification()) {
		if name == "get by reference" {
			continue // it has none
		}
		wantError(t, send(t.Context(), g.api(g.key), request), connect.CodeUnavailable, "DATABASE_UNAVAILABLE", true)
		if name != "cancel" {
			wantError(t, send(t.Context(), g.api(started.GetClientToken()), request), connect.CodeUnavailable, "DATABASE_UNAVAILABLE", true)
		}
	}
	line.mend()
}
