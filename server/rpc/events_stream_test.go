package rpc_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/park"
	"github.com/verigate/verigate/server/rpc"
	"github.com/verigate/verigate/server/verification"
)

func TestTheFirstMessageOfAnEventStreamComesAtOnce(t *testing.T) {
	t.Parallel()
	e := newEventEdge(t, slowTiming())
	s := e.stream(&verigatev1.StreamEventsRequest{})
	if m := s.heartbeat(); m.GetCursor() != "" {
		t.Errorf("before the first event the cursor is %q", m.GetCursor())
	}
	want := e.happen(2, nil)
	s.event(want[0])
	last := s.event(want[1]).GetCursor()
	e.stream(&verigatev1.StreamEventsRequest{}).event(want[0])
	if m := e.stream(&verigatev1.StreamEventsRequest{AfterCursor: last}).heartbeat(); m.GetCursor() != last {
		t.Errorf("at the end the first message carries %q, want %q", m.GetCursor(), last)
	}
	now := e.stream(&verigatev1.StreamEventsRequest{AfterCursor: "now"})
	if m := now.heartbeat(); m.GetCursor() != last {
		t.Errorf("now is %q, want %q", m.GetCursor(), last)
	}
	now.event(e.happen(1, nil)[0])
}

func TestAStreamReadsOnAfterEveryEventWithNothingMissedOrTwice(t *testing.T) {
	t.Parallel()
	e := newEventEdge(t, slowTiming())
	old := e.happen(2*looksAt+1, nil)
	cursor := ""
	for i, want := range old {
		s := e.stream(&verigatev1.StreamEventsRequest{AfterCursor: cursor})
		cursor = s.event(want).GetCursor()
		if i%looksAt == 0 {
			for _, next := range old[i+1:] {
				s.event(next)
			}
		}
		s.stop()
	}
	// While the streams come and go, events happen.
	const more = 40
	var happening sync.WaitGroup
	started := make(chan []*verification.Record, more)
	happening.Go(func() {
		defer close(started)
		for range more {
			started <- e.happen(1, nil)
		}
	})
	for want := range started {
		s := e.stream(&verigatev1.StreamEventsRequest{AfterCursor: cursor})
		m := s.next()
		if m.GetEvent().GetId() != want[0].EventID() {
			t.Fatalf("after %s came %v, want %s", cursor, m, want[0].EventID())
		}
		cursor = m.GetCursor()
		s.stop()
	}
	happening.Wait()
	e.stream(&verigatev1.StreamEventsRequest{AfterCursor: cursor}).heartbeat()
}

func TestAnEventBetweenRegisteringAndReadingIsNotMissed(t *testing.T) {
	t.Parallel()
	e := newEventEdge(t, slowTiming())
	var once sync.Once
	happened := make(chan *verification.Record, 1)
	e.log.reading = func() { once.Do(func() { happened <- e.happen(1, nil)[0] }) }
	s := e.stream(&verigatev1.StreamEventsRequest{})
	s.event(<-happened)
	s.event(e.happen(1, nil)[0])
}

func TestNobodyHearsOfAnotherTenantsEvents(t *testing.T) {
	t.Parallel()
	e := newEventEdge(t, slowTiming())
	mine, theirs := e.stream(&verigatev1.StreamEventsRequest{}), e.streamAs(otherTenant+":", &verigatev1.StreamEventsRequest{})
	mine.heartbeat()
	theirs.heartbeat()
	foreign := e.happen(1, func(r *verification.Record) { r.Scope.Project = otherTenant })[0]
	e.happen(1, func(r *verification.Record) { r.Scope.Environment = verification.Live })
	own := e.happen(1, nil)[0]
	mine.event(own)
	theirs.event(foreign)
}

func TestAnotherTenantsEventsCauseNoRead(t *testing.T) {
	t.Parallel()
	e := newEventEdge(t, slowTiming())
	mine, theirs := e.stream(&verigatev1.StreamEventsRequest{}), e.streamAs(otherTenant+":", &verigatev1.StreamEventsRequest{})
	mine.heartbeat()
	theirs.heartbeat()
	// The first look of a feed wakes everybody.
	mine.event(e.happen(1, nil)[0])
	reads := func() (n int) {
		for _, q := range e.log.queries() {
			if q.Scope == scope() {
				n++
			}
		}
		return n
	}
	foreign := func() {
		theirs.event(e.happen(1, func(r *verification.Record) { r.Scope.Project = otherTenant })[0])
	}
	foreign()
	before := reads()
	const many = 20
	for range many {
		foreign()
	}
	mine.event(e.happen(1, nil)[0])
	// Its own event is one read; another may be left from before.
	const most = 2
	if n := reads() - before; n > most {
		t.Errorf("%d events of another tenant and one of its own made a stream read %d times", many, n)
	}
}

func TestHeartbeatsCarryWhatTheFilterHeldBack(t *testing.T) {
	t.Parallel()
	e := newEventEdge(t, park.Timing{Heartbeat: 20 * time.Millisecond, MaxAge: time.Hour})
	const held = 3 * looksAt
	e.happen(held, nil)
	filter := &verigatev1.EventFilter{Flows: []string{"kyc"}}
	s := e.stream(&verigatev1.StreamEventsRequest{Filter: filter})
	end := rpc.CursorText(at(e.log.records[held-1]), scope())
	// The line is opened before everything was looked at.
	if m := s.heartbeat(); m.GetCursor() == end || m.GetCursor() == "" {
		t.Errorf("the first message carries %q", m.GetCursor())
	}
	for s.heartbeat().GetCursor() != end {
		continue
	}
	again := e.stream(&verigatev1.StreamEventsRequest{AfterCursor: end, Filter: filter})
	again.heartbeat()
	if q := e.log.queries(); q[len(q)-1].After != at(e.log.records[held-1]) {
		t.Errorf("the new stream begins after %v", q[len(q)-1].After)
	}
	want := e.happen(1, func(r *verification.Record) { r.Flow = "kyc" })[0]
	for m := s.next(); ; m = s.next() {
		if m.GetKind() == anEvent {
			if m.GetEvent().GetId() != want.EventID() {
				t.Errorf("the filter let %v through", m)
			}
			return
		}
	}
}

func TestAnEventStreamTellsNothingToACredentialThatEnded(t *testing.T) {
	t.Parallel()
	t.Run("at the next heartbeat", func(t *testing.T) {
		t.Parallel()
		e := newEventEdge(t, park.Timing{Heartbeat: 20 * time.Millisecond, MaxAge: time.Hour})
		s := e.stream(&verigatev1.StreamEventsRequest{})
		s.heartbeat()
		e.tenants.end()
		// Without a network between, no more than one message is on its way.
		_, err := s.in.Receive()
		if err == nil {
			_, err = s.in.Receive()
		}
		wantUnauthenticated(t, "the stream", err)
		eventually(t, "nothing is left of it", func() bool { return e.feed.Count() == 0 })
	})
	t.Run("when something happens", func(t *testing.T) {
		t.Parallel()
		e := newEventEdge(t, slowTiming())
		s := e.stream(&verigatev1.StreamEventsRequest{})
		s.heartbeat()
		e.tenants.end()
		e.happen(1, nil)
		wantUnauthenticated(t, "the stream", s.refused())
	})
}

func TestAnEventStreamIsDrainedWithItsCursor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		age   time.Duration
		begin func(e *eventEdge)
	}{
		"when its node ends": {time.Hour, func(e *eventEdge) { close(e.drain) }},
		"when it is old":     {50 * time.Millisecond, func(*eventEdge) {}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEventEdge(t, park.Timing{Heartbeat: time.Hour, MaxAge: c.age})
			c.begin(e)
			only := e.happen(1, nil)[0]
			s := e.stream(&verigatev1.StreamEventsRequest{})
			cursor := s.event(only).GetCursor()
			m := s.next()
			after := m.GetReconnectAfter()
			if m.GetKind() != aDrain || m.GetCursor() != cursor || m.GetEvent() != nil || after == nil || after.AsDuration() > time.Second {
				t.Errorf("the last message is %v", m)
			}
			if m, err := s.in.Receive(); m != nil || connect.CodeOf(err) != connect.CodeUnknown {
				t.Errorf("after the drain came %v, %v; want the end", m, err)
			}
		})
	}
}

func TestAStreamThatHasMuchToReadIsDrainedAllTheSame(t *testing.T) {
	t.Parallel()
	e := newEventEdge(t, park.Timing{Heartbeat: time.Hour, MaxAge: 100 * time.Millisecond})
	// Whatever it reads, there is always more.
	e.log.reading = func() { e.happen(looksAt+1, nil) }
	s := e.stream(&verigatev1.StreamEventsRequest{})
	last := ""
	for m := s.next(); ; m = s.next() {
		if m.GetKind() == aDrain {
			if m.GetCursor() != last {
				t.Errorf("it was drained at %q and told up to %q", m.GetCursor(), last)
			}
			return
		}
		last = m.GetCursor()
	}
}

func TestAKeyHasAFewEventStreams(t *testing.T) {
	t.Parallel()
	e := newEventEdge(t, slowTiming())
	const most = rpc.MaxEventStreams
	open := make([]*telling, 0, most)
	for range most {
		s := e.streamAs("shop:1", &verigatev1.StreamEventsRequest{})
		s.heartbeat()
		open = append(open, s)
	}
	err := e.streamAs("shop:1", &verigatev1.StreamEventsRequest{}).refused()
	wantCode(t, "one more", err, connect.CodeResourceExhausted,
		"this key has as many event streams on this node as it may; close one, or retry")
	e.streamAs("shop:2", &verigatev1.StreamEventsRequest{}).heartbeat()
	open[0].stop()
	eventually(t, "its place is free", func() bool {
		s := e.streamAs("shop:1", &verigatev1.StreamEventsRequest{})
		defer s.stop()
		_, err := s.in.Receive()
		return err == nil
	})
}

func TestARefusedEventStreamKeepsNoPlace(t *testing.T) {
	t.Parallel()
	e := newEventEdge(t, slowTiming())
	for range rpc.MaxEventStreams + 1 {
		wantField(t, "a bad cursor", e.stream(&verigatev1.StreamEventsRequest{AfterCursor: "AAAA"}).refused(), "after_cursor")
	}
	if n := e.feed.Count(); n != 0 {
		t.Errorf("%d subscriptions are left", n)
	}
	e.stream(&verigatev1.StreamEventsRequest{}).heartbeat()
}

func TestALostDatabaseEndsAnEventStreamAsUnavailable(t *testing.T) {
	t.Parallel()
	for name, problem := range map[string]error{
		"that cannot be reached": verification.NewError(verification.KindUnavailable, "DATABASE_UNAVAILABLE", "retry"),
		"that has no turn left":  fmt.Errorf("waiting for a turn: %w", context.DeadlineExceeded),
	} {
		t.Run("a database "+name, func(t *testing.T) {
			t.Parallel()
			e := newEventEdge(t, slowTiming())
			s := e.stream(&verigatev1.StreamEventsRequest{})
			s.heartbeat()
			e.log.fail(problem)
			e.happen(1, nil)
			wantCode(t, "the stream", s.refused(), connect.CodeUnavailable, "")
		})
	}
}
