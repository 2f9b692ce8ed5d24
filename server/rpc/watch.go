package rpc

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/verification"
	"github.com/verigate/verigate/server/watch"
)

const (
	// maxReconnect is the longest pause that a drain message asks for.
	maxReconnect = time.Second
	// heartbeatJitter is the share by which heartbeats vary, so that thousands
	// of streams do not beat together.
	heartbeatJitter = 5 // one fifth
)

// WatchStatus implements VerificationService. The order matters: register,
// read, send, then follow; so nothing is missed between the read and the
// registration.
func (s *Service) WatchStatus(ctx context.Context, r *verigatev1.WatchStatusRequest, stream verigatev1connect.VerificationServiceWatchStatusServerStream) error {
	p := principal(ctx)
	id, err := parseID(ctx, r.GetId())
	if err != nil {
		return toConnect(err)
	}
	// Nobody takes a place, or learns how many are taken, where there is nothing
	// for it to see. A client token that names the verification needs no look.
	if p.VerificationID != id {
		if _, err := s.get(ctx, p, r.GetId()); err != nil {
			return toConnect(err)
		}
	}
	watcher, err := s.watch(p, id)
	if err != nil {
		// The token may name the id in a scope of its own.
		if _, hidden := s.get(ctx, p, r.GetId()); hidden != nil {
			return toConnect(hidden)
		}
		return toConnect(err)
	}
	defer watcher.Close()
	v, err := s.get(ctx, p, r.GetId())
	if err != nil {
		return toConnect(err)
	}
	f := &follower{service: s, principal: p, stream: stream, watcher: watcher, current: v, revisions: r.GetFollowRevisions()}
	return toConnect(f.run(ctx))
}

// follower is one open stream. One goroutine owns it.
type follower struct {
	service   *Service
	principal access.Principal
	stream    verigatev1connect.VerificationServiceWatchStatusServerStream
	watcher   *watch.Watcher
	current   *verification.Verification
	revisions bool
}

func (f *follower) run(ctx context.Context) error {
	if err := f.send(ctx, verigatev1.StatusUpdateKind_STATUS_UPDATE_KIND_SNAPSHOT); err != nil || f.done() {
		return err
	}
	timing := f.service.Timing
	age := time.NewTimer(between(timing.MaxAge/2, timing.MaxAge))
	defer age.Stop()
	beat := time.NewTimer(timing.nextBeat())
	defer beat.Stop()
	draining, spread := f.service.Draining, timing.drainSpread(f.service.Draining)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-f.watcher.C:
			if err := f.follow(ctx); err != nil || f.done() {
				return err
			}
		case <-beat.C:
			// A credential can end while its stream lasts.
			if err := f.service.Access.Recheck(ctx, f.principal); err != nil {
				return err
			}
			if err := f.send(ctx, verigatev1.StatusUpdateKind_STATUS_UPDATE_KIND_HEARTBEAT); err != nil {
				return err
			}
			beat.Reset(timing.nextBeat())
		case <-draining:
			// Not all at once: the other nodes get this node's watchers.
			draining = nil
			age.Reset(between(0, spread))
		case <-age.C:
			return f.drain(ctx)
		}
	}
}

// follow reads the row again and sends it if it is news.
func (f *follower) follow(ctx context.Context) error {
	if err := f.service.Access.Recheck(ctx, f.principal); err != nil {
		return err
	}
	v, err := f.service.get(ctx, f.principal, f.current.ID.String())
	if err != nil {
		return err
	}
	if v.Version <= f.current.Version {
		return nil
	}
	f.current = v
	return f.send(ctx, verigatev1.StatusUpdateKind_STATUS_UPDATE_KIND_UPDATE)
}

func (f *follower) send(ctx context.Context, kind verigatev1.StatusUpdateKind) error {
	return f.write(ctx, toUpdate(f.current, kind))
}

func (f *follower) drain(ctx context.Context) error {
	update := toUpdate(f.current, verigatev1.StatusUpdateKind_STATUS_UPDATE_KIND_DRAIN)
	update.ReconnectAfter = durationpb.New(between(0, maxReconnect))
	return f.write(ctx, update)
}

// write sends one message within a deadline: a reader that stopped reading must
// not hold the stream for ever.
func (f *follower) write(ctx context.Context, update *verigatev1.StatusUpdate) error {
	release := armWriteDeadline(ctx, f.service.Timing.Write)
	defer release()
	return f.stream.Send(update)
}

func (f *follower) done() bool { return f.current.State.Terminal() && !f.revisions }

// lateSpread is for a stream that begins while the node drains already: it must
// not last beyond the others.
const lateSpread = 500 * time.Millisecond

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
