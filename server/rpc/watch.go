package rpc

import (
	"bytes"
	"context"
	"errors"
	"os"
	"time"
	"unique"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/protobuf/types/known/durationpb"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/park"
	"github.com/verigate/verigate/server/verification"
	"github.com/verigate/verigate/server/watch"
)

// Short names for the kinds of messages.
const (
	snapshot  = verigatev1.StatusUpdateKind_STATUS_UPDATE_KIND_SNAPSHOT
	update    = verigatev1.StatusUpdateKind_STATUS_UPDATE_KIND_UPDATE
	heartbeat = verigatev1.StatusUpdateKind_STATUS_UPDATE_KIND_HEARTBEAT
	drain     = verigatev1.StatusUpdateKind_STATUS_UPDATE_KIND_DRAIN
)

// WatchStatus implements VerificationService. The order matters: register,
// read, send, then follow; so nothing is missed between the read and the
// registration. Over HTTP the stream is parked then: it lives on when this has
// returned.
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
	kept := false
	defer func() {
		if !kept {
			watcher.Close()
		}
	}()
	v, err := s.get(ctx, p, r.GetId())
	if err != nil {
		return toConnect(err)
	}
	watcher.Saw(v.Version)
	f := &follower{
		service: s, principal: lean(p), stream: &stream, json: wantsJSON(ctx), watcher: watcher,
		shown: statusOf(v), revisions: r.GetFollowRevisions(),
	}
	if err := f.write(ctx, f.shown.update(snapshot)); err != nil || f.next() == park.Done {
		return toConnect(err)
	}
	kept = true
	return s.Lot.Keep(ctx, f, true)
}

// lean drops of a principal what an open stream does not ask, and shares what
// many have in common.
func lean(p access.Principal) access.Principal {
	p.KeyScopes = nil
	p.KeyID, p.Voucher = unique.Make(p.KeyID).Value(), unique.Make(p.Voucher).Value()
	p.Scope = unique.Make(p.Scope).Value()
	return p
}

// follower is one open stream: it implements park.Live. Of the verification it
// keeps what a heartbeat says, and the heartbeat itself: it is the same until there
// is news, and to make it anew each time was most of its price.
type follower struct {
	service   *Service
	principal access.Principal
	// stream is for as long as the handler runs, parked for after that.
	stream    *verigatev1connect.VerificationServiceWatchStatusServerStream
	parked    *park.Stream
	watcher   *watch.Watcher
	shown     status
	beat      []byte
	json      bool
	revisions bool
}

// Begin implements park.Live.
func (f *follower) Begin(s *park.Stream) {
	if s.Parked() {
		f.parked, f.stream = s, nil
	}
	f.watcher.Notify(s)
}

// Follow implements park.Live: it tells the newest state, if that is news.
func (f *follower) Follow(ctx context.Context) (park.Next, error) {
	news := f.watcher.Take()
	if news == nil {
		return park.Wait, nil
	}
	if err := f.service.Access.Recheck(ctx, f.principal); err != nil {
		return park.Wait, err
	}
	v := news.Verification
	if !f.principal.MaySee(v) {
		return park.Wait, verification.ErrNotFound
	}
	if v.Version <= f.shown.version {
		return park.Wait, nil
	}
	f.shown, f.beat = statusOf(v), nil
	return f.next(), f.tell(ctx, news)
}

// tell sends news, encoded once for all who read the same encoding.
func (f *follower) tell(ctx context.Context, news *watch.News) error {
	if f.parked == nil {
		return f.write(ctx, f.shown.update(update))
	}
	framed, err := news.Shared(f.json, func() ([]byte, error) { return f.frame(f.shown.update(update)) })
	if err != nil {
		return err
	}
	return lineError(ctx, f.parked.Send(framed))
}

// Heartbeat implements park.Live. It looks first whether the credential ended
// while the stream lasted.
func (f *follower) Heartbeat(ctx context.Context) error {
	if err := f.service.Access.Recheck(ctx, f.principal); err != nil {
		return err
	}
	if f.parked == nil {
		return f.write(ctx, f.shown.update(heartbeat))
	}
	if f.beat == nil {
		framed, err := f.frame(f.shown.update(heartbeat))
		if err != nil {
			return err
		}
		f.beat = bytes.Clone(framed) // without the room that was left
	}
	return lineError(ctx, f.parked.Send(f.beat))
}

// Drain implements park.Live.
func (f *follower) Drain(ctx context.Context, after time.Duration) error {
	last := f.shown.update(drain)
	last.ReconnectAfter = durationpb.New(after)
	return f.write(ctx, last)
}

// Over implements park.Live.
func (f *follower) Over(err error) error {
	f.watcher.Close()
	return toConnect(err)
}

func (f *follower) next() park.Next {
	if f.shown.state.Terminal() && !f.revisions {
		return park.Done
	}
	return park.Wait
}

// write sends one message within a deadline: a reader that stopped reading must
// not hold the stream for ever.
func (f *follower) write(ctx context.Context, message *verigatev1.StatusUpdate) error {
	if f.parked == nil {
		defer armWriteDeadline(ctx, f.service.Lot.WriteTimeout())()
		return f.stream.Send(message)
	}
	framed, err := f.frame(message)
	if err != nil {
		return err
	}
	return lineError(ctx, f.parked.Send(framed))
}

// frame encodes a message as connect does.
func (f *follower) frame(message *verigatev1.StatusUpdate) ([]byte, error) {
	const usual = 160
	buffer := bytes.NewBuffer(make([]byte, park.Prefix, usual))
	codec := binaryCodec
	if f.json {
		codec = jsonCodec
	}
	if err := codec.MarshalWrite(context.Background(), buffer, message); err != nil {
		return nil, err
	}
	park.Frame(buffer.Bytes())
	return buffer.Bytes(), nil
}

// The codecs that connect speaks unless it is told otherwise.
var (
	binaryCodec connect.Codec = connectproto.NewBinaryCodec()
	jsonCodec   connect.Codec = connectproto.NewJSONCodec()
)

// wantsJSON reports whether a caller wants its messages encoded so.
func wantsJSON(ctx context.Context) bool {
	info, ok := connect.CallInfoForServerContext(ctx)
	return ok && info.Codec == jsonCodec.Name()
}

// lineError says why a message did not leave: the caller hung up, or does not
// read.
func lineError(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errors.Join(context.DeadlineExceeded, err)
	default:
		return errors.Join(context.Canceled, err)
	}
}
