package main

import (
	"context"
	"encoding/json"
	"fmt"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
)

// afterNow is the word for what happens from now on.
const afterNow = "now"

// eventLine is a line of `events --json`. A script that keeps its cursor goes on
// from there.
type eventLine struct {
	Event  json.RawMessage `json:"event"`
	Cursor string          `json:"cursor"`
}

// eventFollower follows events over as many streams as it takes.
type eventFollower struct {
	*caller

	api    verigatev1connect.EventServiceClient
	filter *verigatev1.EventFilter
	// cursor is where the next stream begins.
	cursor string
	// limit is how many events end it, printed how many there were; 0 for none.
	limit, printed int
}

// followEvents prints what happens until somebody interrupts it.
func (c *caller) followEvents(ctx context.Context, api verigatev1connect.EventServiceClient, f *eventsFlags, filter *verigatev1.EventFilter) error {
	follow := &eventFollower{caller: c, api: api, filter: filter, cursor: f.after, limit: f.limit}
	shown := &reporter{caller: c}
	err := c.persist(ctx, follow.stream, shown.lost)
	select {
	case <-ctx.Done():
		// There is no other way to end it.
		return c.endFollowing(f, follow.cursor)
	default:
		return err
	}
}

// endFollowing tells a person where to go on, once there is such a place: now
// would be another one then.
func (c *caller) endFollowing(f *eventsFlags, cursor string) error {
	if c.asJSON || cursor == "" || cursor == afterNow {
		return nil
	}
	_, err := fmt.Fprintln(c.std.Err, "later: "+f.again(cursor))
	return err
}

// stream follows one stream to its end.
func (f *eventFollower) stream(ctx context.Context) ending {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := f.alarm(maxSilence, func() { cancel(errSilent) })
	defer watchdog.Stop()
	var end ending
	stream, err := f.api.StreamEvents(ctx, &verigatev1.StreamEventsRequest{AfterCursor: f.cursor, Filter: f.filter})
	if err != nil {
		end.err = reasonOf(ctx, err)
		return end
	}
	defer func() {
		cancel(nil) // closing an open stream would first read what is left of it
		_ = stream.Close()
	}()
	for {
		m, err := stream.Receive()
		if err != nil {
			end.err = reasonOf(ctx, err)
			return end
		}
		watchdog.Reset(maxSilence)
		end.heard = true
		if f.take(m, &end) {
			return end
		}
	}
}

// take looks at one message and tells whether the stream is over with it. The
// cursor moves once the event is printed, and never before.
func (f *eventFollower) take(m *verigatev1.StreamEventsResponse, end *ending) bool {
	if event := m.GetEvent(); event != nil {
		if err := f.printEvent(event, m.GetCursor()); err != nil {
			end.done, end.err = true, err
			return true
		}
		f.printed++
	}
	f.cursor = m.GetCursor()
	if f.limit > 0 && f.printed >= f.limit {
		end.done = true
		return true
	}
	if m.GetKind() == verigatev1.StreamEventsKind_STREAM_EVENTS_KIND_DRAIN {
		end.drained, end.pause = true, max(m.GetReconnectAfter().AsDuration(), 0)
		return true
	}
	return false
}
