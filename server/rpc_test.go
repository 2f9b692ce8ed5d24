package server_test

import (
	"testing"

	"connectrpc.com/connect/v2"
	"github.com/google/uuid"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/verification"
)

func TestEveryCallWorksOverEveryWire(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	for _, w := range wires() {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			walkThroughEveryCall(t, g.in(t), w)
		})
	}
}

func walkThroughEveryCall(t *testing.T, g *gateway, w wire) {
	t.Helper()
	api := g.apiOver(w, g.key)
	subject := "subject-" + uuid.NewString()
	begin := &verigatev1.StartVerificationRequest{
		Flow: "identity", Subject: subject, Reference: "order-" + subject,
		IdempotencyKey: "once-" + subject, Metadata: map[string]string{"cart": "ä/7"},
	}
	started, err := api.StartVerification(t.Context(), begin)
	if err != nil {
		t.Fatalf("StartVerification: %v", err)
	}
	v := started.GetVerification()
	if v.GetState() != verigatev1.VerificationState_VERIFICATION_STATE_PENDING || v.GetVersion() != 2 || v.GetMetadata()["cart"] != "ä/7" {
		t.Errorf("started as %v", v)
	}
	if started.GetHostedUrl() != fakePage+v.GetId() || started.GetClientToken() == "" {
		t.Errorf("hosted URL %q, client token of %d bytes", started.GetHostedUrl(), len(started.GetClientToken()))
	}
	again, err := api.StartVerification(t.Context(), begin)
	if err != nil || again.GetVerification().GetId() != v.GetId() || again.GetClientToken() != started.GetClientToken() {
		t.Errorf("the same start again: %v, %v; want the same answer", again, err)
	}
	got, err := api.GetVerification(t.Context(), &verigatev1.GetVerificationRequest{Reference: "order-" + subject})
	if err != nil || got.GetVerification().GetId() != v.GetId() {
		t.Errorf("GetVerification by reference: %v, %v", got, err)
	}
	list, err := api.ListVerifications(t.Context(), &verigatev1.ListVerificationsRequest{Subject: subject})
	if err != nil || len(list.GetVerifications()) != 1 || list.GetVerifications()[0].GetId() != v.GetId() {
		t.Errorf("ListVerifications by subject: %v, %v; want the one", list, err)
	}
	updates := watch(t, g.apiOver(w, started.GetClientToken()), &verigatev1.WatchStatusRequest{Id: v.GetId()})
	if first := updates.next(); first.GetKind() != verigatev1.StatusUpdateKind_STATUS_UPDATE_KIND_SNAPSHOT || first.GetVersion() != 2 {
		t.Errorf("first message %v, want a snapshot of version 2", first)
	}
	canceled, err := api.CancelVerification(t.Context(), &verigatev1.CancelVerificationRequest{Id: v.GetId(), Reason: "changed their mind"})
	if err != nil || canceled.GetVerification().GetState() != verigatev1.VerificationState_VERIFICATION_STATE_CANCELED {
		t.Errorf("CancelVerification: %v, %v", canceled, err)
	}
	last := updates.next()
	if !last.GetTerminal() || last.GetResult() != verigatev1.VerificationResult_VERIFICATION_RESULT_FAIL || last.GetVersion() != 3 {
		t.Errorf("after canceling the stream said %v", last)
	}
	updates.end()
}

func TestCancelingIsRepeatableButNotAfterADecision(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	api := g.api(g.key)
	id := g.start(api).GetVerification().GetId()
	for range 2 {
		if _, err := api.CancelVerification(t.Context(), &verigatev1.CancelVerificationRequest{Id: id}); err != nil {
			t.Fatalf("CancelVerification: %v", err)
		}
	}
	decided := g.start(api).GetVerification().GetId()
	g.decide(decided, verification.Passed)
	_, err := api.CancelVerification(t.Context(), &verigatev1.CancelVerificationRequest{Id: decided})
	wantCode(t, err, connect.CodeFailedPrecondition)
}

func TestPagesAreStableUnderWrites(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	api := g.api(g.key)
	want := map[string]bool{}
	for range 7 {
		want[g.start(api).GetVerification().GetId()] = true
	}
	request := &verigatev1.ListVerificationsRequest{Flow: "identity", PageSize: 3}
	seen := map[string]bool{}
	for page := 0; ; page++ {
		list, err := api.ListVerifications(t.Context(), request)
		if err != nil {
			t.Fatalf("page %d: %v", page, err)
		}
		for _, v := range list.GetVerifications() {
			if seen[v.GetId()] || !want[v.GetId()] {
				t.Errorf("page %d has %s, repeated or written later", page, v.GetId())
			}
			seen[v.GetId()] = true
		}
		g.start(api)
		request.PageToken = list.GetNextPageToken()
		if request.GetPageToken() == "" {
			break
		}
	}
	if len(seen) != len(want) {
		t.Errorf("saw %d verifications, want %d", len(seen), len(want))
	}
}

func TestAPageTokenBelongsToItsFilters(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	api := g.api(g.key)
	g.start(api)
	g.start(api)
	list, err := api.ListVerifications(t.Context(), &verigatev1.ListVerificationsRequest{PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = api.ListVerifications(t.Context(), &verigatev1.ListVerificationsRequest{PageToken: list.GetNextPageToken(), Flow: "identity"})
	wantCode(t, err, connect.CodeInvalidArgument)
	if got := connect.CodeOf(err); got == connect.CodeInvalidArgument {
		wantField(t, err, "page_token")
	}
}

func TestAClientTokenSeesLessThanAKey(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	started := g.start(g.api(g.key))
	got, err := g.api(started.GetClientToken()).GetVerification(t.Context(),
		&verigatev1.GetVerificationRequest{Id: started.GetVerification().GetId()})
	if err != nil {
		t.Fatal(err)
	}
	if v := got.GetVerification(); v.GetHostedUrl() != "" || len(v.GetMetadata()) != 0 {
		t.Errorf("an app sees the hosted URL %q and metadata %v", v.GetHostedUrl(), v.GetMetadata())
	}
}
