package rpc_test

import (
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/rpc"
	"github.com/verigate/verigate/server/verification"
)

func (e *eventEdge) list(r *verigatev1.ListEventsRequest) *verigatev1.ListEventsResponse {
	e.t.Helper()
	page, err := e.as("shop:").ListEvents(e.t.Context(), r)
	if err != nil {
		e.t.Fatal(err)
	}
	return page
}

func TestPagesOfEventsFollowEachOtherToTheEnd(t *testing.T) {
	t.Parallel()
	e := newEventEdge(t, slowTiming())
	empty := e.list(&verigatev1.ListEventsRequest{})
	if len(empty.GetEvents()) != 0 || empty.GetCursor() != "" || empty.GetMore() {
		t.Errorf("before the first event there is %v", empty)
	}
	want := e.happen(7, nil)
	e.happen(1, func(r *verification.Record) { r.Scope.Project = otherTenant })
	var got []string
	request := &verigatev1.ListEventsRequest{PageSize: 3}
	for more := true; more; {
		page := e.list(request)
		for _, event := range page.GetEvents() {
			got = append(got, event.GetId())
		}
		if len(got) < len(want) && len(page.GetEvents()) != 3 {
			t.Errorf("a page of 3 has %d", len(page.GetEvents()))
		}
		request.AfterCursor, more = page.GetCursor(), page.GetMore()
	}
	for i, r := range want {
		if i >= len(got) || got[i] != r.EventID() {
			t.Fatalf("the pages have %v, want %d events in order", got, len(want))
		}
	}
	if len(got) != len(want) {
		t.Errorf("the pages have %d events, want %d", len(got), len(want))
	}
	end := e.list(request)
	if len(end.GetEvents()) != 0 || end.GetMore() || end.GetCursor() != request.GetAfterCursor() {
		t.Errorf("at the end there is %v, want the same cursor", end)
	}
	late := e.happen(1, nil)[0]
	if page := e.list(request); len(page.GetEvents()) != 1 || page.GetEvents()[0].GetId() != late.EventID() {
		t.Errorf("after the end came %v", page)
	}
}

func TestAPageOfEventsHasFiftyUnlessToldOtherwise(t *testing.T) {
	t.Parallel()
	e := newEventEdge(t, slowTiming())
	e.list(&verigatev1.ListEventsRequest{})
	e.list(&verigatev1.ListEventsRequest{PageSize: 200})
	if asked := e.log.queries(); asked[0].Limit != 50 || asked[1].Limit != 200 {
		t.Errorf("pages of %d and %d were read, want 50 and 200", asked[0].Limit, asked[1].Limit)
	}
	for _, size := range []int32{-1, 201} {
		_, err := e.as("shop:").ListEvents(t.Context(), &verigatev1.ListEventsRequest{PageSize: size})
		wantField(t, "a page of another size", err, "page_size")
	}
}

func TestAFilterReachesTheReader(t *testing.T) {
	t.Parallel()
	e := newEventEdge(t, slowTiming())
	e.happen(1, nil)
	want := e.happen(1, func(r *verification.Record) { r.Flow, r.Event = "kyc", verification.Passed })[0]
	e.happen(1, func(r *verification.Record) { r.Flow = "kyc" })
	page := e.list(&verigatev1.ListEventsRequest{Filter: &verigatev1.EventFilter{
		Flows: []string{"kyc"}, Kinds: []verigatev1.EventKind{verigatev1.EventKind_EVENT_KIND_PASSED},
	}})
	if len(page.GetEvents()) != 1 || page.GetEvents()[0].GetId() != want.EventID() {
		t.Errorf("the filter lets %v through", page)
	}
	if rest := e.list(&verigatev1.ListEventsRequest{AfterCursor: page.GetCursor()}); len(rest.GetEvents()) != 0 {
		t.Errorf("what was looked at is read again: %v", rest)
	}
	for name, filter := range map[string]*verigatev1.EventFilter{
		"a flow that can be none": {Flows: []string{"Upper Case"}},
		"a kind twice":            {Kinds: []verigatev1.EventKind{1, 1}},
		"no kind":                 {Kinds: []verigatev1.EventKind{0}},
		"an unknown kind":         {Kinds: []verigatev1.EventKind{99}},
	} {
		_, err := e.as("shop:").ListEvents(t.Context(), &verigatev1.ListEventsRequest{Filter: filter})
		wantField(t, name, err, "filter")
	}
}

func TestNowIsAfterTheNewestEvent(t *testing.T) {
	t.Parallel()
	e := newEventEdge(t, slowTiming())
	if page := e.list(&verigatev1.ListEventsRequest{AfterCursor: "now"}); page.GetCursor() != "" {
		t.Errorf("before the first event now is %q", page.GetCursor())
	}
	e.happen(3, nil)
	page := e.list(&verigatev1.ListEventsRequest{AfterCursor: "now"})
	if len(page.GetEvents()) != 0 || page.GetMore() || page.GetCursor() == "" {
		t.Fatalf("now there is %v", page)
	}
	late := e.happen(1, nil)[0]
	page = e.list(&verigatev1.ListEventsRequest{AfterCursor: page.GetCursor()})
	if len(page.GetEvents()) != 1 || page.GetEvents()[0].GetId() != late.EventID() {
		t.Errorf("after now came %v", page)
	}
}

// badCursors are none of the caller's, each for its own reason.
func badCursors(e *eventEdge) map[string]string {
	e.happen(1, nil)
	e.happen(1, func(r *verification.Record) { r.Scope.Project = otherTenant })
	e.happen(1, func(r *verification.Record) { r.Scope.Environment = verification.Live })
	own := e.list(&verigatev1.ListEventsRequest{}).GetCursor()
	foreign, err := e.as(otherTenant+":").ListEvents(e.t.Context(), &verigatev1.ListEventsRequest{})
	if err != nil || foreign.GetCursor() == "" {
		e.t.Fatalf("the other tenant has %v, %v", foreign, err)
	}
	live := scope()
	live.Environment = verification.Live
	changed := "A" + own[1:]
	if changed == own {
		changed = "B" + own[1:]
	}
	return map[string]string{
		"of another project":     foreign.GetCursor(),
		"of another environment": rpc.CursorText(verification.EventCursor{VerificationID: uuid.New(), Version: 1}, live),
		"of no alphabet":         "a", "of nothing": "AAAA", "cut short": own[:len(own)-2], "made longer": own + "AA",
		"changed": changed, "in other words": "Now",
	}
}

func TestACursorThatIsNoneIsRefusedByName(t *testing.T) {
	t.Parallel()
	e := newEventEdge(t, slowTiming())
	bad := badCursors(e)
	before := len(e.log.queries())
	for name, cursor := range bad {
		_, err := e.as("shop:").ListEvents(t.Context(), &verigatev1.ListEventsRequest{AfterCursor: cursor})
		wantField(t, "a list after a cursor "+name, err, "after_cursor")
		err = e.stream(&verigatev1.StreamEventsRequest{AfterCursor: cursor}).refused()
		wantField(t, "a stream after a cursor "+name, err, "after_cursor")
		if text := err.Error(); strings.Contains(text, cursor) && len(cursor) > 10 {
			t.Errorf("the refusal repeats the cursor: %s", text)
		}
	}
	for _, cursor := range []string{"not a cursor!", strings.Repeat("A", 129)} {
		_, err := e.as("shop:").ListEvents(t.Context(), &verigatev1.ListEventsRequest{AfterCursor: cursor})
		wantField(t, "a list after "+cursor, err, "after_cursor")
	}
	if after := len(e.log.queries()); after != before {
		t.Errorf("the reader was asked %d times", after-before)
	}
}

func TestACursorWhoseEventsAreGoneIsExpired(t *testing.T) {
	t.Parallel()
	e := newEventEdge(t, slowTiming())
	e.happen(2, nil)
	old := e.list(&verigatev1.ListEventsRequest{PageSize: 1}).GetCursor()
	kept := e.happen(1, nil)[0]
	e.log.purge(2)
	_, listed := e.as("shop:").ListEvents(t.Context(), &verigatev1.ListEventsRequest{AfterCursor: old})
	streamed := e.stream(&verigatev1.StreamEventsRequest{AfterCursor: old}).refused()
	for what, err := range map[string]error{"the list": listed, "the stream": streamed} {
		wantCode(t, what, err, connect.CodeOutOfRange, verification.ErrCursorExpired.Message)
		_, details := shown(t, err)
		expired := false
		for _, detail := range details {
			info, ok := detail.(*errdetails.ErrorInfo)
			expired = expired || (ok && info.GetReason() == "CURSOR_EXPIRED")
		}
		if !expired {
			t.Errorf("%s: no CURSOR_EXPIRED in %v", what, details)
		}
	}
	e.stream(&verigatev1.StreamEventsRequest{}).event(kept)
}

func TestCursorsAreReadAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	for _, version := range []int64{1, 127, 128, 1 << 40, 1<<63 - 1} {
		c := verification.EventCursor{VerificationID: uuid.New(), Version: version}
		text := rpc.CursorText(c, scope())
		if got, err := rpc.ParseCursor(text, scope()); err != nil || got != c || len(text) > 128 {
			t.Errorf("%v became %q and then %v, %v", c, text, got, err)
		}
	}
	zero := verification.EventCursor{}
	if text := rpc.CursorText(zero, scope()); text != "" {
		t.Errorf("the zero cursor is %q", text)
	}
	if got, err := rpc.ParseCursor("", scope()); err != nil || got != zero {
		t.Errorf("no cursor is read as %v, %v", got, err)
	}
}
