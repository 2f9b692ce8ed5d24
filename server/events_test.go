package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/verification"
)

const (
	eventMessage   = verigatev1.StreamEventsKind_STREAM_EVENTS_KIND_EVENT
	eventHeartbeat = verigatev1.StreamEventsKind_STREAM_EVENTS_KIND_HEARTBEAT
	eventDrain     = verigatev1.StreamEventsKind_STREAM_EVENTS_KIND_DRAIN
)

// eventAPIOver returns a client of EventService with a credential.
func (g *gateway) eventAPIOver(w wire, credential string) verigatev1connect.EventServiceClient {
	return verigatev1connect.NewEventServiceClient(
		connect.NewClient(connecthttp.NewTransport(newHTTPClient(g.t, w.http2, credential), g.url, w.options...)))
}

// eventStream is an open StreamEvents call.
type eventStream struct {
	t     *testing.T
	in    verigatev1connect.EventServiceStreamEventsClientStream
	close func()
}

func streamEvents(t *testing.T, api verigatev1connect.EventServiceClient, r *verigatev1.StreamEventsRequest) *eventStream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	in, err := api.StreamEvents(ctx, r)
	if err != nil {
		cancel()
		t.Fatalf("StreamEvents: %v", err)
	}
	s := &eventStream{t: t, in: in, close: func() {
		cancel()
		_ = in.Close()
	}}
	t.Cleanup(s.close)
	return s
}

func (s *eventStream) next() *verigatev1.StreamEventsResponse {
	s.t.Helper()
	m, err := s.in.Receive()
	if err != nil {
		s.t.Fatalf("the stream ended: %v", err)
	}
	return m
}

// ids takes so many events, whatever comes between, and returns which they were
// and the last one's cursor.
func (s *eventStream) ids(count int) (ids []string, cursor string) {
	s.t.Helper()
	for len(ids) < count {
		if m := s.next(); m.GetKind() == eventMessage {
			ids, cursor = append(ids, m.GetEvent().GetId()), m.GetCursor()
		}
	}
	return ids, cursor
}

// lives lets so many verifications be started and decided, and returns the ids
// of their four events each, by verification.
func (g *gateway) lives(count int) map[string][]string {
	g.t.Helper()
	api, want := g.api(g.key), make(map[string][]string, count)
	for range count {
		id := g.start(api).GetVerification().GetId()
		g.decide(id, verification.PersonSubmitted)
		g.decide(id, verification.Passed)
		for version := 1; version <= 4; version++ {
			want[id] = append(want[id], fmt.Sprintf("%s.%d", id, version))
		}
	}
	return want
}

// wantLives fails unless every event is there once, and those of one
// verification in their order.
func wantLives(t *testing.T, got []string, want map[string][]string) {
	t.Helper()
	total := 0
	for id, events := range want {
		own := slices.DeleteFunc(slices.Clone(got), func(event string) bool { return event[:len(id)] != id })
		if !slices.Equal(own, events) {
			t.Errorf("of %s came %v", id, own)
		}
		total += len(events)
	}
	if len(got) != total {
		t.Errorf("%d events came, want %d", len(got), total)
	}
}

func TestTheEventStreamReadsOnAfterEveryEventOverEveryProtocol(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	const lives = 3
	all := 4 * lives
	whole := streamEvents(t, g.eventAPIOver(wire{}, g.key), &verigatev1.StreamEventsRequest{})
	if first := whole.next(); first.GetKind() != eventHeartbeat || first.GetCursor() != "" {
		t.Errorf("before the first event comes %v", first)
	}
	want := g.lives(lives)
	order, end := whole.ids(all)
	wantLives(t, order, want)
	for _, w := range wires() {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			api, cursor := g.in(t).eventAPIOver(w, g.key), ""
			for i := range order {
				s := streamEvents(t, api, &verigatev1.StreamEventsRequest{AfterCursor: cursor})
				var got []string
				got, cursor = s.ids(1)
				s.close()
				if got[0] != order[i] {
					t.Fatalf("event %d is %s, want %s", i, got[0], order[i])
				}
			}
			if m := streamEvents(t, api, &verigatev1.StreamEventsRequest{AfterCursor: cursor}).next(); cursor != end ||
				m.GetKind() != eventHeartbeat || m.GetCursor() != end {
				t.Errorf("at %q comes %v, want a heartbeat at %q", cursor, m, end)
			}
			listed := g.in(t).listEvents(api, &verigatev1.ListEventsRequest{PageSize: 5})
			if !slices.Equal(listed, order) {
				t.Errorf("pages have %v, want %v", listed, order)
			}
		})
	}
}

// listEvents reads pages to the end.
func (g *gateway) listEvents(api verigatev1connect.EventServiceClient, r *verigatev1.ListEventsRequest) (ids []string) {
	g.t.Helper()
	for more := true; more; {
		page, err := api.ListEvents(g.t.Context(), r)
		if err != nil {
			g.t.Fatalf("ListEvents: %v", err)
		}
		for _, event := range page.GetEvents() {
			ids = append(ids, event.GetId())
		}
		r.AfterCursor, more = page.GetCursor(), page.GetMore()
	}
	return ids
}

func TestAnEventSaysWhatHappened(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	s := streamEvents(t, g.eventAPIOver(wire{}, g.key), &verigatev1.StreamEventsRequest{
		Filter: &verigatev1.EventFilter{Kinds: []verigatev1.EventKind{verigatev1.EventKind_EVENT_KIND_PASSED}},
	})
	s.next()
	want := g.lives(1)
	e := s.next().GetEvent()
	id := e.GetVerificationId()
	if _, known := want[id]; !known || e.GetId() != id+".4" || e.GetVersion() != 4 || e.GetState() != approved || e.GetPreviousState() != processing ||
		e.GetFlow() != "identity" || e.GetKind() != verigatev1.EventKind_EVENT_KIND_PASSED || !e.GetTerminal() || e.GetRevision() ||
		e.GetSource() != verigatev1.EventSource_EVENT_SOURCE_PROVIDER || e.GetEnvironment() != "test" || e.GetCreateTime() == nil {
		t.Errorf("the event is %v", e)
	}
}

func TestEventCursorsBelongToOneTenant(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	g.lives(1)
	_, cursor := streamEvents(t, g.eventAPIOver(wire{}, g.key), &verigatev1.StreamEventsRequest{}).ids(4)
	for name, scope := range map[string]verification.Scope{"of another project": acmeTest(), "of another environment": shopLive()} {
		foreign := g.eventAPIOver(wire{}, g.newKey(scope))
		if got := g.listEvents(foreign, &verigatev1.ListEventsRequest{}); len(got) != 0 {
			t.Errorf("a key %s sees %v", name, got)
		}
		_, err := foreign.ListEvents(t.Context(), &verigatev1.ListEventsRequest{AfterCursor: cursor})
		wantCode(t, err, connect.CodeInvalidArgument)
		_, err = streamEvents(t, foreign, &verigatev1.StreamEventsRequest{AfterCursor: cursor}).in.Receive()
		wantCode(t, err, connect.CodeInvalidArgument)
		if broken := details[*errdetails.BadRequest](t, err); len(broken) != 1 || broken[0].GetFieldViolations()[0].GetField() != "after_cursor" {
			t.Errorf("a cursor %s: the details are %v", name, broken)
		}
	}
	_, err := g.eventAPIOver(wire{}, g.newKeyFor(shopTest(), access.VerificationsRead)).ListEvents(t.Context(), &verigatev1.ListEventsRequest{})
	wantCode(t, err, connect.CodeUnauthenticated)
}

func TestACursorExpiresWithItsEvent(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	g.lives(1)
	api := g.eventAPIOver(wire{}, g.key)
	// All four have a place, so the first is not the last one either.
	stream := streamEvents(t, api, &verigatev1.StreamEventsRequest{})
	_, cursor := stream.ids(1)
	stream.ids(3)
	eventually(t, "the first event is purged", func() bool {
		purged, err := g.server.Store().PurgeEvents(t.Context(), time.Now().Add(time.Hour), 1)
		return err == nil && purged == 1
	})
	_, err := streamEvents(t, api, &verigatev1.StreamEventsRequest{AfterCursor: cursor}).in.Receive()
	wantCode(t, err, connect.CodeOutOfRange)
	if info := details[*errdetails.ErrorInfo](t, err); len(info) != 1 || info[0].GetReason() != "CURSOR_EXPIRED" {
		t.Errorf("the details are %v", info)
	}
	if rest := g.listEvents(api, &verigatev1.ListEventsRequest{}); len(rest) != 3 {
		t.Errorf("from the oldest on there is %v, want three", rest)
	}
}

func TestHeartbeatsOfAnEventStreamCarryItsCursor(t *testing.T) {
	t.Parallel()
	g := open(t, func(c *config.Config) { c.Watch.Heartbeat = 40 * time.Millisecond })
	g.lives(1)
	_, end := streamEvents(t, g.eventAPIOver(wire{}, g.key), &verigatev1.StreamEventsRequest{}).ids(4)
	for _, w := range wires() {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			s := streamEvents(t, g.in(t).eventAPIOver(w, g.key), &verigatev1.StreamEventsRequest{
				Filter: &verigatev1.EventFilter{Flows: []string{"another"}},
			})
			for range 3 {
				if m := s.next(); m.GetKind() != eventHeartbeat || m.GetCursor() != end {
					t.Errorf("got %v, want a heartbeat at %s", m, end)
				}
			}
		})
	}
}

func TestADeployDrainsEventStreams(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	g.lives(1)
	streams := make([]*eventStream, 0, len(wires()))
	end := ""
	for _, w := range wires() {
		s := streamEvents(t, g.eventAPIOver(w, g.key), &verigatev1.StreamEventsRequest{})
		_, end = s.ids(4)
		streams = append(streams, s)
	}
	if err := g.stop(); err != nil {
		t.Errorf("Serve: %v", err)
	}
	for i, s := range streams {
		m := s.next()
		if m.GetKind() != eventDrain || m.GetCursor() != end || m.GetReconnectAfter() == nil {
			t.Errorf("%s: the last message is %v", wires()[i].name, m)
		}
		if m, err := s.in.Receive(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: after the drain came %v, %v", wires()[i].name, m, err)
		}
	}
}
