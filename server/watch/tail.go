package watch

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/verification"
)

// Hinted is whom a Tail gives hints: a Hub.
type Hinted interface {
	// Hint says that a version of a verification exists.
	Hint(id uuid.UUID, version int64)
	// HintAll says that hints were lost.
	HintAll()
}

// Tail follows the transition log and gives the Hub hints. It is the truth behind
// those of the bus, which may be lost. Where it starts, and after every gap, it
// does not read what it missed, which could be anything: it begins at the end of
// the log and has everything read that is watched, so that the price follows the
// watchers of this node.
type Tail struct {
	Log      verification.Log
	Hub      Hinted
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
		case ctx.Err() == nil:
			cursor = ""
			if !failing {
				t.Logger.WarnContext(ctx, "cannot read the transition log; watchers on this node may lag", "error", err)
			}
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
		start, err := t.Log.TailStart(ctx)
		if err == nil {
			t.Hub.HintAll()
		}
		return start, err
	}
	changes, next, err := t.Log.Tail(ctx, cursor)
	if err != nil {
		return cursor, err
	}
	for _, c := range changes {
		t.Hub.Hint(c.ID, c.Version)
	}
	if t.Polled != nil {
		t.Polled(len(changes))
	}
	return next, nil
}
