package main

import (
	"context"
	"encoding/json"
	"fmt"

	verigate "github.com/verigate/verigate/clients/go"
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

// followEvents prints what happens until somebody interrupts it.
func (c *caller) followEvents(ctx context.Context, api verigatev1connect.EventServiceClient, f *eventsFlags, filter *verigatev1.EventFilter) error {
	cursor, err := c.printEvents(ctx, api, f, filter)
	select {
	case <-ctx.Done():
		// There is no other way to end it.
		return c.endFollowing(f, cursor)
	default:
		return err
	}
}

// printEvents returns where to go on: the cursor moves once the event is
// printed, and never before.
func (c *caller) printEvents(ctx context.Context, api verigatev1connect.EventServiceClient, f *eventsFlags, filter *verigatev1.EventFilter) (string, error) {
	cursor, printed := f.after, 0
	request := &verigatev1.StreamEventsRequest{AfterCursor: f.after, Filter: filter}
	for m, err := range verigate.Events(ctx, api, request, c.following(&reporter{caller: c})...) {
		if err != nil {
			return cursor, err
		}
		if event := m.GetEvent(); event != nil {
			if err := c.printEvent(event, m.GetCursor()); err != nil {
				return cursor, err
			}
			printed++
		}
		cursor = m.GetCursor()
		if f.limit > 0 && printed >= f.limit {
			return cursor, nil
		}
	}
	return cursor, nil
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
