package watch

import (
	"context"
	"log/slog"
	"time"

	"github.com/verigate/verigate/server/verification"
)

// Tail follows the transition log and wakes the Hub. It is the truth behind the
// hints: what it misses while the database is away it reads when it is back.
type Tail struct {
	Log      verification.Log
	Hub      verification.Waker
	Interval time.Duration
	Logger   *slog.Logger
	// Polled, if set, is called after each successful read of the log.
	Polled func(changes int)
}

// Run follows until ctx ends. It returns only then.
func (t *Tail) Run(ctx context.Context) {
	tick := time.NewTicker(t.Interval)
	defer tick.Stop()
	var cursor verification.Cursor
	failing := false
	for {
		next, err := t.poll(ctx, cursor)
		switch {
		case err == nil:
			cursor = next
			if failing {
				t.Logger.InfoContext(ctx, "the transition log can be read again")
			}
			failing = false
		case ctx.Err() == nil && !failing:
			t.Logger.WarnContext(ctx, "cannot read the transition log; watchers on this node may lag", "error", err)
			failing = true
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (t *Tail) poll(ctx context.Context, cursor verification.Cursor) (verification.Cursor, error) {
	if cursor == "" {
		return t.Log.TailStart(ctx)
	}
	changes, next, err := t.Log.Tail(ctx, cursor)
	if err != nil {
		return cursor, err
	}
	for _, c := range changes {
		t.Hub.Wake(c.ID, c.Version)
	}
	if t.Polled != nil {
		t.Polled(len(changes))
	}
	return next, nil
}
