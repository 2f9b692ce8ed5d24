package park_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/verigate/verigate/server/park"
)

var errMarked = errors.New("marked")

func TestNewsAreFollowedByOneAtATimeAndNoneIsLost(t *testing.T) {
	t.Parallel()
	l, s := newLot(t, park.Timing{Heartbeat: time.Millisecond, MaxAge: time.Hour}), newScript()
	var told, seen, beats atomic.Int64
	const news = 20_000
	s.follow = func(context.Context) (park.Next, error) {
		seen.Store(told.Load())
		if seen.Load() == news {
			return park.Done, nil
		}
		return park.Wait, nil
	}
	s.heartbeat = func(context.Context) error {
		beats.Add(1)
		return nil
	}
	stream, over := l.keep(t.Context(), t, s)
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for range news / 4 {
				told.Add(1)
				stream.News()
			}
		})
	}
	writers.Wait()
	if err := await(t, "the last news end it", over); err != nil {
		t.Error(err)
	}
	if n := s.clashes.Load(); n > 0 {
		t.Errorf("%d times two of its methods ran at once", n)
	}
	if l.Count() != 0 {
		t.Errorf("%d streams are left", l.Count())
	}
}

func TestWhileThereIsMoreToFollowAStreamStillBeatsAndIsDrained(t *testing.T) {
	t.Parallel()
	l, s := newLot(t, park.Timing{Heartbeat: 5 * time.Millisecond, MaxAge: time.Hour}), newScript()
	beat := make(chan struct{}, 1)
	s.follow = func(context.Context) (park.Next, error) { return park.More, nil }
	s.heartbeat = func(context.Context) error {
		select {
		case beat <- struct{}{}:
		default:
		}
		return nil
	}
	stream, over := l.keep(t.Context(), t, s)
	stream.News()
	await(t, "it beats", beat)
	close(l.drain)
	if err := await(t, "it is drained", over); err != nil {
		t.Error(err)
	}
}

func TestAStreamBeatsOnAndOn(t *testing.T) {
	t.Parallel()
	l, s := newLot(t, park.Timing{Heartbeat: 20 * time.Millisecond, MaxAge: time.Hour}), newScript()
	beats := make(chan time.Time, 100)
	s.heartbeat = func(context.Context) error {
		beats <- time.Now()
		return nil
	}
	began := time.Now()
	l.keep(t.Context(), t, s)
	const many = 6
	last := time.Time{}
	for range many {
		last = await(t, "it beats", beats)
	}
	if took, least := last.Sub(began), many*20*time.Millisecond*7/10; took < least {
		t.Errorf("%d beats took %v, want at least %v", many, took, least)
	}
}

func TestAStreamEndsWhen(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		timing park.Timing
		shape  func(s *script)
		act    func(l *lot, stream *park.Stream, hangUp func())
		want   error
	}{
		"nothing can come any more": {
			quiet(), func(s *script) { s.follow = func(context.Context) (park.Next, error) { return park.Done, nil } },
			func(_ *lot, stream *park.Stream, _ func()) { stream.News() }, nil,
		},
		"following fails": {
			quiet(), func(s *script) { s.follow = func(context.Context) (park.Next, error) { return park.Wait, errMarked } },
			func(_ *lot, stream *park.Stream, _ func()) { stream.News() }, errMarked,
		},
		"a heartbeat fails": {
			park.Timing{Heartbeat: time.Millisecond, MaxAge: time.Hour},
			func(s *script) { s.heartbeat = func(context.Context) error { return errMarked } },
			func(*lot, *park.Stream, func()) {}, errMarked,
		},
		"it is old":           {park.Timing{Heartbeat: time.Hour, MaxAge: 20 * time.Millisecond}, nil, func(*lot, *park.Stream, func()) {}, nil},
		"its node drains":     {quiet(), nil, func(l *lot, _ *park.Stream, _ func()) { close(l.drain) }, nil},
		"its lot ends":        {quiet(), nil, func(l *lot, _ *park.Stream, _ func()) { l.stop() }, nil},
		"its caller hangs up": {quiet(), nil, func(_ *lot, _ *park.Stream, hangUp func()) { hangUp() }, context.Canceled},
		"draining it fails": {
			quiet(), func(s *script) { s.drain = func(context.Context, time.Duration) error { return errMarked } },
			func(l *lot, _ *park.Stream, _ func()) { close(l.drain) }, errMarked,
		},
		"its end says something else": {
			quiet(), func(s *script) { s.over = func(err error) error { return errors.Join(errMarked, err) } },
			func(_ *lot, _ *park.Stream, hangUp func()) { hangUp() }, errMarked,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, s := newLot(t, c.timing), newScript()
			if c.shape != nil {
				c.shape(s)
			}
			ctx, hangUp := context.WithCancel(t.Context())
			defer hangUp()
			stream, over := l.keep(ctx, t, s)
			c.act(l, stream, hangUp)
			if err := await(t, "it ends", over); !errors.Is(err, c.want) || (c.want == nil) != (err == nil) {
				t.Errorf("it ended with %v, want %v", err, c.want)
			}
			// Whatever happens after the end is nothing to it.
			stream.News()
			l.stop()
			if len(s.ended) != 1 || l.Count() != 0 {
				t.Errorf("it ended %d times, %d are left", len(s.ended), l.Count())
			}
		})
	}
}

func TestAPanicEndsItsStreamOnlyAndIsLoggedWithoutItsValue(t *testing.T) {
	t.Parallel()
	for name, shape := range map[string]func(s *script){
		"while it follows": func(s *script) {
			s.follow = func(context.Context) (park.Next, error) { panic("marked value") }
		},
		"at its end": func(s *script) {
			s.follow = func(context.Context) (park.Next, error) { return park.Done, nil }
			s.over = func(error) error { panic("marked value") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, s, other := newLot(t, quiet()), newScript(), newScript()
			shape(s)
			stream, over := l.keep(t.Context(), t, s)
			neighbour, _ := l.keep(t.Context(), t, other)
			stream.News()
			if err := await(t, "it ends", over); err == nil || strings.Contains(err.Error(), "marked") {
				t.Errorf("it ended with %v, want an error without the value", err)
			}
			if log := l.log.String(); !strings.Contains(log, "panic in a stream") || strings.Contains(log, "marked value") {
				t.Errorf("logged %s", log)
			}
			followed := make(chan struct{}, 1)
			other.follow = func(context.Context) (park.Next, error) {
				followed <- struct{}{}
				return park.Wait, nil
			}
			neighbour.News()
			await(t, "its neighbour lives on", followed)
		})
	}
}

func TestADrainIsSpreadAndReachesEveryStream(t *testing.T) {
	t.Parallel()
	const streams, spread = 300, 400 * time.Millisecond
	timing := park.Timing{Heartbeat: 2 * time.Millisecond, MaxAge: time.Hour, DrainSpread: spread}
	l := newLot(t, timing)
	ends := make(chan time.Time, streams)
	for range streams {
		s := newScript()
		s.drain = func(_ context.Context, after time.Duration) error {
			if after < 0 || after > time.Second {
				t.Errorf("come back after %v", after)
			}
			ends <- time.Now()
			return nil
		}
		l.keep(t.Context(), t, s)
	}
	close(l.drain)
	first := await(t, "one is drained", ends)
	last := first
	for range streams - 1 {
		last = await(t, "all are drained", ends)
	}
	if last.Sub(first) < spread/2 {
		t.Errorf("all were drained within %v, want it spread over %v", last.Sub(first), spread)
	}
	late := newScript()
	_, over := l.keep(t.Context(), t, late)
	if err := await(t, "who comes late is drained too", over); err != nil {
		t.Error(err)
	}
}

// A reader that does not read holds up nobody, however many there are.
func TestStreamsThatHangHoldUpNobody(t *testing.T) {
	t.Parallel()
	const stuck = 600
	l, hang := newLot(t, quiet()), make(chan struct{})
	for range stuck {
		s := newScript()
		s.follow = func(context.Context) (park.Next, error) {
			<-hang
			return park.Done, nil
		}
		stream, _ := l.keep(t.Context(), t, s)
		stream.News()
	}
	s := newScript()
	s.follow = func(context.Context) (park.Next, error) { return park.Done, nil }
	stream, over := l.keep(t.Context(), t, s)
	stream.News()
	if err := await(t, "the others live on", over); err != nil {
		t.Error(err)
	}
	close(hang)
}
