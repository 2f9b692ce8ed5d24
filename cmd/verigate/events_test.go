package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
)

type eventStream = verigatev1connect.EventServiceStreamEventsServerStream

// eventScript answers one StreamEvents call.
type eventScript func(ctx context.Context, s eventStream) error

// fakeEvents is an EventService with scripted behaviour.
type fakeEvents struct {
	mu      sync.Mutex
	list    func(*verigatev1.ListEventsRequest) (*verigatev1.ListEventsResponse, error)
	scripts []eventScript
	listed  []*verigatev1.ListEventsRequest
	asked   []*verigatev1.StreamEventsRequest
}

func (f *fakeEvents) ListEvents(_ context.Context, r *verigatev1.ListEventsRequest) (*verigatev1.ListEventsResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listed = append(f.listed, r)
	return f.list(r)
}

func (f *fakeEvents) StreamEvents(ctx context.Context, r *verigatev1.StreamEventsRequest, s verigatev1connect.EventServiceStreamEventsServerStream) error {
	f.mu.Lock()
	f.asked = append(f.asked, r)
	if len(f.scripts) == 0 {
		f.mu.Unlock()
		return connect.NewError(connect.CodeNotFound, "the script is over")
	}
	next := f.scripts[0]
	f.scripts = f.scripts[1:]
	f.mu.Unlock()
	return next(ctx, s)
}

// cursors are where the streams began.
func (f *fakeEvents) cursors() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	began := make([]string, 0, len(f.asked))
	for _, r := range f.asked {
		began = append(began, r.GetAfterCursor())
	}
	return began
}

// eventBench is a bench whose server has an EventService.
func eventBench(t *testing.T, scripts ...eventScript) (*bench, *fakeEvents) {
	t.Helper()
	b, fake := newBench(t), &fakeEvents{scripts: scripts}
	api := connect.NewServer()
	verigatev1connect.RegisterEventServiceHandler(api, fake)
	connecthttp.Mount(b.mux, api)
	return b, fake
}

// happened is the event number n of a verification.
func happened(n int64) *verigatev1.Event {
	return &verigatev1.Event{
		Id: fmt.Sprintf("%s.%d", testID, n), ApiVersion: "v1", VerificationId: testID, Flow: "identity", Version: n,
		Kind: verigatev1.EventKind_EVENT_KIND_PERSON_RETURNED, Source: verigatev1.EventSource_EVENT_SOURCE_RETURN,
		PreviousState: statePending, State: stateProcessing, ReasonCodes: []string{"one", "two"},
		CreateTime: timestamppb.New(testTime()), Environment: "test",
	}
}

// tells makes a stream that tells the events from one number to another, each
// with its own cursor, and ends as end says.
func tells(from, to int64, end func(context.Context, eventStream) error) eventScript {
	return func(ctx context.Context, s eventStream) error {
		for n := from; n <= to; n++ {
			err := s.Send(&verigatev1.StreamEventsResponse{
				Kind: verigatev1.StreamEventsKind_STREAM_EVENTS_KIND_EVENT, Event: happened(n), Cursor: fmt.Sprintf("c%d", n),
			})
			if err != nil {
				return err
			}
		}
		return end(ctx, s)
	}
}

func endsWith(code connect.Code) func(context.Context, eventStream) error {
	return func(context.Context, eventStream) error { return connect.NewError(code, "over") }
}

func justEnds(context.Context, eventStream) error { return nil }

func staysOpen(ctx context.Context, _ eventStream) error {
	<-ctx.Done()
	return ctx.Err()
}

// pagesOf lists count events, numbered from 1, in pages; a cursor is the number
// of the last event before it.
func pagesOf(count int) func(*verigatev1.ListEventsRequest) (*verigatev1.ListEventsResponse, error) {
	return func(r *verigatev1.ListEventsRequest) (*verigatev1.ListEventsResponse, error) {
		last := 0
		if text := r.GetAfterCursor(); text != "" {
			if _, err := fmt.Sscanf(text, "c%d", &last); err != nil {
				return nil, connect.NewError(connect.CodeInvalidArgument, "after_cursor: is no cursor")
			}
		}
		page := &verigatev1.ListEventsResponse{Cursor: r.GetAfterCursor()}
		for last < count && len(page.GetEvents()) < int(r.GetPageSize()) {
			last++
			page.Events = append(page.Events, happened(int64(last)))
			page.Cursor = fmt.Sprintf("c%d", last)
		}
		page.More = last < count
		return page, nil
	}
}

// lines are the events and cursors of --json.
func (b *bench) lines() (ids, cursors []string) {
	b.t.Helper()
	for line := range strings.Lines(b.out.String()) {
		var said struct {
			Event struct {
				ID string `json:"id"`
			} `json:"event"`
			Cursor *string `json:"cursor"`
		}
		if err := json.Unmarshal([]byte(line), &said); err != nil || said.Cursor == nil {
			b.t.Fatalf("%q is no event with a cursor: %v", line, err)
		}
		ids, cursors = append(ids, strings.TrimPrefix(said.Event.ID, testID+".")), append(cursors, *said.Cursor)
	}
	return ids, cursors
}

func TestEventsPrintsALineForEach(t *testing.T) {
	t.Parallel()
	b, fake := eventBench(t)
	fake.list = pagesOf(2)
	code := b.run("events")
	b.want(exitPass, code, "2026-05-17 10:30:00  identity      "+testID+
		"  v2      pending → processing  person_returned         return    one, two\n",
		"later: verigate events --after c2\n")
	if n := strings.Count(b.out.String(), "\n"); n != 2 {
		t.Errorf("%d lines, want 2:\n%s", n, b.out.String())
	}
}

func TestTheFirstEventOfAVerificationHasNoStateBefore(t *testing.T) {
	t.Parallel()
	b, fake := eventBench(t)
	fake.list = func(*verigatev1.ListEventsRequest) (*verigatev1.ListEventsResponse, error) {
		first := happened(1)
		first.PreviousState, first.State = 0, verigatev1.VerificationState_VERIFICATION_STATE_CREATED
		first.Kind, first.Source, first.ReasonCodes = verigatev1.EventKind_EVENT_KIND_STARTED, verigatev1.EventSource_EVENT_SOURCE_CALLER, nil
		first.Flow = "steer\x1b[2J"
		return &verigatev1.ListEventsResponse{Events: []*verigatev1.Event{first}, Cursor: "c1"}, nil
	}
	b.want(exitPass, b.run("events"), "- → created     started                 caller\n", "")
	if strings.Contains(b.out.String(), "\x1b") {
		t.Errorf("a text of the server steers the terminal: %q", b.out.String())
	}
}

func TestEventsReadsEveryPageAndEachLineTellsWhereToGoOn(t *testing.T) {
	t.Parallel()
	b, fake := eventBench(t)
	const count = 450
	fake.list = pagesOf(count)
	b.want(exitPass, b.run("events", "--json", "--after", "c10"), "", "")
	ids, cursors := b.lines()
	if len(ids) != count-10 || ids[0] != "11" || ids[len(ids)-1] != "450" {
		t.Errorf("%d events, from %s to %s", len(ids), ids[0], ids[len(ids)-1])
	}
	if cursors[0] != "c10" || cursors[199] != "c210" || cursors[200] != "c210" || cursors[len(cursors)-1] != "c450" {
		t.Errorf("cursors are %s, %s, %s and at last %s", cursors[0], cursors[199], cursors[200], cursors[len(cursors)-1])
	}
	if b.err.Len() > 0 {
		t.Errorf("a script is told %q", b.err.String())
	}
}

func TestALimitEndsThePagesExactly(t *testing.T) {
	t.Parallel()
	b, fake := eventBench(t)
	fake.list = pagesOf(1000)
	b.want(exitPass, b.run("events", "--limit", "203", "--flow", "identity,kyc", "--kind", "person_returned", "--kind", "passed"), "",
		"more: verigate events --flow identity,kyc --kind person_returned,passed --after c203\n")
	if n := strings.Count(b.out.String(), "\n"); n != 203 {
		t.Errorf("%d events, want 203", n)
	}
	filter := fake.listed[0].GetFilter()
	want := []verigatev1.EventKind{verigatev1.EventKind_EVENT_KIND_PERSON_RETURNED, verigatev1.EventKind_EVENT_KIND_PASSED}
	if !slices.Equal(filter.GetFlows(), []string{"identity", "kyc"}) || !slices.Equal(filter.GetKinds(), want) {
		t.Errorf("the filter is %v", filter)
	}
	b, fake = eventBench(t)
	fake.list = pagesOf(0)
	b.want(exitPass, b.run("events"), "", "no events match\n")
}

func TestEventsSaysWhichFlagIsWrong(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"a kind that is none":       {[]string{"--kind", "happy"}, `--kind: "happy" is no kind; the kinds are started, `},
		"a kind that never streams": {[]string{"--kind", "noted"}, `--kind: "noted" is no kind`},
		"a negative limit":          {[]string{"--limit", "-1"}, "--limit: must not be negative"},
		"an argument":               {[]string{"c1"}, "this command takes flags only"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _ := eventBench(t)
			b.want(exitUsage, b.run(append([]string{"events"}, c.args...)...), "", c.says)
		})
	}
}

func TestFollowingGoesOnFromTheLastCursorWhateverEndsAStream(t *testing.T) {
	t.Parallel()
	b, fake := eventBench(t,
		tells(1, 2, endsWith(connect.CodeUnavailable)),
		tells(3, 2, endsWith(connect.CodeUnavailable)),
		tells(3, 2, endsWith(connect.CodeResourceExhausted)),
		tells(3, 3, func(_ context.Context, s eventStream) error {
			// What the filter held back is not read again.
			if err := s.Send(&verigatev1.StreamEventsResponse{Kind: verigatev1.StreamEventsKind_STREAM_EVENTS_KIND_HEARTBEAT, Cursor: "c7"}); err != nil {
				return err
			}
			return s.Send(&verigatev1.StreamEventsResponse{
				Kind: verigatev1.StreamEventsKind_STREAM_EVENTS_KIND_DRAIN, Cursor: "c8", ReconnectAfter: durationpb.New(123 * time.Millisecond),
			})
		}),
		tells(9, 9, justEnds),
		tells(10, 12, staysOpen),
	)
	b.want(exitPass, b.run("events", "--follow", "--json", "--after", "now", "--flow", "identity", "--limit", "6"), "", "reconnecting in 123ms")
	ids, cursors := b.lines()
	if want := []string{"1", "2", "3", "9", "10", "11"}; !slices.Equal(ids, want) {
		t.Errorf("it printed %v, want %v", ids, want)
	}
	if want := []string{"c1", "c2", "c3", "c9", "c10", "c11"}; !slices.Equal(cursors, want) {
		t.Errorf("the cursors are %v, want %v", cursors, want)
	}
	if want := []string{"now", "c2", "c2", "c2", "c8", "c9"}; !slices.Equal(fake.cursors(), want) {
		t.Errorf("the streams began after %v, want %v", fake.cursors(), want)
	}
	// Twice as long after each failure, and from the start again after a message.
	const first = 250 * time.Millisecond
	want := []time.Duration{first, 2 * first, 4 * first, 123 * time.Millisecond, first}
	if !slices.Equal(b.pauses, want) {
		t.Errorf("it paused for %v, want %v", b.pauses, want)
	}
	if filter := fake.asked[5].GetFilter(); !slices.Equal(filter.GetFlows(), []string{"identity"}) {
		t.Errorf("the last stream's filter is %v", filter)
	}
}

func TestFollowingGivesUpWhereRetryingCannotHelp(t *testing.T) {
	t.Parallel()
	for code, exit := range map[connect.Code]int{
		connect.CodeOutOfRange: exitUsage, connect.CodeInvalidArgument: exitUsage, connect.CodeUnauthenticated: exitUnauthenticated,
		connect.CodeUnimplemented: exitInternal,
	} {
		t.Run(code.String(), func(t *testing.T) {
			t.Parallel()
			b, fake := eventBench(t, tells(1, 1, endsWith(code)), tells(2, 2, staysOpen))
			b.want(exit, b.run("events", "--follow"), "v1", "over")
			if n := len(fake.cursors()); n != 1 {
				t.Errorf("it tried %d times", n)
			}
		})
	}
}

// tellsWrites tells when something was written.
type tellsWrites struct {
	io.Writer

	wrote func()
}

func (w tellsWrites) Write(p []byte) (int, error) {
	defer w.wrote()
	return w.Writer.Write(p)
}

func TestASilentEventStreamIsOpenedAgain(t *testing.T) {
	t.Parallel()
	b, fake := eventBench(t, tells(1, 1, staysOpen), tells(2, 2, staysOpen))
	b.world.std.Out = tellsWrites{&b.out, func() {
		if strings.Contains(b.out.String(), "v1") && !strings.Contains(b.out.String(), "v2") {
			(<-b.alarms).ring()
		}
	}}
	b.want(exitPass, b.run("events", "--follow", "--limit", "2"), "v2", "no message for 45s; reconnecting")
	if want := []string{"", "c1"}; !slices.Equal(fake.cursors(), want) {
		t.Errorf("the streams began after %v, want %v", fake.cursors(), want)
	}
}

func TestAnInterruptEndsFollowingWithSuccess(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	b, _ := eventBench(t, tells(1, 1, staysOpen))
	b.world.std.Out = tellsWrites{&b.out, interrupt}
	if code := b.runIn(ctx, "events", "--follow"); code != exitPass {
		t.Errorf("exit %d, want 0\n%s", code, b.err.String())
	}
	if text := b.err.String(); text != "later: verigate events --follow --after c1\n" {
		t.Errorf("it says %q", text)
	}
}

// closedPipe takes nothing.
type closedPipe struct{}

func (closedPipe) Write([]byte) (int, error) { return 0, errors.New("closed pipe") }

func TestAReaderThatIsGoneEndsTheCommand(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{"following": {"events", "--follow"}, "reading pages": {"events"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, fake := eventBench(t, tells(1, 1, staysOpen))
			fake.list = pagesOf(1)
			b.world.std.Out = closedPipe{}
			b.want(exitInternal, b.run(args...), "", "closed pipe")
		})
	}
}
