package park_test

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/verigate/verigate/server/park"
)

// patience bounds every wait; nothing waits that long unless it is broken.
const patience = 30 * time.Second

// script is a live that does what a test says, and tells what is asked of it.
type script struct {
	follow    func(ctx context.Context) (park.Next, error)
	heartbeat func(ctx context.Context) error
	drain     func(ctx context.Context, after time.Duration) error
	over      func(err error) error

	begun chan *park.Stream
	ended chan error
	// busy is how many of its methods run.
	busy    atomic.Int32
	clashes atomic.Int32
}

func newScript() *script {
	return &script{begun: make(chan *park.Stream, 1), ended: make(chan error, 2)}
}

func (s *script) alone() (leave func()) {
	if s.busy.Add(1) > 1 {
		s.clashes.Add(1)
	}
	return func() { s.busy.Add(-1) }
}

func (s *script) Begin(stream *park.Stream) {
	defer s.alone()()
	s.begun <- stream
}

func (s *script) Follow(ctx context.Context) (park.Next, error) {
	defer s.alone()()
	if s.follow == nil {
		return park.Wait, nil
	}
	return s.follow(ctx)
}

func (s *script) Heartbeat(ctx context.Context) error {
	defer s.alone()()
	if s.heartbeat == nil {
		return nil
	}
	return s.heartbeat(ctx)
}

func (s *script) Drain(ctx context.Context, after time.Duration) error {
	defer s.alone()()
	if s.drain == nil {
		return nil
	}
	return s.drain(ctx, after)
}

func (s *script) Over(err error) error {
	defer s.alone()()
	if s.over != nil {
		err = s.over(err)
	}
	s.ended <- err
	return err
}

// lot is a Lot that runs until the test is over.
type lot struct {
	*park.Lot

	drain chan struct{}
	// stop ends it and waits.
	stop func()
	log  *buffer
}

func quiet() park.Timing { return park.Timing{Heartbeat: time.Hour, MaxAge: time.Hour} }

func newLot(t *testing.T, timing park.Timing) *lot {
	t.Helper()
	l := &lot{drain: make(chan struct{}), log: &buffer{}}
	l.Lot = park.NewLot(timing, l.drain, slog.New(slog.NewTextHandler(l.log, nil)))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.Run(ctx)
	}()
	l.stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(l.stop)
	return l
}

// keep has a live kept by a handler that waits for its end, and returns where
// that is told, when the live has begun.
func (l *lot) keep(ctx context.Context, t *testing.T, s *script) (stream *park.Stream, ended <-chan error) {
	t.Helper()
	over := make(chan error, 1)
	go func() { over <- l.Keep(ctx, s, true) }()
	return await(t, "the stream begins", s.begun), over
}

// await takes what a channel has to come.
func await[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case got := <-from:
		return got
	case <-time.After(patience):
		t.Fatalf("waited %v in vain: %s", patience, what)
		panic("unreachable")
	}
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited %v in vain: %s", patience, what)
		}
	}
}

// buffer is a log that may be read while it is written.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
