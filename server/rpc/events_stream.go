package rpc

import (
	"context"
	"errors"

	"google.golang.org/protobuf/types/known/durationpb"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/contract"
	"github.com/verigate/verigate/server/verification"
	"github.com/verigate/verigate/server/watch"
)

// streamPage is how many events a stream reads at a time.
const streamPage = 100

// StreamEvents implements EventService. As in WatchStatus the order matters:
// register, read, send, then follow.
func (e *Events) StreamEvents(ctx context.Context, r *verigatev1.StreamEventsRequest, stream verigatev1connect.EventServiceStreamEventsServerStream) error {
	p := principal(ctx)
	giveBack, err := e.take(p)
	if err != nil {
		return toConnect(err)
	}
	defer giveBack()
	feed := e.Feed.Subscribe(p.Scope)
	defer feed.Close()
	after, err := e.after(ctx, p.Scope, r.GetAfterCursor())
	if err != nil {
		return toConnect(err)
	}
	t := &teller{
		events: e, principal: p, stream: stream, feed: feed,
		query: eventQuery(p.Scope, after, r.GetFilter(), streamPage), again: make(chan struct{}),
	}
	close(t.again)
	return toConnect(t.run(ctx))
}

// teller is one open stream of events. One goroutine owns it.
type teller struct {
	events    *Events
	principal access.Principal
	stream    verigatev1connect.EventServiceStreamEventsServerStream
	feed      *watch.Subscription
	// query is the next page to read: after what was looked at so far.
	query verification.EventQuery
	// behind tells that there is more to read at once; again always receives.
	behind bool
	again  chan struct{}
}

func (t *teller) run(ctx context.Context) error {
	told, err := t.page(ctx)
	if err == nil && told == 0 {
		// It opens the line, whatever the filter lets through later.
		err = t.beat(ctx)
	}
	if err != nil {
		return err
	}
	return keep(ctx, t, t.events.Timing, t.events.Draining)
}

// news never waits while there is more to read, and leaves room for heartbeats
// and the drain between two pages.
func (t *teller) news() <-chan struct{} {
	if t.behind {
		return t.again
	}
	return t.feed.C
}

func (t *teller) follow(ctx context.Context) (done bool, err error) {
	_, err = t.page(ctx)
	return false, err
}

// page reads one page and sends it. Nobody is told anything whose credential
// ended.
func (t *teller) page(ctx context.Context) (told int, err error) {
	page, err := t.read(ctx)
	if err != nil {
		return 0, err
	}
	if len(page.Records) > 0 {
		if err := t.events.Access.Recheck(ctx, t.principal); err != nil {
			return 0, err
		}
	}
	for _, record := range page.Records {
		if err := t.tell(ctx, record); err != nil {
			return 0, err
		}
	}
	t.query.After, t.behind = page.Next, page.More
	return len(page.Records), nil
}

// errBusy is for a stream whose read had no turn in time.
var errBusy = verification.NewError(verification.KindUnavailable, "DATABASE_BUSY",
	"the gateway could not read events in time; come back with the last cursor")

func (t *teller) read(ctx context.Context) (verification.EventPage, error) {
	bounded, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	page, err := t.events.Reader.NextEvents(bounded, t.query)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return page, errBusy.WithCause(err)
	}
	return page, err
}

func (t *teller) tell(ctx context.Context, record *verification.Record) error {
	at := verification.EventCursor{VerificationID: record.VerificationID, Version: record.Version}
	return t.write(ctx, &verigatev1.StreamEventsResponse{
		Kind:  verigatev1.StreamEventsKind_STREAM_EVENTS_KIND_EVENT,
		Event: contract.Event(record), Cursor: cursorText(at, t.query.Scope),
	})
}

// heartbeat looks first whether the credential ended while the stream lasted.
func (t *teller) heartbeat(ctx context.Context) error {
	if err := t.events.Access.Recheck(ctx, t.principal); err != nil {
		return err
	}
	return t.beat(ctx)
}

// beat carries what was looked at, so that what the filter holds back is not
// read again.
func (t *teller) beat(ctx context.Context) error {
	return t.write(ctx, &verigatev1.StreamEventsResponse{
		Kind: verigatev1.StreamEventsKind_STREAM_EVENTS_KIND_HEARTBEAT, Cursor: cursorText(t.query.After, t.query.Scope),
	})
}

func (t *teller) drain(ctx context.Context, after *durationpb.Duration) error {
	return t.write(ctx, &verigatev1.StreamEventsResponse{
		Kind: verigatev1.StreamEventsKind_STREAM_EVENTS_KIND_DRAIN, Cursor: cursorText(t.query.After, t.query.Scope),
		ReconnectAfter: after,
	})
}

func (t *teller) write(ctx context.Context, message *verigatev1.StreamEventsResponse) error {
	return t.events.Timing.bound(ctx, func() error { return t.stream.Send(message) })
}
