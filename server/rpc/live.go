package rpc

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	// maxReconnect is the longest pause that a drain message asks for.
	maxReconnect = time.Second
	// heartbeatJitter is the share by which heartbeats vary, so that thousands
	// of streams do not beat together.
	heartbeatJitter = 5 // one fifth
	// lateSpread is for a stream that begins while the node drains already: it
	// must not last beyond the others.
	lateSpread = 500 * time.Millisecond
)

// live is a stream that has sent its first message. One goroutine owns it.
type live interface {
	// news receives when there is something to follow.
	news() <-chan struct{}
	// follow sends what is new. done tells that nothing can come any more.
	follow(ctx context.Context) (done bool, err error)
	// heartbeat sends a sign of life, unless the stream's credential ended.
	heartbeat(ctx context.Context) error
	// drain sends the last message: when to come back.
	drain(ctx context.Context, after *durationpb.Duration) error
}

// keep lets a stream live: it follows what is new, beats, and is drained when
// it is old or its node wants it to end. It returns when the stream is over.
func keep(ctx context.Context, s live, timing Timing, draining <-chan struct{}) error {
	age := time.NewTimer(between(timing.MaxAge/2, timing.MaxAge))
	defer age.Stop()
	beat := time.NewTimer(timing.nextBeat())
	defer beat.Stop()
	spread := timing.drainSpread(draining)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.news():
			if done, err := s.follow(ctx); err != nil || done {
				return err
			}
		case <-beat.C:
			if err := s.heartbeat(ctx); err != nil {
				return err
			}
			beat.Reset(timing.nextBeat())
		case <-draining:
			// Not all at once: the other nodes get this node's streams.
			draining = nil
			age.Reset(between(0, spread))
		case <-age.C:
			return s.drain(ctx, durationpb.New(between(0, maxReconnect)))
		}
	}
}

func (t Timing) drainSpread(draining <-chan struct{}) time.Duration {
	select {
	case <-draining:
		return min(t.DrainSpread, lateSpread)
	default:
		return t.DrainSpread
	}
}

func (t Timing) nextBeat() time.Duration {
	return between(t.Heartbeat-t.Heartbeat/heartbeatJitter, t.Heartbeat+t.Heartbeat/heartbeatJitter)
}

// bound sends one message within a deadline: a reader that stopped reading must
// not hold the stream for ever.
func (t Timing) bound(ctx context.Context, send func() error) error {
	release := armWriteDeadline(ctx, t.Write)
	defer release()
	return send()
}
