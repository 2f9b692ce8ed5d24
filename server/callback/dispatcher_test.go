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

func TestTheDispatcherGoesOnUntilNothingIsLeft(t *testing.T) {
	t.Parallel()
	events := &script{make(chan error), make(chan int)}
	var log bytes.Buffer
	d := callback.NewDispatcher(events, slog.New(slog.NewTextHandler(&log, nil)))
	d.Interval = time.Hour
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
	events.sequenced <- nil
	<-events.queue
	events.queue <- 0
	cancel()
	<-ended
	if n := strings.Count(log.String(), "goes on trying"); n != 1 {
		t.Errorf("a failure was told %d times, want once: %s", n, log.String())
	}
}
