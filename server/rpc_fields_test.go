package server_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"connectrpc.com/connect/v2"
	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
)

// wantField fails unless the error names the field, in a violation or in our
// own ErrorInfo.
func wantField(t *testing.T, err error, field string) {
	t.Helper()
	var named []string
	for _, violations := range details[*validate.Violations](t, err) {
		for _, v := range violations.GetViolations() {
			var path []string
			for _, element := range v.GetField().GetElements() {
				path = append(path, element.GetFieldName())
			}
			named = append(named, strings.Join(path, "."), v.GetRuleId())
		}
	}
	for _, info := range details[*errdetails.ErrorInfo](t, err) {
		named = append(named, info.GetMetadata()["field"])
	}
	for _, name := range named {
		if name == field {
			return
		}
	}
	t.Errorf("%v names %q, want %s", err, named, field)
}

// send makes the call that a request is for.
func send(ctx context.Context, api verigatev1connect.VerificationServiceClient, request proto.Message) error {
	switch r := request.(type) {
	case *verigatev1.StartVerificationRequest:
		_, err := api.StartVerification(ctx, r)
		return err
	case *verigatev1.GetVerificationRequest:
		_, err := api.GetVerification(ctx, r)
		return err
	case *verigatev1.ListVerificationsRequest:
		_, err := api.ListVerifications(ctx, r)
		return err
	case *verigatev1.CancelVerificationRequest:
		_, err := api.CancelVerification(ctx, r)
		return err
	case *verigatev1.WatchStatusRequest:
		stream, err := api.WatchStatus(ctx, r)
		if err != nil {
			return err
		}
		defer func() { _ = stream.Close() }()
		_, err = stream.Receive()
		return err
	}
	return nil
}

// begin is a good start, changed.
func begin(change func(*verigatev1.StartVerificationRequest)) *verigatev1.StartVerificationRequest {
	r := &verigatev1.StartVerificationRequest{Flow: "identity", Subject: "s"}
	change(r)
	return r
}

func long(n int) string { return strings.Repeat("a", n) }

type brokenRule struct {
	name    string
	request proto.Message
	field   string
}

func brokenStarts() []brokenRule {
	type start = verigatev1.StartVerificationRequest
	pairs := map[string]string{}
	for range 33 {
		pairs[uuid.NewString()] = "v"
	}
	return []brokenRule{
		{"no flow", begin(func(r *start) { r.Flow = "" }), "flow"},
		{"a long flow", begin(func(r *start) { r.Flow = long(65) }), "flow"},
		{"no subject", begin(func(r *start) { r.Subject = "" }), "subject"},
		{"a long subject", begin(func(r *start) { r.Subject = long(257) }), "subject"},
		{"a subject with a line break", begin(func(r *start) { r.Subject = "a\nb" }), "subject"},
		{"a long reference", begin(func(r *start) { r.Reference = long(257) }), "reference"},
		{"a reference with a control character", begin(func(r *start) { r.Reference = "a\x7f" }), "reference"},
		{"a long idempotency key", begin(func(r *start) { r.IdempotencyKey = long(257) }), "idempotency_key"},
		{"an idempotency key outside ASCII", begin(func(r *start) { r.IdempotencyKey = "é" }), "idempotency_key"},
		{"a long redirect", begin(func(r *start) { r.RedirectUrl = "myapp://" + long(2048) }), "redirect_url"},
		{"a redirect that runs code", begin(func(r *start) { r.RedirectUrl = "javascript:alert(1)" }), "redirect_url"},
		{"a redirect that carries data", begin(func(r *start) { r.RedirectUrl = "data://text/html,x" }), "redirect_url"},
		{"a redirect over plain http", begin(func(r *start) { r.RedirectUrl = "http://app.example.com/" }), "redirect_url"},
		{"a look-alike host", begin(func(r *start) { r.RedirectUrl = "https://app.example.com.evil.test/" }), "redirect_url"},
		{"a look-alike user", begin(func(r *start) { r.RedirectUrl = "https://app.example.com@evil.test/" }), "redirect_url"},
		{"a redirect with a backslash", begin(func(r *start) { r.RedirectUrl = `https://evil.test\@app.example.com/` }), "redirect_url"},
		{"a long failure redirect", begin(func(r *start) { r.FailureRedirectUrl = "myapp://" + long(2048) }), "failure_redirect_url"},
		{"a failure redirect elsewhere", begin(func(r *start) { r.FailureRedirectUrl = "https://evil.test/" }), "failure_redirect_url"},
		{"a long callback URL", begin(func(r *start) { r.CallbackUrl = "https://b.test/" + long(2048) }), "callback_url"},
		{"a callback URL over plain http", begin(func(r *start) { r.CallbackUrl = "http://b.test/" }), "callback_url"},
		{"a long events callback URL", begin(func(r *start) { r.EventsCallbackUrl = "https://b.test/" + long(2048) }), "events_callback_url"},
		{"an events callback URL that is none", begin(func(r *start) { r.EventsCallbackUrl = "b.test" }), "events_callback_url"},
		{"no time at all", begin(func(r *start) { r.ExpiresIn = durationpb.New(0) }), "expires_in"},
		{"less than a second", begin(func(r *start) { r.ExpiresIn = durationpb.New(999 * time.Millisecond) }), "expires_in"},
		{"more than 30 days", begin(func(r *start) { r.ExpiresIn = durationpb.New(721 * time.Hour) }), "expires_in"},
		{"a long page title", begin(func(r *start) { r.PageTitle = long(201) }), "page_title"},
		{"a long success message", begin(func(r *start) { r.SuccessMessage = long(1001) }), "success_message"},
		{"a long failure message", begin(func(r *start) { r.FailureMessage = long(1001) }), "failure_message"},
		{"too much metadata", begin(func(r *start) { r.Metadata = pairs }), "metadata"},
		{"metadata without a key", begin(func(r *start) { r.Metadata = map[string]string{"": "v"} }), "metadata"},
		{"metadata with a long key", begin(func(r *start) { r.Metadata = map[string]string{long(65): "v"} }), "metadata"},
		{"metadata with a long value", begin(func(r *start) { r.Metadata = map[string]string{"k": long(513)} }), "metadata"},
		{"metadata with a zero character", begin(func(r *start) { r.Metadata = map[string]string{"k": "a\x00"} }), "metadata"},
		{"a page title with a zero character", begin(func(r *start) { r.PageTitle = "a\x00" }), "page_title"},
	}
}

func otherBrokenRules() []brokenRule {
	id := uuid.NewString()
	far := &timestamppb.Timestamp{Seconds: 1 << 62}
	return []brokenRule{
		{"neither id nor reference", &verigatev1.GetVerificationRequest{}, "get_verification.id_or_reference"},
		{"both id and reference", &verigatev1.GetVerificationRequest{Id: id, Reference: "r"}, "get_verification.id_or_reference"},
		{"an id that is none", &verigatev1.GetVerificationRequest{Id: "7"}, "id"},
		{"an id in braces", &verigatev1.GetVerificationRequest{Id: "{" + id + "}"}, "id"},
		{"a long reference to get", &verigatev1.GetVerificationRequest{Reference: long(257)}, "reference"},
		{"a reference with a zero character", &verigatev1.GetVerificationRequest{Reference: "a\x00"}, "reference"},
		{"a version below zero", &verigatev1.GetVerificationRequest{Id: id, AfterVersion: -1}, "after_version"},
		{"a wait below zero", &verigatev1.GetVerificationRequest{Id: id, Wait: durationpb.New(-1)}, "wait"},
		{"a wait of more than a minute", &verigatev1.GetVerificationRequest{Id: id, Wait: durationpb.New(time.Minute + 1)}, "wait"},
		{"the state that is never sent", &verigatev1.ListVerificationsRequest{States: []verigatev1.VerificationState{0}}, "states"},
		{"a state that does not exist", &verigatev1.ListVerificationsRequest{States: []verigatev1.VerificationState{99}}, "states"},
		{"a state twice", &verigatev1.ListVerificationsRequest{States: []verigatev1.VerificationState{1, 1}}, "states"},
		{"a long flow to list", &verigatev1.ListVerificationsRequest{Flow: long(65)}, "flow"},
		{"a flow with a zero character", &verigatev1.ListVerificationsRequest{Flow: "a\x00"}, "flow"},
		{"a long subject to list", &verigatev1.ListVerificationsRequest{Subject: long(257)}, "subject"},
		{"a subject with a zero character", &verigatev1.ListVerificationsRequest{Subject: "a\x00"}, "subject"},
		{"a time that no calendar has", &verigatev1.ListVerificationsRequest{CreateTimeFrom: far}, "create_time_from"},
		{"an end that no calendar has", &verigatev1.ListVerificationsRequest{CreateTimeUntil: far}, "create_time_until"},
		{"a page below zero", &verigatev1.ListVerificationsRequest{PageSize: -1}, "page_size"},
		{"a page too large", &verigatev1.ListVerificationsRequest{PageSize: 201}, "page_size"},
		{"a long page token", &verigatev1.ListVerificationsRequest{PageToken: long(513)}, "page_token"},
		{"a page token that is none", &verigatev1.ListVerificationsRequest{PageToken: "nonsense"}, "page_token"},
		{"no id to cancel", &verigatev1.CancelVerificationRequest{}, "id"},
		{"a long reason", &verigatev1.CancelVerificationRequest{Id: id, Reason: long(501)}, "reason"},
		{"a reason with a zero character", &verigatev1.CancelVerificationRequest{Id: id, Reason: "a\x00"}, "reason"},
		{"no id to watch", &verigatev1.WatchStatusRequest{}, "id"},
		{"an id to watch that is none", &verigatev1.WatchStatusRequest{Id: "x"}, "id"},
		{"a version to watch below zero", &verigatev1.WatchStatusRequest{Id: id, AfterVersion: -1}, "after_version"},
	}
}

func TestEveryBrokenRuleIsNamed(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	api := g.api(g.key)
	for _, rule := range append(brokenStarts(), otherBrokenRules()...) {
		t.Run(rule.name, func(t *testing.T) {
			t.Parallel()
			err := send(t.Context(), api, rule.request)
			wantCode(t, err, connect.CodeInvalidArgument)
			wantField(t, err, rule.field)
		})
	}
}

func TestEveryBrokenFieldIsNamedAtOnce(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	err := send(t.Context(), g.api(g.key), &verigatev1.StartVerificationRequest{Subject: "a\n", Reference: "a\n", PageTitle: long(201)})
	wantCode(t, err, connect.CodeInvalidArgument)
	for _, field := range []string{"flow", "subject", "reference", "page_title"} {
		wantField(t, err, field)
	}
}

func TestTheLimitsThemselvesAreAllowed(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	api := g.api(g.key)
	for _, r := range []*verigatev1.StartVerificationRequest{
		begin(func(r *verigatev1.StartVerificationRequest) { r.Subject, r.Reference = long(256), long(256) }),
		begin(func(r *verigatev1.StartVerificationRequest) { r.ExpiresIn = durationpb.New(time.Second) }),
		begin(func(r *verigatev1.StartVerificationRequest) { r.ExpiresIn = durationpb.New(720 * time.Hour) }),
		begin(func(r *verigatev1.StartVerificationRequest) { r.Metadata = map[string]string{long(64): long(512)} }),
	} {
		if err := send(t.Context(), api, r); err != nil {
			t.Errorf("%v: %v", r, err)
		}
	}
	if err := send(t.Context(), api, &verigatev1.ListVerificationsRequest{PageSize: 200}); err != nil {
		t.Error(err)
	}
}
