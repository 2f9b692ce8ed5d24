package verigate

import (
	"context"
	"iter"

	"google.golang.org/protobuf/proto"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
)

// Events yields the events of the credential's project as they happen, each with
// the cursor from which a later call goes on: keep it once the event is dealt
// with.
//
// The loop never ends by itself. It comes back as Watch does, with the cursor of
// the last message, and its errors are those of Watch. It does not poll.
func Events(
	ctx context.Context, client verigatev1connect.EventServiceClient, request *verigatev1.StreamEventsRequest, options ...Option,
) iter.Seq2[*verigatev1.StreamEventsResponse, error] {
	return func(yield func(*verigatev1.StreamEventsResponse, error) bool) {
		chosen, err := newSettings(options)
		if err != nil {
			yield(nil, err)
			return
		}
		next := &verigatev1.StreamEventsRequest{}
		proto.Merge(next, request)
		f := &follower[*verigatev1.StreamEventsResponse]{
			settings: chosen,
			open: func(ctx context.Context) (stream[*verigatev1.StreamEventsResponse], error) {
				return client.StreamEvents(ctx, proto.CloneOf(next))
			},
			take: func(m *verigatev1.StreamEventsResponse) outcome {
				if (m.GetEvent() != nil || chosen.everyMessage) && !yield(m, nil) {
					return outcome{done: true}
				}
				next.AfterCursor = m.GetCursor()
				return outcome{
					news:    m.GetEvent() != nil,
					drained: m.GetKind() == verigatev1.StreamEventsKind_STREAM_EVENTS_KIND_DRAIN,
					pause:   m.GetReconnectAfter().AsDuration(),
				}
			},
		}
		if err := f.run(ctx); err != nil {
			yield(nil, err)
		}
	}
}
