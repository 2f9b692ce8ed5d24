package rpc_test

import (
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server/rpc"
	"github.com/verigate/verigate/server/verification"
)

const nobodys = "0197a3c2-7c11-7d3e-9a52-0d4f6f1b2c3d"

// parked is a delivery that waits.
func parked() verification.Delivery {
	return verification.Delivery{
		ReceiveTime: time.Unix(1_779_013_800, 0), ApplyTime: time.Unix(1_779_013_801, 0), Effect: verification.Unmatched,
		ProviderEvent: "done", ProviderStatus: "PASS",
		Event: verification.Event{
			Kind: verification.Passed, Product: "", Keys: []string{"token:1"}, Refs: []string{"run:1"}, ReasonCodes: []string{"document_valid"},
		},
	}
}

// entriesAbout are the audit entries about a target.
func entriesAbout(t *testing.T, o verigatev1connect.OperatorServiceClient, target string) []*verigatev1.AuditEntry {
	t.Helper()
	listed, err := o.ListAuditEntries(t.Context(), &verigatev1.ListAuditEntriesRequest{Target: target})
	if err != nil {
		t.Fatal(err)
	}
	return listed.GetEntries()
}

func TestADeliveryIsShownWithoutItsContent(t *testing.T) {
	t.Parallel()
	g, _, o := operated(t)
	id := g.row.drawer.keep(parked()).String()
	got, err := o.GetDelivery(t.Context(), &verigatev1.GetDeliveryRequest{Id: id})
	if err != nil {
		t.Fatal(err)
	}
	d := got.GetDelivery()
	if d.GetId() != id || d.GetConnection() != "fake" || d.GetEffect() != verigatev1.Effect_EFFECT_UNMATCHED || d.GetProviderEvent() != "done" ||
		d.GetProviderStatus() != "PASS" || d.GetKind() != verigatev1.EventKind_EVENT_KIND_PASSED || d.GetVerificationId() != "" || d.GetPurged() ||
		!slices.Equal(d.GetProviderRefs(), []string{"token:1", "run:1"}) || !slices.Equal(d.GetReasonCodes(), []string{"document_valid"}) ||
		d.GetReceiveTime().GetSeconds() != 1_779_013_800 || d.GetApplyTime().GetSeconds() != 1_779_013_801 {
		t.Errorf("shown %v", d)
	}
	if got.GetBody() != nil || got.GetHeaders() != nil {
		t.Errorf("its content is shown: %v", got)
	}
	if entries := entriesAbout(t, o, id); len(entries) != 0 {
		t.Errorf("the audit log says %v", entries)
	}
}

func TestWhatIsInADeliveryIsShownOnRecord(t *testing.T) {
	t.Parallel()
	g, actor, o := operated(t)
	id := g.row.drawer.keep(parked()).String()
	got, err := o.GetDelivery(t.Context(), &verigatev1.GetDeliveryRequest{Id: id, WithContent: true})
	if err != nil || string(got.GetBody()) != "a body \x00\xff" || got.GetHeaders()["X-Event"] != "done" {
		t.Fatalf("shown %v, %v", got, err)
	}
	entries := entriesAbout(t, o, id)
	if len(entries) != 1 || entries[0].GetAction() != "delivery.read" || entries[0].GetActor() != "key:"+actor || entries[0].GetRequestId() == "" {
		t.Errorf("the audit log says %v", entries)
	}
	purged := parked()
	purged.Emptied = true
	purged.Event.Refs = []string{"erased:0011"}
	bare, err := o.GetDelivery(t.Context(), &verigatev1.GetDeliveryRequest{Id: g.row.drawer.keep(purged).String(), WithContent: true})
	if err != nil || !bare.GetDelivery().GetPurged() || len(bare.GetDelivery().GetProviderRefs()) != 0 || bare.GetBody() != nil {
		t.Errorf("a purged one is shown as %v, %v", bare, err)
	}
}

func TestDeliveriesArePaged(t *testing.T) {
	t.Parallel()
	g, _, o := operated(t)
	var kept []string
	for range 5 {
		kept = append(kept, g.row.drawer.keep(parked()).String())
	}
	slices.Reverse(kept)
	request := &verigatev1.ListDeliveriesRequest{
		Effects:    []verigatev1.Effect{verigatev1.Effect_EFFECT_UNMATCHED, verigatev1.Effect_EFFECT_NOTED},
		Connection: "fake", VerificationId: nobodys, PageSize: 2,
	}
	var listed []string
	for {
		page, err := o.ListDeliveries(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range page.GetDeliveries() {
			listed = append(listed, d.GetId())
		}
		if request.PageToken = page.GetNextPageToken(); request.GetPageToken() == "" {
			break
		}
	}
	if !slices.Equal(listed, kept) {
		t.Errorf("listed %v, want %v", listed, kept)
	}
	q := g.row.drawer.asked[0]
	if q.Scope != scope() || q.Connection != "fake" || q.VerificationID.String() != nobodys || q.Limit != 3 ||
		!slices.Equal(q.Effects, []verification.Effect{verification.Unmatched, verification.Kept}) {
		t.Errorf("the store was asked for %+v", q)
	}
	first, err := o.ListDeliveries(t.Context(), &verigatev1.ListDeliveriesRequest{PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = o.ListDeliveries(t.Context(), &verigatev1.ListDeliveriesRequest{PageSize: 1, Connection: "other", PageToken: first.GetNextPageToken()})
	wantField(t, "a token of another list", err, "page_token")
}

func TestADeliveryIsReplayed(t *testing.T) {
	t.Parallel()
	g, actor, o := operated(t)
	unread := parked()
	unread.Effect, unread.Event = verification.Unreadable, verification.Event{}
	id := g.row.drawer.keep(unread).String()
	g.row.drawer.reading = func(d *verification.Delivery) error {
		if string(d.Body) != "a body \x00\xff" {
			t.Errorf("it is read as %q", d.Body)
		}
		d.Effect, d.ProviderStatus = "", "PASS"
		d.Event = verification.Event{Kind: verification.Noted, VerificationID: g.id()}
		return nil
	}
	done, err := o.ReplayDelivery(t.Context(), &verigatev1.ReplayDeliveryRequest{Id: id})
	d := done.GetDelivery()
	// The row has another connection: nobody can be matched.
	if err != nil || d.GetEffect() != verigatev1.Effect_EFFECT_UNMATCHED || d.GetKind() != verigatev1.EventKind_EVENT_KIND_NOTED {
		t.Fatalf("replayed %v, %v", d, err)
	}
	entries := entriesAbout(t, o, id)
	if len(entries) != 1 || entries[0].GetAction() != "delivery.replay" || entries[0].GetActor() != "key:"+actor ||
		entries[0].GetDetails()["before"] != "unreadable" || entries[0].GetDetails()["after"] != "unmatched" {
		t.Errorf("the audit log says %v", entries)
	}
	g.row.drawer.reading = func(*verification.Delivery) error {
		return verification.NewError(verification.KindRefused, "CONNECTION_GONE", "the connection fake is gone")
	}
	_, err = o.ReplayDelivery(t.Context(), &verigatev1.ReplayDeliveryRequest{Id: id})
	wantCode(t, "of a connection that is gone", err, connect.CodeFailedPrecondition, "the connection fake is gone")
}

func TestAReplayWithoutAdaptersSaysWhereToGo(t *testing.T) {
	t.Parallel()
	e := newEdge(t, slowTiming(), time.Minute)
	id := e.row.drawer.keep(parked())
	o := &rpc.Operator{Verifications: e.service.Verifications}
	_, err := o.ReplayDelivery(rpc.AsOperator(t.Context(), scope(), "command:root@host"), &verigatev1.ReplayDeliveryRequest{Id: id.String()})
	wantCode(t, "in the process", err, connect.CodeFailedPrecondition, "")
	if d, _ := e.row.drawer.find(scope(), id); d.Effect != verification.Unmatched {
		t.Errorf("it is %+v", d)
	}
}

func TestADeliveryIsBound(t *testing.T) {
	t.Parallel()
	g, actor, o := operated(t)
	g.row.change(func(v *verification.Verification) { v.Connection, v.Product = "fake", "identity" })
	id := g.row.drawer.keep(parked()).String()
	bind := &verigatev1.BindDeliveryRequest{Id: id, VerificationId: g.id(), Reason: "ticket 4711"}
	done, err := o.BindDelivery(t.Context(), bind)
	if err != nil || done.GetDelivery().GetEffect() != verigatev1.Effect_EFFECT_APPLIED || done.GetDelivery().GetVerificationId() != g.id() ||
		done.GetVerification().GetState() != verigatev1.VerificationState_VERIFICATION_STATE_APPROVED ||
		done.GetVerification().GetMatch() != verigatev1.VerificationMatch_VERIFICATION_MATCH_BOUND {
		t.Fatalf("bound %v, %v", done, err)
	}
	entries := entriesAbout(t, o, id)
	if len(entries) != 1 || entries[0].GetAction() != "delivery.bind" || entries[0].GetActor() != "key:"+actor ||
		entries[0].GetDetails()["verification_id"] != g.id() || entries[0].GetDetails()["reason"] != "ticket 4711" {
		t.Errorf("the audit log says %v", entries)
	}
	_, err = o.BindDelivery(t.Context(), bind)
	wantCode(t, "binding it again", err, connect.CodeFailedPrecondition, "the delivery does not wait for a verification; it is applied")
	second := g.row.drawer.keep(parked()).String()
	g.row.change(func(v *verification.Verification) { v.Connection = "other" })
	_, err = o.BindDelivery(t.Context(), &verigatev1.BindDeliveryRequest{Id: second, VerificationId: g.id(), Reason: "ticket 4711"})
	wantField(t, "a verification of another connection", err, "verification_id")
	_, err = o.BindDelivery(t.Context(), &verigatev1.BindDeliveryRequest{Id: second, VerificationId: nobodys, Reason: "ticket 4711"})
	wantCode(t, "to a verification that is not there", err, connect.CodeNotFound, verification.ErrNotFound.Error())
}

func TestADeliveryOfAnotherScopeIsNotFound(t *testing.T) {
	t.Parallel()
	g, _, o := operated(t)
	id := g.row.drawer.keep(parked())
	g.row.drawer.mu.Lock()
	g.row.drawer.ds[0].Scope.Environment = verification.Live
	g.row.drawer.mu.Unlock()
	for _, at := range []string{id.String(), nobodys} {
		for name, call := range map[string]func() error{
			"get": func() error { _, err := o.GetDelivery(t.Context(), &verigatev1.GetDeliveryRequest{Id: at}); return err },
			"open": func() error {
				_, err := o.GetDelivery(t.Context(), &verigatev1.GetDeliveryRequest{Id: at, WithContent: true})
				return err
			},
			"replay": func() error {
				_, err := o.ReplayDelivery(t.Context(), &verigatev1.ReplayDeliveryRequest{Id: at})
				return err
			},
			"bind": func() error {
				_, err := o.BindDelivery(t.Context(), &verigatev1.BindDeliveryRequest{Id: at, VerificationId: g.id(), Reason: "t"})
				return err
			},
		} {
			wantCode(t, name, call(), connect.CodeNotFound, verification.ErrDeliveryNotFound.Error())
		}
	}
	if entries := entriesAbout(t, o, id.String()); len(entries) != 0 {
		t.Errorf("the audit log says %v", entries)
	}
}

func TestATimelineTellsWhatWasSaidAndWhatIsAsked(t *testing.T) {
	t.Parallel()
	g, _, o := operated(t)
	next := time.Unix(1_779_020_000, 0)
	g.row.change(func(v *verification.Verification) {
		v.Connection, v.FetchTime, v.Fetches, v.CreateTime = "fake", next, 3, time.Unix(1_779_000_000, 0)
	})
	noted := parked()
	noted.Effect, noted.ApplyTime = verification.Kept, time.Unix(1_779_013_801, 0)
	deliveryID := g.row.drawer.keep(noted).String()
	got, err := o.GetTimeline(t.Context(), &verigatev1.GetTimelineRequest{VerificationId: g.id()})
	if err != nil || len(got.GetEntries()) != 2 {
		t.Fatalf("the timeline is %v, %v", got, err)
	}
	if v := got.GetVerification(); v.GetSubject() != "alice" || v.GetHostedUrl() == "" || v.GetMetadata()["cart"] != "7" {
		t.Errorf("the verification is %v", v)
	}
	if r := got.GetReconciliation(); !r.GetPollable() || r.GetFetches() != 3 || !r.GetNextFetchTime().AsTime().Equal(next) {
		t.Errorf("the reconciliation is %v", r)
	}
	want := &verigatev1.TimelineEntry{
		Time: got.GetEntries()[0].GetTime(), Kind: verigatev1.EventKind_EVENT_KIND_SESSION_OPENED, Source: verigatev1.EventSource_EVENT_SOURCE_PROVIDER,
		Effect: verigatev1.Effect_EFFECT_APPLIED, Rung: "payload_key", Match: verigatev1.VerificationMatch_VERIFICATION_MATCH_EXACT,
		FromState: verigatev1.VerificationState_VERIFICATION_STATE_CREATED, ToState: verigatev1.VerificationState_VERIFICATION_STATE_PENDING,
		Version: 2, ReasonCodes: []string{"a"}, Reason: "why", DeliveryId: nobodys,
	}
	if !proto.Equal(got.GetEntries()[0], want) || want.GetTime().GetSeconds() != 1_779_000_000 {
		t.Errorf("the transition is %v", got.GetEntries()[0])
	}
	want = &verigatev1.TimelineEntry{
		Time: got.GetEntries()[1].GetTime(), Kind: verigatev1.EventKind_EVENT_KIND_PASSED, Source: verigatev1.EventSource_EVENT_SOURCE_PROVIDER,
		Effect: verigatev1.Effect_EFFECT_NOTED, ReasonCodes: []string{"document_valid"}, DeliveryId: deliveryID, ProviderStatus: "PASS",
	}
	if !proto.Equal(got.GetEntries()[1], want) || want.GetTime().GetSeconds() != 1_779_013_801 {
		t.Errorf("the delivery is %v", got.GetEntries()[1])
	}
	_, err = o.GetTimeline(t.Context(), &verigatev1.GetTimelineRequest{VerificationId: nobodys})
	wantCode(t, "of nothing", err, connect.CodeNotFound, verification.ErrNotFound.Error())
}

func TestAVerificationIsOverridden(t *testing.T) {
	t.Parallel()
	g, actor, o := operated(t)
	override := &verigatev1.OverrideVerificationRequest{
		Id: g.id(), State: verigatev1.VerificationState_VERIFICATION_STATE_DECLINED, Reason: "ticket 4711",
	}
	for range 2 {
		done, err := o.OverrideVerification(t.Context(), override)
		if err != nil || done.GetVerification().GetState() != override.GetState() || done.GetVerification().GetVersion() != 2 {
			t.Fatalf("overridden %v, %v", done, err)
		}
	}
	entries := entriesAbout(t, o, g.id())
	if len(entries) != 1 || entries[0].GetAction() != "verification.override" || entries[0].GetActor() != "key:"+actor || entries[0].GetAddress() != "127.0.0.1" ||
		entries[0].GetDetails()["from"] != "pending" || entries[0].GetDetails()["to"] != "declined" || entries[0].GetDetails()["reason"] != "ticket 4711" {
		t.Errorf("the audit log says %v", entries)
	}
	g.row.set(verification.Canceled)
	_, err := o.OverrideVerification(t.Context(), override)
	wantCode(t, "a canceled one", err, connect.CodeFailedPrecondition, "the verification is over (canceled) and cannot be decided any more; start a new one")
	override.Id = nobodys
	_, err = o.OverrideVerification(t.Context(), override)
	wantCode(t, "one of nobody", err, connect.CodeNotFound, verification.ErrNotFound.Error())
	for _, wrong := range []*verigatev1.OverrideVerificationRequest{
		{Id: g.id(), State: verigatev1.VerificationState_VERIFICATION_STATE_EXPIRED, Reason: "t"},
		{Id: g.id(), Reason: "t"}, {Id: g.id(), State: override.GetState()}, {Id: "7", State: override.GetState(), Reason: "t"},
	} {
		_, err := o.OverrideVerification(t.Context(), wrong)
		wantCode(t, wrong.String(), err, connect.CodeInvalidArgument, "")
	}
}
