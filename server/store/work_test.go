package store_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/riverqueue/river"

	"github.com/verigate/verigate/server/jobs"
	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/store"
	"github.com/verigate/verigate/server/verification"
)

// callbackWorker says which callbacks it was given, and does with them what it
// is told.
type callbackWorker struct {
	river.WorkerDefaults[jobs.Callback]

	got chan jobs.Callback
	do  func(ctx context.Context) error
}

func (w *callbackWorker) Work(ctx context.Context, job *river.Job[jobs.Callback]) error {
	w.got <- job.Args
	return w.do(ctx)
}

func work(t *testing.T, s *store.Store, w *callbackWorker, log *slog.Logger) func(context.Context) error {
	t.Helper()
	workers := river.NewWorkers()
	river.AddWorker(workers, w)
	stop, err := s.Work(t.Context(), workers, map[string]int{jobs.CallbackQueue: 2}, log)
	if err != nil {
		t.Fatal(err)
	}
	return stop
}

func TestAJobThatFailsRunsAgain(t *testing.T) {
	t.Parallel()
	w := tell(t)
	failures := make(chan error, 1)
	failures <- errors.New("not now")
	worker := &callbackWorker{got: make(chan jobs.Callback, 2), do: func(context.Context) error {
		select {
		case err := <-failures:
			return err
		default:
			return nil
		}
	}}
	stop := work(t, w.store, worker, slog.New(slog.DiscardHandler))
	first, second := <-worker.got, <-worker.got
	if want := w.callbacks()[0].ID; first.ID != want || second.ID != want || first.Project != "shop" {
		t.Errorf("the jobs are of %v and %v, want %s", first, second, want)
	}
	if err := stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestStoppingCancelsWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	w := tell(t)
	var log bytes.Buffer
	worker := &callbackWorker{got: make(chan jobs.Callback, 1), do: func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}}
	stop := work(t, w.store, worker, slog.New(slog.NewTextHandler(&log, nil)))
	<-worker.got
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := stop(ctx); err != nil {
		t.Error(err)
	}
	if strings.Contains(log.String(), "level=INFO") {
		t.Errorf("the log is chatty: %s", log.String())
	}
}

func TestWorkSaysWhenTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.Context(), secret.New("postgres://nobody@127.0.0.1:1/none"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	workers := river.NewWorkers()
	river.AddWorker(workers, &callbackWorker{})
	_, err = s.Work(t.Context(), workers, map[string]int{jobs.CallbackQueue: 1}, slog.New(slog.DiscardHandler))
	wantKind(t, err, verification.KindUnavailable)
	_, err = open(t, pgtest.New(t)).Work(t.Context(), nil, map[string]int{jobs.CallbackQueue: 1}, slog.New(slog.DiscardHandler))
	wantKind(t, err, verification.KindInternal)
}
