package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
)

const (
	// firstBackoff and lastBackoff bound the range that a pause is drawn from.
	firstBackoff = 250 * time.Millisecond
	lastBackoff  = 30 * time.Second
	// maxSilence is three heartbeats: a line that says nothing for so long is
	// dead, whatever the network believes.
	maxSilence = 45 * time.Second
	// shortLife is that of a stream whose node was draining when it began.
	shortLife = 5 * time.Second
)

var errSilent = errors.New("no message for 45s")

// follower watches one verification over as many streams as it takes.
type follower struct {
	world

	api       verigatev1connect.VerificationServiceClient
	id        string
	version   int64
	revisions bool
	// heard gets each message; its error ends the watch.
	heard func(m *verigatev1.StatusUpdate) error
	// lost is told before each pause why the stream ended.
	lost func(why error, pause time.Duration)
	// last is the newest message so far.
	last *verigatev1.StatusUpdate
}

// ending is how one stream ended.
type ending struct {
	// done: there is nothing left to watch; err says if that is a failure.
	done bool
	// heard: at least one message came.
	heard bool
	// drained: the server asked to come back after pause.
	drained bool
	pause   time.Duration
	err     error
}

// run returns nil after a terminal message, the cause when ctx ended, or an
// error that no retry can heal. The end of a stream means neither: without a
// terminal message it comes back with the last version.
func (f *follower) run(ctx context.Context) error { return f.persist(ctx, f.stream, f.lost) }

// persist opens one stream after the other until one says that it is done, ctx
// ends, whose cause it returns, or an error comes that no retry can heal. lost is
// told before each pause why the stream ended.
func (w world) persist(ctx context.Context, stream func(context.Context) ending, lost func(error, time.Duration)) error {
	failures, drains := 0, 0
	for {
		began := w.now()
		end := stream(ctx)
		switch {
		case end.done:
			return end.err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case hopeless(end.err):
			return end.err
		}
		if end.heard {
			failures = 0
		}
		var pause time.Duration
		if end.drained {
			if w.now().Sub(began) > shortLife {
				drains = 0
			}
			pause = max(end.pause, w.drainPause(drains))
			drains++
		} else {
			pause = max(w.jitter(backoffLimit(failures)), askedDelay(end.err))
			failures++
		}
		lost(end.err, pause)
		if err := w.pause(ctx, pause); err != nil {
			return context.Cause(ctx)
		}
	}
}

// drainPause is the least pause after a drain that follows so many others: it
// leads back to the same node as long as that one drains.
func (w world) drainPause(drains int) time.Duration {
	if drains == 0 {
		return 0
	}
	half := backoffLimit(drains+1) / 2
	return half + w.jitter(half)
}

// stream follows one stream to its end.
func (f *follower) stream(ctx context.Context) ending {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := f.alarm(maxSilence, func() { cancel(errSilent) })
	defer watchdog.Stop()
	var end ending
	stream, err := f.api.WatchStatus(ctx, &verigatev1.WatchStatusRequest{
		Id: f.id, AfterVersion: f.version, FollowRevisions: f.revisions,
	})
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

// take looks at one message and tells whether the stream is over with it.
func (f *follower) take(m *verigatev1.StatusUpdate, end *ending) bool {
	if m.GetVersion() >= f.version {
		f.version, f.last = m.GetVersion(), m
	}
	if err := f.heard(m); err != nil {
		end.done, end.err = true, err
		return true
	}
	if f.last.GetTerminal() && !f.revisions {
		end.done = true
		return true
	}
	if m.GetKind() == verigatev1.StatusUpdateKind_STATUS_UPDATE_KIND_DRAIN {
		end.drained, end.pause = true, max(m.GetReconnectAfter().AsDuration(), 0)
		return true
	}
	return false
}

// reasonOf says why a stream ended: nil when the server simply ended it.
func reasonOf(ctx context.Context, err error) error {
	switch {
	case errors.Is(context.Cause(ctx), errSilent):
		return errSilent
	case errors.Is(err, io.EOF):
		return nil
	default:
		return err
	}
}

// hopeless tells that trying again cannot help.
func hopeless(err error) bool {
	answer, ok := errors.AsType[*connect.Error](err)
	return ok && slices.Contains([]connect.Code{
		connect.CodeUnauthenticated, connect.CodePermissionDenied, connect.CodeNotFound,
		connect.CodeInvalidArgument, connect.CodeOutOfRange, connect.CodeUnimplemented,
	}, answer.Code())
}

// backoffLimit is the longest pause after so many failures in a row.
func backoffLimit(failures int) time.Duration {
	limit := firstBackoff
	for range failures {
		if limit *= 2; limit >= lastBackoff {
			return lastBackoff
		}
	}
	return limit
}

// askedDelay is the pause that a server's error asks for; 0 if it asks for none.
func askedDelay(err error) time.Duration {
	answer, ok := errors.AsType[*connect.Error](err)
	if !ok {
		return 0
	}
	for _, detail := range answer.Details() {
		message, decodeErr := connectproto.UnmarshalErrorDetail(detail)
		if retry, isRetry := message.(*errdetails.RetryInfo); decodeErr == nil && isRetry {
			return retry.GetRetryDelay().AsDuration()
		}
	}
	return 0
}
