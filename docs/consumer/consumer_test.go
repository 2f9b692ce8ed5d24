package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/connect/v2/connectinprocess"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/verigate/verigate/docs/consumer"
	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
)

// gateway tells two events a stream, numbered on from the cursor, and ends each
// stream in another way.
type gateway struct {
	verigatev1connect.UnimplementedEventServiceHandler

	began []string
}

func (g *gateway) StreamEvents(_ context.Context, r *verigatev1.StreamEventsRequest, s verigatev1connect.EventServiceStreamEventsServerStream) error {
	g.began = append(g.began, r.GetAfterCursor())
	last := 0
	if text := r.GetAfterCursor(); text != "" {
		if _, err := fmt.Sscan(text, &last); err != nil {
			return err
		}
	}
	if last >= 6 {
		return connect.NewError(connect.CodeOutOfRange, "expired")
	}
	for n := last + 1; n <= last+2; n++ {
		event := &verigatev1.Event{Version: int64(n)}
		if err := s.Send(&verigatev1.StreamEventsResponse{Event: event, Cursor: fmt.Sprint(n)}); err != nil {
			return err
		}
	}
	switch len(g.began) {
	case 1:
		return connect.NewError(connect.CodeUnavailable, "cut")
	case 2:
		return nil
	default:
		return s.Send(&verigatev1.StreamEventsResponse{
			Kind: verigatev1.StreamEventsKind_STREAM_EVENTS_KIND_DRAIN, Cursor: fmt.Sprint(last + 2), ReconnectAfter: durationpb.New(time.Millisecond),
		})
	}
}

func TestTheExampleReadsEveryEventOnce(t *testing.T) {
	t.Parallel()
	server, api := &gateway{}, connect.NewServer()
	verigatev1connect.RegisterEventServiceHandler(api, server)
	client := verigatev1connect.NewEventServiceClient(connect.NewClient(connectinprocess.New(api)))
	var got []int64
	err := consumer.Follow(t.Context(), client, "", func(event *verigatev1.Event, cursor string) error {
		if cursor != fmt.Sprint(event.GetVersion()) {
			t.Errorf("the event %d came with the cursor %s", event.GetVersion(), cursor)
		}
		got = append(got, event.GetVersion())
		return nil
	})
	if connect.CodeOf(err) != connect.CodeOutOfRange {
		t.Errorf("it ended with %v, want out_of_range", err)
	}
	if want := []int64{1, 2, 3, 4, 5, 6}; !slices.Equal(got, want) {
		t.Errorf("it handled %v, want %v", got, want)
	}
	if want := []string{"", "2", "4", "6"}; !slices.Equal(server.began, want) {
		t.Errorf("the streams began after %v, want %v", server.began, want)
	}
}

func TestTheExampleStopsWhenAnEventCannotBeHandled(t *testing.T) {
	t.Parallel()
	api := connect.NewServer()
	verigatev1connect.RegisterEventServiceHandler(api, &gateway{})
	client := verigatev1connect.NewEventServiceClient(connect.NewClient(connectinprocess.New(api)))
	broken, handled := errors.New("no space left"), 0
	err := consumer.Follow(t.Context(), client, "", func(*verigatev1.Event, string) error {
		handled++
		return broken
	})
	if !errors.Is(err, broken) || handled != 1 {
		t.Errorf("it ended with %v after %d events, want the first one's error", err, handled)
	}
}

func TestTheExampleBringsItsKey(t *testing.T) {
	t.Parallel()
	api, mux := connect.NewServer(), http.NewServeMux()
	verigatev1connect.RegisterEventServiceHandler(api, &gateway{})
	connecthttp.Mount(mux, api)
	var brought atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		brought.Store(r.Header.Get("Authorization"))
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	enough := errors.New("enough")
	err := consumer.Follow(t.Context(), consumer.Client(server.URL, "vg_test_key"), "", func(*verigatev1.Event, string) error { return enough })
	if !errors.Is(err, enough) || brought.Load() != "Bearer vg_test_key" {
		t.Errorf("it ended with %v and brought %v", err, brought.Load())
	}
}
