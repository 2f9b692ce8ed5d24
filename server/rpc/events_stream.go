package rpc

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/contract"
	"github.com/verigate/verigate/server/park"
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
		query: eventQuery(p.Scope, after, r.GetFilter(), streamPage),
	}
	return toConnect(t.run(ctx))
}

// teller is one open stream of events: it implements park.Live. A backend has one
// or a few, so the handler waits for the end.
type teller struct {
	events    *Events
	principal access.Principal
	stream    verigatev1connect.EventServiceStreamEventsServerStream
	feed      *watch.Subscription
	// query is the next page to read: after what was looked at so far.
	query verification.EventQuery
	// behind tells that there is more to read at once.
	behind bool
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
	return t.events.Lot.Keep(ctx, t, false)
}

// Begin implements park.Live.
func (t *teller) Begin(s *park.Stream) {
	t.feed.Notify(s)
	if t.behind {
		s.News()
	}
}

// Follow implements park.Live.
func (t *teller) Follow(ctx context.Context) (park.Next, error) {
	if _, err := t.page(ctx); err != nil || !t.behind {
		return park.Wait, err
	}
	return park.More, nil
}

// Over implements park.Live: the handler gives back what the stream holds.
func (*teller) Over(err error) error { return err }

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

// Heartbeat implements park.Live. It looks first whether the credential ended
// while the stream lasted.
func (t *teller) Heartbeat(ctx context.Context) error {
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

// Drain implements park.Live.
func (t *teller) Drain(ctx context.Context, after time.Duration) error {
	return t.write(ctx, &verigatev1.StreamEventsResponse{
		Kind: verigatev1.StreamEventsKind_STREAM_EVENTS_KIND_DRAIN, Cursor: cursorText(t.query.After, t.query.Scope),
		ReconnectAfter: durationpb.New(after),
	})
}

func (t *teller) write(ctx context.Context, message *verigatev1.StreamEventsResponse) error {
	defer armWriteDeadline(ctx, t.events.Lot.WriteTimeout())()
	return t.stream.Send(message)
}
