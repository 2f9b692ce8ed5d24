package rpc

import (
	"context"

	"google.golang.org/protobuf/types/known/durationpb"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/verification"
	"github.com/verigate/verigate/server/watch"
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
	return keep(ctx, f, f.service.Timing, f.service.Draining)
}

func (f *follower) news() <-chan struct{} { return f.watcher.C }

// follow reads the row again and sends it if it is news.
func (f *follower) follow(ctx context.Context) (done bool, err error) {
	if err := f.service.Access.Recheck(ctx, f.principal); err != nil {
		return false, err
	}
	v, err := f.service.get(ctx, f.principal, f.current.ID.String())
	if err != nil || v.Version <= f.current.Version {
		return f.done(), err
	}
	f.current = v
	return f.done(), f.send(ctx, verigatev1.StatusUpdateKind_STATUS_UPDATE_KIND_UPDATE)
}

// heartbeat looks first whether the credential ended while the stream lasted.
func (f *follower) heartbeat(ctx context.Context) error {
	if err := f.service.Access.Recheck(ctx, f.principal); err != nil {
		return err
	}
	return f.send(ctx, verigatev1.StatusUpdateKind_STATUS_UPDATE_KIND_HEARTBEAT)
}

func (f *follower) send(ctx context.Context, kind verigatev1.StatusUpdateKind) error {
	return f.write(ctx, toUpdate(f.current, kind))
}

func (f *follower) drain(ctx context.Context, after *durationpb.Duration) error {
	update := toUpdate(f.current, verigatev1.StatusUpdateKind_STATUS_UPDATE_KIND_DRAIN)
	update.ReconnectAfter = after
	return f.write(ctx, update)
}

func (f *follower) write(ctx context.Context, update *verigatev1.StatusUpdate) error {
	return f.service.Timing.bound(ctx, func() error { return f.stream.Send(update) })
}

func (f *follower) done() bool { return f.current.State.Terminal() && !f.revisions }
