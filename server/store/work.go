package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"github.com/verigate/verigate/db"
)

const (
	// jobTimeout is how long a job may take; whoever does one bounds it tighter.
	jobTimeout = 45 * time.Second
	// rescueAfter is when a job whose node died goes to another, as soon as River
	// looks, which is twice a minute.
	rescueAfter = time.Minute
	// jobsKept is how long finished jobs stay: what they did is in our own rows.
	jobsKept = time.Hour
	// hardStop bounds the wait for jobs whose context was canceled.
	hardStop = 5 * time.Second

	firstRetry = time.Second
	lastRetry  = time.Minute
	// A connection that only listens is too much for a smaller pool than this.
	listeningPool = 4
)

// Work does jobs of the queue on this node until stop is called: so many at a
// time of each named queue. stop waits for those that are running; when its
// context ends first, it cancels them. Work fails with KindUnavailable when the
// database does not answer, and with KindInternal when workers or queues are
// not good.
//
// A job that fails or panics runs again after a second, later up to a minute;
// what it does must bear a repetition. What River has to say from warnings on
// goes to log.
func (s *Store) Work(ctx context.Context, workers *river.Workers, queues map[string]int, log *slog.Logger) (stop func(context.Context) error, err error) {
	config := &river.Config{
		Schema: db.QueueSchema, Workers: workers, Queues: make(map[string]river.QueueConfig, len(queues)),
		JobTimeout: jobTimeout, RescueStuckJobsAfter: rescueAfter,
		CompletedJobRetentionPeriod: jobsKept, CancelledJobRetentionPeriod: jobsKept,
		// Rebuilding indexes is the business of whoever runs the database.
		ReindexerIndexNames: []string{},
		RetryPolicy:         retrySoon{},
		PollOnly:            s.pool.Config().MaxConns < listeningPool,
		Logger:              slog.New(loud{log.Handler()}),
	}
	for name, atOnce := range queues {
		config.Queues[name] = river.QueueConfig{MaxWorkers: atOnce}
	}
	client, err := river.NewClient(riverpgxv5.New(s.pool), config)
	if err != nil {
		return nil, internal(fmt.Errorf("set up the job queue: %w", err))
	}
	if err := s.Ping(ctx); err != nil {
		return nil, err
	}
	// Only stop ends it: a job may need to record what it did.
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return nil, translate(fmt.Errorf("start the job queue: %w", err))
	}
	return func(ctx context.Context) error { return stopWork(ctx, client) }, nil
}

func stopWork(ctx context.Context, client *river.Client[pgx.Tx]) error {
	err := client.Stop(ctx)
	if err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), hardStop)
	defer cancel()
	if hard := client.StopAndCancel(ctx); hard != nil {
		return fmt.Errorf("jobs go on although they were canceled: %w", errors.Join(err, hard))
	}
	return nil
}

// retrySoon is for jobs that fail because something of ours was away for a
// moment: when a callback or a provider is tried again is said by their rows.
type retrySoon struct{}

// NextRetry implements river.ClientRetryPolicy.
func (retrySoon) NextRetry(job *rivertype.JobRow) time.Time {
	wait := lastRetry
	if doublings := len(job.Errors); doublings < 6 { // 2⁶ s are over a minute
		wait = min(lastRetry, firstRetry<<doublings)
	}
	return time.Now().Add(wait/2 + rand.N(wait/2))
}

// loud leaves out what River says below a warning.
type loud struct{ slog.Handler }

// Enabled implements slog.Handler.
func (l loud) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && l.Handler.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (l loud) WithAttrs(attrs []slog.Attr) slog.Handler { return loud{l.Handler.WithAttrs(attrs)} }

// WithGroup implements slog.Handler.
func (l loud) WithGroup(name string) slog.Handler { return loud{l.Handler.WithGroup(name)} }
