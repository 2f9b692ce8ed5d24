package bus

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

const (
	// helloPatience is how long a node waits to hear itself.
	helloPatience = 5 * time.Second
	// firstRetry and lastRetry bound the wait before the next attempt, which is
	// random between nothing and the bound, and doubles.
	firstRetry = 250 * time.Millisecond
	lastRetry  = 10 * time.Second
)

// errDeaf is a line over which this node does not hear itself.
var errDeaf = errors.New("what this node sends does not come back")

// listen hears other nodes until ctx ends. Each new line begins with a gap:
// nobody knows what was sent in between.
func (b *Bus) listen(ctx context.Context) {
	failing, bound := false, firstRetry
	for ctx.Err() == nil {
		began := time.Now()
		s := &session{bus: b, failing: failing}
		err := s.run(ctx)
		b.lastWord.Store(nil)
		b.meter.BusConnected(b.carrier.name(), false)
		if ctx.Err() != nil {
			return
		}
		if s.hears || !failing {
			b.tell(ctx, err)
		}
		failing = true
		// A line that breaks as soon as it is there must not make everything be
		// read again and again.
		if time.Since(began) > lastRetry {
			bound = firstRetry
		}
		if !wait(ctx, rand.N(bound)) {
			return
		}
		bound = min(lastRetry, bound+bound)
	}
}

// tell logs why hints do not come.
func (b *Bus) tell(ctx context.Context, err error) {
	attributes := []any{"bus", b.carrier.name(), "error", err}
	if errors.Is(err, errDeaf) {
		attributes = append(attributes, "remedy", b.carrier.remedy())
	}
	b.log.WarnContext(ctx, "hints of other nodes do not arrive; watchers here lag by watch.poll_interval; it goes on trying", attributes...)
}

// session is one line, from its subscription to its end. It belongs to the
// goroutine that runs it.
type session struct {
	bus *Bus
	// failing says that earlier lines failed and somebody was told.
	failing bool
	// hears says that this node heard itself.
	hears bool
	deaf  *time.Timer
}

// run returns why the line ended.
func (s *session) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer func() {
		if s.deaf != nil {
			s.deaf.Stop()
		}
	}()
	err := s.bus.carrier.listen(ctx, func() error {
		s.deaf = time.AfterFunc(helloPatience, func() { cancel(errDeaf) })
		return s.hello(ctx)
	}, func(message string) { s.deliver(ctx, message) }, s.gap)
	if cause := context.Cause(ctx); errors.Is(cause, errDeaf) {
		return errDeaf
	}
	return err
}

func (s *session) hello(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, helloPatience)
	defer cancel()
	return s.bus.carrier.send(ctx, []string{hello(s.bus.node)})
}

// deliver reads one message.
func (s *session) deliver(ctx context.Context, message string) {
	node, rest, ok := sender(message)
	if ok && node == s.bus.node {
		now := time.Now()
		s.bus.lastEcho.Store(&now)
		s.heard(ctx)
		return
	}
	hints, readable := read(rest)
	if ok {
		s.bus.word()
	}
	if !ok || !readable {
		s.bus.meter.HintsDropped(DroppedUnreadable, 1)
		return
	}
	for _, h := range hints {
		s.bus.receiver.Hint(h.ID, h.Version)
	}
	if len(hints) > 0 {
		s.bus.meter.HintsReceived(len(hints))
	}
}

// heard notes that the line works. What was sent before it did is lost.
func (s *session) heard(ctx context.Context) {
	if s.hears {
		return
	}
	s.hears = true
	s.bus.word()
	s.deaf.Stop()
	s.bus.meter.BusConnected(s.bus.carrier.name(), true)
	if s.failing {
		s.bus.log.InfoContext(ctx, "hints of other nodes arrive again", "bus", s.bus.carrier.name())
	}
	s.gap()
}

// word notes that somebody is on the line.
func (b *Bus) word() {
	now := time.Now()
	b.lastWord.Store(&now)
}

func (s *session) gap() {
	s.bus.meter.HintGap()
	s.bus.receiver.HintAll()
}
