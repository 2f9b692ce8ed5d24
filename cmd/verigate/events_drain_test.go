package main

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

// drains asks to come back after 100 ms.
func drains(_ context.Context, s eventStream) error {
	return s.Send(&verigatev1.StreamEventsResponse{
		Kind: verigatev1.StreamEventsKind_STREAM_EVENTS_KIND_DRAIN, Cursor: "c1", ReconnectAfter: durationpb.New(100 * time.Millisecond),
	})
}

func TestANodeThatGoesOnDrainingIsLeftAloneForLonger(t *testing.T) {
	t.Parallel()
	var later atomic.Int64
	b, _ := eventBench(t, tells(1, 1, drains), drains, drains, drains, func(ctx context.Context, s eventStream) error {
		// A stream that lived starts the count again.
		later.Add(int64(6 * time.Second))
		return drains(ctx, s)
	}, drains, tells(2, 2, staysOpen))
	b.clock.now = func() time.Time { return testTime().Add(time.Duration(later.Load())) }
	b.want(exitPass, b.run("events", "--follow", "--limit", "2"), "v2", "reconnecting in 100ms")
	const asked = 100 * time.Millisecond
	want := []time.Duration{asked, time.Second, 2 * time.Second, 4 * time.Second, asked, time.Second}
	if !slices.Equal(b.pauses, want) {
		t.Errorf("it paused for %v, want %v", b.pauses, want)
	}
}
