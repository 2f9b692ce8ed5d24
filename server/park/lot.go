package park

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"runtime/debug"
	"sync"
	"time"
)

const (
	// maxReconnect is the longest pause that a drain message asks for.
	maxReconnect = time.Second
	// lateSpread is for a stream that begins while the node drains already: it must
	// not last beyond the others.
	lateSpread = 500 * time.Millisecond
	// defaultWrite is Timing.Write when that is zero.
	defaultWrite = 10 * time.Second
)

// Timing is how streams live.
type Timing struct {
	// Heartbeat is the mean time between heartbeats; each is ± 20 %.
	Heartbeat time.Duration
	// MaxAge ends a stream at a random age between half of it and it.
	MaxAge time.Duration
	// DrainSpread is over how long streams end when the node drains.
	DrainSpread time.Duration
	// Write is how long one message may take to leave; zero means 10 s.
	Write time.Duration
}

// Next says what comes after following.
type Next int

// What comes next.
const (
	// Wait for more news.
	Wait Next = iota
	// More is there to follow at once.
	More
	// Done means that nothing can come any more.
	Done
)

// Live is a stream that has sent its first message. No two of its methods run at
// a time. Their contexts end when the line is gone.
type Live interface {
	// Begin comes first. From then on the live says s.News() when there is
	// something to follow. It must not block.
	Begin(s *Stream)
	// Follow sends what is new.
	Follow(ctx context.Context) (Next, error)
	// Heartbeat sends a sign of life, unless the stream's credential ended.
	Heartbeat(ctx context.Context) error
	// Drain sends the last message: when to come back.
	Drain(ctx context.Context, after time.Duration) error
	// Over comes last: it gives back what the live holds, and says how its caller
	// is told of an error that is not nil.
	Over(err error) error
}

// Lot is the open streams of one node. It is safe for concurrent use.
type Lot struct {
	timing   Timing
	draining <-chan struct{}
	log      *slog.Logger
	ender    http.Handler
	crew     *crew
	sends    sends
	began    time.Time
	// came has a token when the first stream came.
	came chan struct{}

	mu    sync.Mutex
	wheel wheel
	open  int
	// drained is by when the streams have ended that were open when the drain
	// began; zero before that.
	drained time.Duration
}

// NewLot returns a Lot whose streams live by timing, while Run runs. When
// draining is closed they end, over timing.DrainSpread from then on.
func NewLot(timing Timing, draining <-chan struct{}, log *slog.Logger) *Lot {
	if timing.Write == 0 {
		timing.Write = defaultWrite
	}
	return &Lot{
		timing: timing, draining: draining, log: log, ender: newEnder(), crew: newCrew(), began: time.Now(),
		came: make(chan struct{}, 1), wheel: wheel{tick: timing.tick()},
	}
}

// tick is how exact the wheel is: fine enough to spread what it does.
func (t Timing) tick() time.Duration {
	shortest := min(t.Heartbeat, t.MaxAge)
	if t.DrainSpread > 0 {
		shortest = min(shortest, t.DrainSpread)
	}
	const parts, finest, coarsest = 64, time.Millisecond, 20 * time.Millisecond
	return min(max(shortest/parts, finest), coarsest)
}

// Run turns the wheel until ctx ends. Then it drains what is still open, and
// returns when the last stream is over.
func (l *Lot) Run(ctx context.Context) {
	ticker := time.NewTicker(l.wheel.tick)
	defer ticker.Stop()
	draining := l.draining
	for {
		var turn <-chan time.Time
		if l.Count() > 0 {
			turn = ticker.C
		}
		select {
		case <-ctx.Done():
			l.stop()
			return
		case <-draining:
			draining = nil
			l.drain(l.timing.DrainSpread)
		case <-l.came:
		case <-turn:
			l.turn()
		}
	}
}

// Count returns the number of open streams.
func (l *Lot) Count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open
}

// Keep lets a stream live. Within a parking Handler, if wanted, it parks the
// stream and returns nil at once: the stream begins when the call has returned,
// and whoever wants to hear of its end says so with Later. Otherwise Keep returns
// when the stream is over, with what Over said.
func (l *Lot) Keep(ctx context.Context, live Live, parked bool) error {
	s := newStream(l, live)
	if parked && s.park(ctx) {
		return nil
	}
	s.request, s.rhythm = new(http.Request).WithContext(ctx), rhythm(rand.Uint64())
	s.begin()
	s.wait(ctx.Done())
	return s.err
}

// WriteTimeout is how long a message may take to leave.
func (l *Lot) WriteTimeout() time.Duration { return l.timing.Write }

func (l *Lot) now() time.Duration { return time.Since(l.began) }

// enter counts a stream and gives it its age and its first beat.
func (l *Lot) enter(s *Stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.ends = l.now() + between(l.timing.MaxAge/2, l.timing.MaxAge)
	if l.open++; l.open == 1 {
		select {
		case l.came <- struct{}{}:
		default: // Run is going to look already
		}
	}
	l.placeLocked(s, true)
}

// place puts a stream on the wheel: up to its next beat, or its end.
func (l *Lot) place(s *Stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.placeLocked(s, false)
}

func (l *Lot) placeLocked(s *Stream, first bool) {
	now := l.now()
	if l.drained > 0 && s.ends > l.drained {
		s.ends = now + between(0, min(l.timing.DrainSpread, lateSpread))
	}
	due := min(s.rhythm.next(now, l.timing.Heartbeat, first), s.ends)
	if s.expires > 0 {
		due = min(due, s.expires)
	}
	l.wheel.put(s, due, now)
}

// leave forgets a stream that is over.
func (l *Lot) leave(s *Stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wheel.remove(s)
	l.open--
}

// turn does what is due.
func (l *Lot) turn() {
	l.sends.cutLate(l.now())
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	l.wheel.turn(now, func(s *Stream) {
		switch {
		case s.expires > 0 && s.expires <= now:
			s.raise(expired)
		case s.ends <= now:
			s.raise(old)
		default:
			s.raise(beat)
		}
	})
}

// drain has all streams end at random times within the spread: the other nodes
// get them, not all at once. A stream that is beating at this moment learns of it
// when it is placed again.
func (l *Lot) drain(spread time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	l.drained = now + spread
	for _, s := range l.wheel.all() {
		l.wheel.remove(s)
		s.ends = now + between(0, spread)
		l.placeLocked(s, false)
	}
}

// stop drains everything now and waits for the last stream. One that comes after
// that, to a node that serves no more, lives until its line goes.
func (l *Lot) stop() {
	l.drain(0)
	ticker := time.NewTicker(l.wheel.tick)
	defer ticker.Stop()
	for l.Count() > 0 {
		<-ticker.C
		l.turn()
	}
	l.crew.dismiss()
}

// panicked logs a panic by type and stack, never by value, which may be anything.
func (l *Lot) panicked(reason any) error {
	kind := fmt.Sprintf("%T", reason)
	l.log.Error("panic in a stream", "panic", kind, "stack", string(debug.Stack()))
	return fmt.Errorf("park: a panic of type %s", kind)
}

// between returns a random duration from low to high. It spreads load and keeps
// no secret.
func between(low, high time.Duration) time.Duration {
	if high <= low {
		return low
	}
	return low + rand.N(high-low)
}
