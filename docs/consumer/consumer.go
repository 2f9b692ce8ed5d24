// Package consumer is how a backend reads Verigate's event stream: the example
// of docs/events.md, as it compiles and is tested. Nothing imports it.
package consumer

import (
	"context"
	"math/rand/v2"
	"net/http"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
)

const (
	// maxSilence is three heartbeats: a line that says nothing for so long is dead.
	maxSilence = 45 * time.Second
	// maxPause bounds the random pause after a stream that was cut.
	maxPause = time.Second
)

// Client calls the gateway at url with an API key that has the scope events:read.
func Client(url, key string) verigatev1connect.EventServiceClient {
	authorize := func(next connect.ClientFunc) connect.ClientFunc {
		return func(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
			if call, ok := connect.CallInfoForClientContext(ctx); ok {
				call.RequestHeader().Set("Authorization", "Bearer "+key)
			}
			return next(ctx, spec)
		}
	}
	// No time-out on the client: it would end the stream.
	transport := connecthttp.NewTransport(&http.Client{}, url)
	return verigatev1connect.NewEventServiceClient(connect.NewClient(transport, authorize))
}

// Follow hands each event after cursor to handle, with the cursor to keep once
// it is dealt with. It ends with ctx, with handle's error, or with one that no
// retry can heal, such as a cursor that expired.
func Follow(ctx context.Context, api verigatev1connect.EventServiceClient, cursor string, handle func(event *verigatev1.Event, cursor string) error) error {
	for {
		pause, err := read(ctx, api, &cursor, handle)
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// read follows one stream to its end, and says when to come back.
func read(ctx context.Context, api verigatev1connect.EventServiceClient, cursor *string, handle func(*verigatev1.Event, string) error) (time.Duration, error) {
	ctx, cancel := context.WithCancel(ctx)
	silence := time.AfterFunc(maxSilence, cancel)
	defer silence.Stop()
	stream, err := api.StreamEvents(ctx, &verigatev1.StreamEventsRequest{AfterCursor: *cursor})
	if err != nil {
		cancel()
		return retry(err)
	}
	defer func() {
		cancel() // first: closing an open stream would read what is left of it
		_ = stream.Close()
	}()
	for {
		message, err := stream.Receive()
		if err != nil {
			return retry(err)
		}
		silence.Reset(maxSilence)
		if event := message.GetEvent(); event != nil {
			if err := handle(event, message.GetCursor()); err != nil {
				return 0, err
			}
		}
		*cursor = message.GetCursor()
		if message.GetKind() == verigatev1.StreamEventsKind_STREAM_EVENTS_KIND_DRAIN {
			return message.GetReconnectAfter().AsDuration(), nil
		}
	}
}

// retry returns the errors that no retry can heal. Every other end of a stream
// means: come back with the last cursor.
func retry(err error) (time.Duration, error) {
	switch code := connect.CodeOf(err); code {
	case connect.CodeUnauthenticated, connect.CodeInvalidArgument, connect.CodeOutOfRange, connect.CodeUnimplemented:
		return 0, err
	default:
		return rand.N(maxPause), nil
	}
}
