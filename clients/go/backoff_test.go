package verigate

import (
	"context"
	"errors"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/types/known/durationpb"
)

func TestAskedPause(t *testing.T) {
	t.Parallel()
	detail, err := connectproto.NewErrorDetail(&errdetails.RetryInfo{RetryDelay: durationpb.New(3 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	plain := connect.NewError(connect.CodeUnavailable, "busy")
	for name, c := range map[string]struct {
		err    error
		header string
		want   time.Duration
	}{
		"nobody asks":                  {plain, "", 0},
		"the header":                   {plain, "2", 2 * time.Second},
		"the header of any failure":    {errors.New("cut"), "2", 2 * time.Second},
		"the detail":                   {plain.WithDetail(detail), "", 3 * time.Second},
		"the longer of both":           {plain.WithDetail(detail), "2", 3 * time.Second},
		"a date is left out":           {plain, "Wed, 21 Oct 2026 07:28:00 GMT", 0},
		"a negative number, too":       {plain, "-5", 0},
		"not longer than five minutes": {plain, "86400", 5 * time.Minute},
		"nobody failed, so what":       {nil, "2", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := askedPause(c.err, c.header); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// still is a clock that stands, whose jitter is its limit.
type still struct{ systemClock }

func (still) Now() time.Time                           { return time.Unix(0, 0) }
func (still) Jitter(limit time.Duration) time.Duration { return limit }

func TestPausesEndAtTheirLimit(t *testing.T) {
	t.Parallel()
	var b backoff
	for range 20 {
		b.after(ending{}, still{}, time.Unix(0, 0))
	}
	if got := b.after(ending{}, still{}, time.Unix(0, 0)); got != lastBackoff {
		t.Errorf("got %s", got)
	}
}

func TestQuickDrainsAreAnsweredWithLongerPauses(t *testing.T) {
	t.Parallel()
	var b backoff
	drained := ending{outcome: outcome{drained: true, pause: 100 * time.Millisecond}}
	for _, want := range []time.Duration{100 * time.Millisecond, time.Second, 2 * time.Second} {
		if got := b.after(drained, still{}, time.Unix(0, 0)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	// A stream that lived for a while makes it a single drain again.
	if got := b.after(drained, still{}, time.Unix(-6, 0)); got != drained.pause {
		t.Errorf("got %s", got)
	}
	if b.failures != 0 {
		t.Error("a drain counts as a failure")
	}
}

func TestTheSystemsJitterIsRandom(t *testing.T) {
	t.Parallel()
	seen := map[time.Duration]bool{}
	for range 100 {
		d := systemClock{}.Jitter(time.Second)
		if d < 0 || d > time.Second {
			t.Fatalf("jitter %s", d)
		}
		seen[d] = true
	}
	if len(seen) < 2 {
		t.Error("all pauses are the same")
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := (systemClock{}).Pause(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("a pause ended with %v", err)
	}
}
