package callback_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/callback"
)

// script is a log of events that answers what the test says.
type script struct {
	sequenced chan error
	queue     chan int
	revived   []time.Time
}

func (s *script) SequenceEvents(ctx context.Context) (int64, error) {
	select {
	case err := <-s.sequenced:
		return 1, err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (s *script) QueueCallbacks(_ context.Context, _ time.Time, limit int) (int, error) {
	s.queue <- limit
	return <-s.queue, nil
}

func (s *script) ReviveCallbacks(_ context.Context, _, after time.Time) (time.Time, error) {
	s.revived = append(s.revived, after)
	return after.Add(time.Hour), nil
}

func TestTheDispatcherGoesOnUntilNothingIsLeft(t *testing.T) {
	t.Parallel()
	events := &script{make(chan error), make(chan int), nil}
	at := &clock{at: time.Now()}
	var log bytes.Buffer
	d := callback.NewDispatcher(events, slog.New(slog.NewTextHandler(&log, nil)))
	d.Interval, d.Now = time.Hour, at.now
	told := make(chan struct{}, 10)
	d.Sequenced = func() { told <- struct{}{} }
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { d.Run(ctx); close(ended) }()

	for range 3 {
		d.Poke() // never blocks
	}
	events.sequenced <- nil
	limit := <-events.queue
	events.queue <- limit
	<-events.queue
	events.queue <- limit - 1
	<-told

	d.Poke()
	for range 2 {
		events.sequenced <- errors.New("the database is away")
		d.Poke()
	}
	for range 2 {
		at.move(40 * time.Second) // the second makes it more than a minute
		events.sequenced <- nil
		<-events.queue
		events.queue <- 0
		d.Poke()
	}
	events.sequenced <- nil
	<-events.queue
	events.queue <- 0
	cancel()
	<-ended
	if r := events.revived; len(r) != 2 || !r[0].IsZero() || !r[1].Equal(time.Time{}.Add(time.Hour)) {
		t.Errorf("lost jobs were looked for from %v, want the beginning and an hour after it", r)
	}
	if n := strings.Count(log.String(), "goes on trying"); n != 1 {
		t.Errorf("a failure was told %d times, want once: %s", n, log.String())
	}
}
