package rpc_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"
	"connectrpc.com/validate"
	"github.com/google/uuid"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/park"
	"github.com/verigate/verigate/server/rpc"
	"github.com/verigate/verigate/server/telemetry"
	"github.com/verigate/verigate/server/verification"
	"github.com/verigate/verigate/server/watch"
)

// The kinds of messages of an event stream.
const (
	anEvent     = verigatev1.StreamEventsKind_STREAM_EVENTS_KIND_EVENT
	aHeartbeat  = verigatev1.StreamEventsKind_STREAM_EVENTS_KIND_HEARTBEAT
	aDrain      = verigatev1.StreamEventsKind_STREAM_EVENTS_KIND_DRAIN
	looksAt     = 5
	otherTenant = "rival"
)

// chronicle is an order of events in memory. A page looks at five of them.
type chronicle struct {
	mu      sync.Mutex
	records []*verification.Record
	err     error
	// reading, if set, is called before each page is read.
	reading func()
	// asked are the pages that were asked for.
	asked []verification.EventQuery
}

func (l *chronicle) Events(ctx context.Context, q verification.EventQuery) (verification.EventPage, error) {
	if l.reading != nil {
		l.reading()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, q)
	if err := errors.Join(l.err, ctx.Err()); err != nil {
		return verification.EventPage{}, err
	}
	mine := l.of(q.Scope)
	start := slices.IndexFunc(mine, func(r *verification.Record) bool { return at(r) == q.After })
	if start < 0 && q.After != (verification.EventCursor{}) {
		return verification.EventPage{}, verification.ErrCursorExpired
	}
	page := verification.EventPage{Next: q.After}
	for i, r := range mine[start+1:] {
		if i == looksAt || len(page.Records) == q.Limit {
			page.More = true
			break
		}
		page.Next = at(r)
		if (len(q.Flows) == 0 || slices.Contains(q.Flows, r.Flow)) && (len(q.Kinds) == 0 || slices.Contains(q.Kinds, r.Event)) {
			page.Records = append(page.Records, r)
		}
	}
	return page, nil
}

func (l *chronicle) NextEvents(ctx context.Context, q verification.EventQuery) (verification.EventPage, error) {
	return l.Events(ctx, q)
}

func (l *chronicle) EventScopes(_ context.Context, after, upTo int64) ([]verification.Scope, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	scopes := make([]verification.Scope, 0, upTo-after)
	for _, r := range l.records[after:upTo] {
		scopes = append(scopes, r.Scope)
	}
	return scopes, nil
}

func (l *chronicle) LatestEvent(_ context.Context, s verification.Scope) (verification.EventCursor, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	mine := l.of(s)
	if len(mine) == 0 {
		return verification.EventCursor{}, l.err
	}
	return at(mine[len(mine)-1]), l.err
}

func (l *chronicle) EventHead(context.Context) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int64(len(l.records)), nil
}

func (l *chronicle) of(s verification.Scope) []*verification.Record {
	mine := slices.Clone(l.records)
	return slices.DeleteFunc(mine, func(r *verification.Record) bool { return r.Scope != s })
}

func (l *chronicle) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

func (l *chronicle) queries() []verification.EventQuery {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.asked)
}

// purge forgets the oldest events.
func (l *chronicle) purge(count int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = l.records[count:]
}

// at is the place of an event.
func at(r *verification.Record) verification.EventCursor {
	return verification.EventCursor{VerificationID: r.VerificationID, Version: r.Version}
}

// tenants lets everybody in: as a backend of the project that the credential
// names before its colon, with the key that it names after.
type tenants struct {
	mu    sync.Mutex
	ended error
}

func (*tenants) Authenticate(_ context.Context, header string) (access.Principal, error) {
	project, key, _ := strings.Cut(strings.TrimPrefix(header, "Bearer "), ":")
	p := access.Principal{Scope: scope(), KeyID: "k" + key, KeyScopes: access.KeyScopes()}
	if project == otherTenant {
		p.Scope.Project = otherTenant
	}
	return p, nil
}

// end ends every credential.
func (a *tenants) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = access.ErrUnauthenticated
}

func (a *tenants) Recheck(context.Context, access.Principal) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ended
}

// eventEdge is EventService over a chronicle.
type eventEdge struct {
	t       *testing.T
	events  *rpc.Events
	log     *chronicle
	tenants *tenants
	feed    *watch.Feed
	drain   chan struct{}
	api     *connect.Server
}

func newEventEdge(t *testing.T, timing park.Timing) *eventEdge {
	t.Helper()
	e := &eventEdge{t: t, log: &chronicle{}, tenants: &tenants{}, drain: make(chan struct{})}
	logger := telemetry.NewLogger(&safeBuffer{}, slog.LevelDebug, true)
	e.feed = watch.NewFeed(e.log, time.Hour, logger)
	running(t, e.feed.Run)
	lot := park.NewLot(timing, e.drain, logger)
	running(t, lot.Run)
	e.events = &rpc.Events{Reader: e.log, Feed: e.feed, Access: e.tenants, Lot: lot}
	e.api = connect.NewServer(
		rpc.Observe(&calls{}, logger, time.Now), rpc.BoundUploads(time.Minute), rpc.LimitAddress(unlimited{}),
		rpc.Authenticate(e.tenants, &calls{}, logger), rpc.LimitCaller(unlimited{}), validate.NewServerInterceptor(), rpc.Storable())
	verigatev1connect.RegisterEventServiceHandler(e.api, e.events)
	return e
}

// happen adds events of the scope, each of a verification of its own.
func (e *eventEdge) happen(count int, change func(r *verification.Record)) []*verification.Record {
	added := make([]*verification.Record, 0, count)
	for range count {
		r := &verification.Record{Flow: "identity", Transition: verification.Transition{
			VerificationID: uuid.Must(uuid.NewV7()), Version: 1, Scope: scope(), To: verification.Created,
			Event: verification.Started, Source: verification.SourceCaller, CreateTime: time.Now(),
		}}
		if change != nil {
			change(r)
		}
		added = append(added, r)
	}
	e.log.mu.Lock()
	e.log.records = append(e.log.records, added...)
	e.log.mu.Unlock()
	e.feed.Poke()
	return added
}

// as is a client of one of the tenants, without a network.
func (e *eventEdge) as(credential string) verigatev1connect.EventServiceClient {
	return verigatev1connect.NewEventServiceClient(connect.NewClient(connectinprocess.New(e.api), authorized(credential)))
}

// telling is an open stream of events.
type telling struct {
	t    *testing.T
	in   verigatev1connect.EventServiceStreamEventsClientStream
	stop func()
}

func (e *eventEdge) stream(r *verigatev1.StreamEventsRequest) *telling {
	e.t.Helper()
	return e.streamAs("shop:", r)
}

func (e *eventEdge) streamAs(credential string, r *verigatev1.StreamEventsRequest) *telling {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), patience)
	in, err := e.as(credential).StreamEvents(ctx, r)
	if err != nil {
		e.t.Fatal(err)
	}
	s := &telling{t: e.t, in: in, stop: func() {
		cancel()
		_ = in.Close()
	}}
	e.t.Cleanup(s.stop)
	return s
}

func (s *telling) next() *verigatev1.StreamEventsResponse {
	s.t.Helper()
	m, err := s.in.Receive()
	if err != nil {
		s.t.Fatalf("the stream ended: %v", err)
	}
	return m
}

// event takes a message that must tell a certain event.
func (s *telling) event(want *verification.Record) *verigatev1.StreamEventsResponse {
	s.t.Helper()
	m := s.next()
	if m.GetKind() != anEvent || m.GetEvent().GetId() != want.EventID() || m.GetCursor() == "" {
		s.t.Fatalf("the stream told %v, want the event %s", m, want.EventID())
	}
	return m
}

// heartbeat takes a message that must be a heartbeat.
func (s *telling) heartbeat() *verigatev1.StreamEventsResponse {
	s.t.Helper()
	m := s.next()
	if m.GetKind() != aHeartbeat || m.GetEvent() != nil {
		s.t.Fatalf("the stream told %v, want a heartbeat", m)
	}
	return m
}

// refused returns how a stream ended that must tell nothing.
func (s *telling) refused() error {
	s.t.Helper()
	m, err := s.in.Receive()
	if err == nil {
		s.t.Fatalf("the stream told %v, want an error", m)
	}
	return err
}
