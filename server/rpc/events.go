package rpc

import (
	"context"
	"sync"
	"time"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/contract"
	"github.com/verigate/verigate/server/park"
	"github.com/verigate/verigate/server/verification"
	"github.com/verigate/verigate/server/watch"
)

// EventReader reads events in their order.
type EventReader interface {
	// Events returns a page, oldest first. verification.ErrCursorExpired if what
	// follows the cursor is not kept any more.
	Events(ctx context.Context, q verification.EventQuery) (verification.EventPage, error)
	// NextEvents is Events for streams: these keep nobody else's reads waiting.
	NextEvents(ctx context.Context, q verification.EventQuery) (verification.EventPage, error)
	// LatestEvent returns the cursor of a scope's newest event, the zero cursor
	// if it has none.
	LatestEvent(ctx context.Context, scope verification.Scope) (verification.EventCursor, error)
}

// Events implements EventService.
type Events struct {
	Reader EventReader
	// Feed says when to read on.
	Feed   *watch.Feed
	Access Authenticator
	// Lot is where open streams live.
	Lot *park.Lot

	mu   sync.Mutex
	open map[string]int
}

// MaxEventStreams is how many event streams one API key may have on a node. A
// backend needs one or a few: each reads the database for itself.
const MaxEventStreams = 64

var _ verigatev1connect.EventServiceHandler = (*Events)(nil)

// errTooManyStreams asks to come back later, perhaps to another node.
var errTooManyStreams = verification.NewError(verification.KindLimited, "TOO_MANY_STREAMS",
	"this key has as many event streams on this node as it may; close one, or retry").After(5 * time.Second)

// ListEvents implements EventService.
func (e *Events) ListEvents(ctx context.Context, r *verigatev1.ListEventsRequest) (*verigatev1.ListEventsResponse, error) {
	p := principal(ctx)
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	after, err := e.after(ctx, p.Scope, r.GetAfterCursor())
	if err != nil {
		return nil, toConnect(err)
	}
	page, err := e.Reader.Events(ctx, eventQuery(p.Scope, after, r.GetFilter(), pageSize(r.GetPageSize())))
	if err != nil {
		return nil, toConnect(err)
	}
	response := &verigatev1.ListEventsResponse{Cursor: cursorText(page.Next, p.Scope), More: page.More}
	for _, record := range page.Records {
		response.Events = append(response.Events, contract.Event(record))
	}
	return response, nil
}

func eventQuery(scope verification.Scope, after verification.EventCursor, filter *verigatev1.EventFilter, limit int) verification.EventQuery {
	return verification.EventQuery{
		Scope: scope, After: after, Flows: filter.GetFlows(), Kinds: contract.Kinds(filter.GetKinds()), Limit: limit,
	}
}

// take counts one more stream of a key. Whoever got a place gives it back once.
func (e *Events) take(p access.Principal) (giveBack func(), err error) {
	holder := p.Holder()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.open[holder] >= MaxEventStreams {
		return nil, errTooManyStreams
	}
	if e.open == nil {
		e.open = make(map[string]int)
	}
	e.open[holder]++
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.open[holder]--; e.open[holder] == 0 {
			delete(e.open, holder)
		}
	}, nil
}
