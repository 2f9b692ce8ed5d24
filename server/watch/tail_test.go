package watch_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/verification"
	"github.com/verigate/verigate/server/watch"
)

const patience = 10 * time.Second

// step is one answer of the log.
type step struct {
	changes []verification.Change
	next    verification.Cursor
	err     error
}

// script is a log that says what was written down, then nothing new.
type script struct {
	mu    sync.Mutex
	steps []step
	asked []verification.Cursor
}

func (s *script) TailStart(ctx context.Context) (verification.Cursor, error) {
	_, next, err := s.Tail(ctx, "")
	return next, err
}

func (s *script) Tail(_ context.Context, since verification.Cursor) ([]verification.Change, verification.Cursor, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, since)
	if len(s.steps) == 0 {
		return nil, since, nil
	}
	now := s.steps[0]
	s.steps = s.steps[1:]
	return now.changes, now.next, now.err
}

// hints collects what the tail hints at.
type hints chan verification.Change

func (w hints) Hint(id uuid.UUID, version int64) { w <- verification.Change{ID: id, Version: version} }

// everybody is what a HintAll looks like among the hints.
var everybody = verification.Change{}

func (w hints) HintAll() { w <- everybody }

// run follows a script until it is used up and returns what was woken, what the
// log was asked for and what was logged.
func run(t *testing.T, s *script) (woken []verification.Change, asked []verification.Cursor, logged string) {
	t.Helper()
	steps := len(s.steps)
	ctx, cancel := context.WithCancel(t.Context())
	hub := make(hints, 100)
	var log bytes.Buffer
	polled := make(chan int, 100)
	tail := &watch.Tail{
		Log: s, Hub: hub, Interval: time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Polled: func(changes int) { polled <- changes },
	}
	done := make(chan struct{})
	go func() {
		tail.Run(ctx)
		close(done)
	}()
	for used := false; !used; {
		select {
		case <-polled:
			s.mu.Lock()
			used = len(s.asked) > steps
			s.mu.Unlock()
		case <-time.After(patience):
			t.Fatal("the tail does not read on")
		}
	}
	cancel()
	<-done
	close(hub)
	for change := range hub {
		woken = append(woken, change)
	}
	return woken, s.asked, log.String()
}

func TestTheTailStartsAtNowAndWakesWhatComesAfter(t *testing.T) {
	t.Parallel()
	one, two := verification.Change{ID: newID(), Version: 2}, verification.Change{ID: newID(), Version: 7}
	woken, asked, _ := run(t, &script{steps: []step{
		{next: "a"},
		{next: "b", changes: []verification.Change{one}},
		{next: "c"},
		{next: "d", changes: []verification.Change{two, one}},
	}})
	if want := []verification.Change{everybody, one, two, one}; !slices.Equal(woken, want) {
		t.Errorf("woke %v, want %v", woken, want)
	}
	want := []verification.Cursor{"", "a", "b", "c", "d"}
	for i, cursor := range want {
		if asked[i] != cursor {
			t.Errorf("asked since %q, want %q first", asked, want)
			break
		}
	}
}

func TestAfterAGapTheTailWakesEverybodyInsteadOfReadingIt(t *testing.T) {
	t.Parallel()
	later := verification.Change{ID: newID(), Version: 3}
	away := step{err: errors.New("gone")}
	woken, asked, logged := run(t, &script{steps: []step{
		away, {next: "a"}, away, away, {next: "b"}, {next: "c", changes: []verification.Change{later}},
	}})
	if want := []verification.Change{everybody, everybody, later}; !slices.Equal(woken, want) {
		t.Errorf("woke %v, want %v", woken, want)
	}
	for i, cursor := range []verification.Cursor{"", "", "a", "", "", "b", "c"} {
		if asked[i] != cursor {
			t.Errorf("asked since %q", asked)
			break
		}
	}
	if strings.Count(logged, "level=WARN") != 2 || strings.Count(logged, "can be read again") != 2 {
		t.Errorf("two outages should be two warnings and two recoveries:\n%s", logged)
	}
}

func TestTheTailStopsWhenItIsTold(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	done := make(chan struct{})
	tail := &watch.Tail{Log: &script{}, Hub: make(hints, 1), Interval: time.Hour, Logger: slog.New(slog.DiscardHandler)}
	go func() {
		tail.Run(ctx)
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Error("the tail does not stop")
	}
}
