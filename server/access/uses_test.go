package access_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/verigate/verigate/server/access"
)

// ledger is what Uses writes to.
type ledger struct {
	mu     sync.Mutex
	writes []map[string]time.Time
	// answer, if set, is what the next write does; it keeps what it succeeds in.
	answer func(ctx context.Context) error
}

func (l *ledger) Write(ctx context.Context, uses map[string]time.Time) error {
	l.mu.Lock()
	answer := l.answer
	l.mu.Unlock()
	if answer != nil {
		if err := answer(ctx); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writes = append(l.writes, maps.Clone(uses))
	return nil
}

func (l *ledger) set(answer func(ctx context.Context) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answer = answer
}

func (l *ledger) written() []map[string]time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.writes
}

// scroll is a log that is read while it is written.
type scroll struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *scroll) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *scroll) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// running starts Uses in the bubble of a test; stop ends it and waits.
func running(t *testing.T, l *ledger, log *scroll) (uses *access.Uses, stop func()) {
	t.Helper()
	uses = &access.Uses{Write: l.Write, Log: slog.New(slog.NewTextHandler(log, nil)), Now: time.Now}
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { uses.Run(ctx, time.Minute) })
	stop = func() { cancel(); run.Wait() }
	t.Cleanup(stop)
	return uses, stop
}

// after lets the bubble's time pass.
func after(d time.Duration) { <-time.After(d); synctest.Wait() }

func TestUsesAreWrittenAtTheIntervalNewestFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l ledger
		uses, _ := running(t, &l, new(scroll))
		uses.Note("one")
		after(time.Second)
		uses.Note("one")
		uses.Note("two")
		newest := time.Now()
		after(58 * time.Second)
		if n := len(l.written()); n != 0 {
			t.Fatalf("%d writes before the interval is over", n)
		}
		after(time.Second)
		writes := l.written()
		if len(writes) != 1 || len(writes[0]) != 2 || !writes[0]["one"].Equal(newest) || !writes[0]["two"].Equal(newest) {
			t.Fatalf("wrote %v, want both keys at %v", writes, newest)
		}
		after(10 * time.Minute)
		if n := len(l.written()); n != 1 {
			t.Errorf("%d writes, though nothing was used", n-1)
		}
	})
}

func TestTheLastUsesAreWrittenOnTheWayOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l ledger
		uses, stop := running(t, &l, new(scroll))
		uses.Note("one")
		used := time.Now()
		after(time.Second)
		stop()
		if writes := l.written(); len(writes) != 1 || !writes[0]["one"].Equal(used) {
			t.Errorf("wrote %v", writes)
		}
	})
}

func TestAFailedWriteIsLoggedAndTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l ledger
		var log scroll
		uses, _ := running(t, &l, &log)
		l.set(func(context.Context) error { return errors.New("no database") })
		uses.Note("0011223344556677")
		uses.Note("8899aabbccddeeff")
		first := time.Now()
		after(time.Minute)
		if text := log.String(); strings.Count(text, "level=WARN") != 1 || !strings.Contains(text, "no database") || strings.Contains(text, "0011223344556677") {
			t.Errorf("logged %q", text)
		}
		l.set(nil)
		uses.Note("0011223344556677")
		second := time.Now()
		after(time.Minute)
		writes := l.written()
		if len(writes) != 1 || !writes[0]["0011223344556677"].Equal(second) || !writes[0]["8899aabbccddeeff"].Equal(first) {
			t.Errorf("wrote %v, want the newest use of each", writes)
		}
	})
}

func TestAUseThatIsNotedDuringAFailingWriteWins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l ledger
		var uses *access.Uses
		var newest time.Time
		l.set(func(context.Context) error {
			<-time.After(time.Second)
			uses.Note("one")
			newest = time.Now()
			return errors.New("no database")
		})
		uses, stop := running(t, &l, new(scroll))
		uses.Note("one")
		after(time.Minute + 2*time.Second)
		l.set(nil)
		stop()
		if writes := l.written(); len(writes) != 1 || !writes[0]["one"].Equal(newest) {
			t.Errorf("wrote %v, want %v", writes, newest)
		}
	})
}

func TestAWriteThatTheStopInterruptsIsDoneAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l ledger
		var log scroll
		uses, stop := running(t, &l, &log)
		l.set(func(ctx context.Context) error {
			l.set(nil)
			<-ctx.Done()
			return ctx.Err()
		})
		uses.Note("one")
		used := time.Now()
		after(time.Minute)
		stop()
		if writes := l.written(); len(writes) != 1 || !writes[0]["one"].Equal(used) {
			t.Errorf("wrote %v", writes)
		}
		if log.String() != "" {
			t.Errorf("a stop is no failure: %s", log.String())
		}
	})
}

func TestAWriteThatHangsIsGivenUpAndLogged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l ledger
		var log scroll
		uses, _ := running(t, &l, &log)
		l.set(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		uses.Note("one")
		after(time.Minute)
		if log.String() != "" {
			t.Errorf("given up at once: %s", log.String())
		}
		after(5 * time.Second)
		if strings.Count(log.String(), "level=WARN") != 1 {
			t.Errorf("after five seconds the log says %q", log.String())
		}
		l.set(nil)
		after(time.Minute)
		if n := len(l.written()); n != 1 {
			t.Errorf("%d writes, want it tried again", n)
		}
	})
}

func TestAnOlderUseDoesNotOvertakeANewerOne(t *testing.T) {
	t.Parallel()
	clock := now()
	var l ledger
	uses := &access.Uses{Write: l.Write, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return clock }}
	uses.Note("one")
	clock = clock.Add(-time.Second)
	uses.Note("one")
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	uses.Run(stopped, time.Minute)
	if writes := l.written(); len(writes) != 1 || !writes[0]["one"].Equal(now()) {
		t.Errorf("wrote %v, want %v", writes, now())
	}
}
