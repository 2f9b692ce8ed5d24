package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

// starting answers start with a page, and keeps the request.
func (b *bench) starting(hosted string) *verigatev1.StartVerificationRequest {
	var asked verigatev1.StartVerificationRequest
	b.service.start = func(r *verigatev1.StartVerificationRequest) (*verigatev1.StartVerificationResponse, error) {
		proto.Merge(&asked, r)
		return &verigatev1.StartVerificationResponse{
			Verification: pendingVerification(), HostedUrl: hosted, ClientToken: "ct_for_the_app",
		}, nil
	}
	return &asked
}

func TestStartSendsEveryField(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	asked := b.starting("https://provider.example/v/1")
	b.want(exitPass, b.run("start", "--flow", "identity", "--subject", "u1", "--reference", "order-1",
		"--idempotency-key", "k1", "--redirect-url", "myapp://done", "--failure-redirect-url", "myapp://no",
		"--callback-url", "https://a.example/c", "--events-callback-url", "https://a.example/e", "--expires-in", "30m",
		"--page-title", "Hello", "--success-message", "Yes", "--failure-message", "No",
		"--metadata", "shop=berlin", "--metadata", "note=a=b"), testID, "")
	want := &verigatev1.StartVerificationRequest{
		Flow: "identity", Subject: "u1", Reference: "order-1", IdempotencyKey: "k1",
		RedirectUrl: "myapp://done", FailureRedirectUrl: "myapp://no",
		CallbackUrl: "https://a.example/c", EventsCallbackUrl: "https://a.example/e",
		ExpiresIn: durationpb.New(30 * time.Minute), PageTitle: "Hello", SuccessMessage: "Yes", FailureMessage: "No",
		Metadata: map[string]string{"shop": "berlin", "note": "a=b"},
	}
	if !proto.Equal(asked, want) {
		t.Errorf("asked %v", asked)
	}
}

func TestStartSaysWhatToDoNext(t *testing.T) {
	t.Parallel()

	t.Run("on a real provider's page", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.starting("https://provider.example/v/1")
		code := b.run("start", "--flow", "identity", "--subject", "u1")
		for _, part := range []string{"pending", "https://provider.example/v/1", "ct_for_the_app", "verigate watch " + testID} {
			b.want(exitPass, code, part, "")
		}
		if strings.Contains(b.out.String(), "sandbox complete") {
			t.Errorf("out:\n%s", b.out.String())
		}
	})

	t.Run("on a sandbox page", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.starting(b.url + "/sandbox/verifyhuman/hosted/v/tok")
		b.want(exitPass, b.run("start", "--flow", "identity", "--subject", "u1"), "verigate sandbox complete "+testID+" --outcome pass", "")
	})

	t.Run("and goes on watching when asked", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.starting("https://provider.example/v/1")
		b.service.watches = []script{sends(endsOK, update(2, statePending), update(3, stateDeclined))}
		b.want(exitFail, b.run("start", "--flow", "identity", "--subject", "u1", "--watch"), "10:30:03  declined", "not passed")
	})

	t.Run("and in JSON", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.starting("https://provider.example/v/1")
		b.want(exitPass, b.run("start", "--flow", "identity", "--subject", "u1", "--json"), "", "")
		var got verigatev1.StartVerificationResponse
		if err := protojson.Unmarshal(b.out.Bytes(), &got); err != nil || got.GetVerification().GetId() != testID ||
			got.GetHostedUrl() == "" || got.GetClientToken() == "" || strings.Count(b.out.String(), "\n") != 1 {
			t.Errorf("%v: %s", err, b.out.String())
		}
	})
}

func TestGetShowsOneVerification(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var asked *verigatev1.GetVerificationRequest
	b.service.get = func(r *verigatev1.GetVerificationRequest) (*verigatev1.Verification, error) {
		asked = r
		v := pendingVerification()
		v.Metadata = map[string]string{"b": "2", "a": "1\x1b[31m"}
		v.Match = verigatev1.VerificationMatch_VERIFICATION_MATCH_INFERRED
		return v, nil
	}
	code := b.run("get", "--reference", "order-1", "--wait", "30s", "--after-version", "2")
	want := &verigatev1.GetVerificationRequest{Reference: "order-1", AfterVersion: 2, Wait: durationpb.New(30 * time.Second)}
	if !proto.Equal(asked, want) {
		t.Errorf("asked %v", asked)
	}
	for _, part := range []string{"state        pending\n", "match        inferred\n", "created      2026-05-17 10:30:00 UTC\n", "metadata a   1\uFFFD[31m\n"} {
		b.want(exitPass, code, part, "")
	}
	b.out.Reset()
	b.want(exitPass, b.run("get", testID, "--json"), "", "")
	var got struct{ Verification map[string]any }
	if err := json.Unmarshal(b.out.Bytes(), &got); err != nil || got.Verification["state"] != "VERIFICATION_STATE_PENDING" || got.Verification["reasonCodes"] == nil {
		t.Errorf("%v: %s", err, b.out.String())
	}
}

func TestCancelShowsTheState(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.service.cancel = func(r *verigatev1.CancelVerificationRequest) (*verigatev1.Verification, error) {
		v := pendingVerification()
		v.State = verigatev1.VerificationState_VERIFICATION_STATE_CANCELED
		v.Reference = r.GetReason()
		return v, nil
	}
	b.want(exitPass, b.run("cancel", testID, "--reason", "withdrawn"), testID+"  canceled\n", "")
	b.out.Reset()
	b.want(exitPass, b.run("cancel", testID, "--reason", "withdrawn", "--json"), `"reference":"withdrawn"`, "")
}

// pages serves two pages and keeps what was asked.
func (b *bench) pages() *[]*verigatev1.ListVerificationsRequest {
	asked := &[]*verigatev1.ListVerificationsRequest{}
	b.service.list = func(r *verigatev1.ListVerificationsRequest) (*verigatev1.ListVerificationsResponse, error) {
		*asked = append(*asked, r)
		page := &verigatev1.ListVerificationsResponse{Verifications: []*verigatev1.Verification{pendingVerification()}}
		if r.GetPageToken() == "" {
			page.NextPageToken = "tok-2"
		}
		return page, nil
	}
	return asked
}

func TestListFiltersAndPages(t *testing.T) {
	t.Parallel()

	t.Run("with exact times", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		asked := b.pages()
		code := b.run("list", "--state", "pending,in_review", "--flow", "identity", "--subject", "it's u1",
			"--since", "1h", "--until", "2026-05-17T10:29:00Z", "--page-size", "1")
		want := &verigatev1.ListVerificationsRequest{
			States: []verigatev1.VerificationState{statePending, verigatev1.VerificationState_VERIFICATION_STATE_IN_REVIEW},
			Flow:   "identity", Subject: "it's u1", PageSize: 1,
			CreateTimeFrom:  timestamppb.New(testTime().Add(-time.Hour)),
			CreateTimeUntil: timestamppb.New(testTime().Add(-time.Minute)),
		}
		if len(*asked) != 1 || !proto.Equal((*asked)[0], want) {
			t.Errorf("asked %v", *asked)
		}
		b.want(exitPass, code, "ID                                    STATE    RESULT   FLOW", "more: verigate list --state pending --state in_review "+
			`--flow identity --subject 'it'\''s u1' --since 2026-05-17T09:30:00Z --until 2026-05-17T10:29:00Z --page-size 1 --page-token tok-2`)
	})

	t.Run("through all pages when asked", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		asked := b.pages()
		b.want(exitPass, b.run("list", "--all", "--json", "--since", "1h"), `"nextPageToken":""`, "")
		var got struct{ Verifications []any }
		if err := json.Unmarshal(b.out.Bytes(), &got); err != nil || len(got.Verifications) != 2 || len(*asked) != 2 {
			t.Errorf("%v after %d calls: %s", err, len(*asked), b.out.String())
		}
	})

	t.Run("and says so when nothing matches", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.service.list = func(*verigatev1.ListVerificationsRequest) (*verigatev1.ListVerificationsResponse, error) {
			return &verigatev1.ListVerificationsResponse{}, nil
		}
		b.want(exitPass, b.run("list"), "", "no verifications match")
		if b.out.Len() != 0 {
			t.Errorf("out: %s", b.out.String())
		}
		b.want(exitPass, b.run("list", "--json"), `{"verifications":[],"nextPageToken":""}`, "")
	})
}
