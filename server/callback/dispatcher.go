package callback

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

const (
	defaultInterval = 500 * time.Millisecond
	// After a look it lets events gather, however often it is poked: restEach for
	// each that it found, up to maxRest. A look costs about the same for one event
	// as for hundreds, and takes from what deliveries are applied with.
	restEach, maxRest = 5 * time.Millisecond, 50 * time.Millisecond
	// queueBatch is for how many events callbacks are queued in one transaction.
	queueBatch = 500
	// reviveInterval is how often callbacks without a job are looked for, and
	// reviveAfter how long after their time they are taken for such.
	reviveInterval, reviveAfter = time.Minute, 5 * time.Minute
)

// Log is the log of events that a Dispatcher works on, whichever node wrote
// them. Any number of nodes may do so.
type Log interface {
	// SequenceEvents gives new events their places in the order, and returns how
	// many it gave.
	SequenceEvents(ctx context.Context) (given int64, err error)
	// QueueCallbacks makes the callbacks about the next limit events at most and
	// returns how many events it looked at; fewer than limit when none are left.
	QueueCallbacks(ctx context.Context, now time.Time, limit int) (looked int, err error)
	// ReviveCallbacks gives a job to some callbacks that were due before the given
	// time and have none, of those that are tried since later than after. It
	// returns where to go on, or zero when no more are left.
	ReviveCallbacks(ctx context.Context, before, after time.Time) (last time.Time, err error)
}

// Dispatcher brings events into their order and queues callbacks about them.
type Dispatcher struct {
	// Events is the log; it must be set.
	Events Log
	// Log must be set.
	Log *slog.Logger
	// Interval is how often it looks without being poked; zero means half a
	// second.
	Interval time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Sequenced is called when there are new events in the order; nil for
	// nobody. It must not block.
	Sequenced func()

	poked chan struct{}
	// revived is when callbacks without a job were looked for, reviveFrom where
	// the next look goes on.
	revived, reviveFrom time.Time
}

// NewDispatcher returns a dispatcher that looks twice a second.
func NewDispatcher(events Log, log *slog.Logger) *Dispatcher {
	return &Dispatcher{Events: events, Log: log, poked: make(chan struct{}, 1)}
}

// Poke makes it look at once. It never blocks.
func (d *Dispatcher) Poke() {
	select {
	case d.poked <- struct{}{}:
	default: // it is going to look anyway
	}
}

// Run dispatches until ctx ends. A failure is told once, until it works again.
func (d *Dispatcher) Run(ctx context.Context) {
	interval := d.Interval
	if interval <= 0 {
		interval = defaultInterval
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-d.poked:
		}
		given, err := d.once(ctx)
		if err != nil && ctx.Err() == nil && !failing {
			d.Log.WarnContext(ctx, "dispatching events and callbacks failed; it goes on trying", "error", err, "cause", errors.Unwrap(err))
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(time.Duration(given)*restEach, maxRest)):
		}
	}
}

// once looks once, and returns how many events there were.
func (d *Dispatcher) once(ctx context.Context) (given int64, err error) {
	given, err = d.Events.SequenceEvents(ctx)
	if err != nil {
		return 0, err
	}
	if given > 0 && d.Sequenced != nil {
		d.Sequenced()
	}
	for {
		looked, err := d.Events.QueueCallbacks(ctx, d.now(), queueBatch)
		if err != nil {
			return given, err
		}
		if looked < queueBatch {
			return given, d.revive(ctx)
		}
	}
}

// revive finds callbacks that lost their job, one part of them at a time. Nodes
// that do so at once get one job between them.
func (d *Dispatcher) revive(ctx context.Context) error {
	now := d.now()
	if now.Sub(d.revived) < reviveInterval {
		return nil
	}
	last, err := d.Events.ReviveCallbacks(ctx, now.Add(-reviveAfter), d.reviveFrom)
	if err != nil {
		return err
	}
	d.revived, d.reviveFrom = now, last
	return nil
}

func (d *Dispatcher) now() time.Time {
	if d.Now == nil {
		return time.Now()
	}
	return d.Now()
}
