package bus

import (
	"context"
	"time"

	"github.com/google/uuid"
)

const (
	// window is the least time between the beginnings of two batches. The first
	// hint after a quiet moment goes at once; those that come within the window
	// share the next batch, so a node sends at most 500 of them a second however
	// much happens.
	window = 2 * time.Millisecond
	// batchSize is how many hints one batch takes from the queue: some fourteen
	// messages.
	batchSize = 2048
	// sendPatience bounds the sending of a batch. By then the tail has told
	// everybody.
	sendPatience = time.Second
	// beatInterval is how often a node says that it is there, and silence is how
	// long it hears of no other before it takes itself for the only one. It then
	// keeps its hints: to send them costs as much as to take in some webhooks. A
	// node that comes says so at once.
	beatInterval = time.Second
	silence      = 5 * beatInterval
)

// send takes hints from the queue and sends them in batches, until ctx ends.
func (b *Bus) send(ctx context.Context) {
	newest := make(map[uuid.UUID]int64)
	for failing := false; b.collect(ctx, newest); {
		began := time.Now()
		hints := make([]Hint, 0, len(newest))
		for id, version := range newest {
			hints = append(hints, Hint{ID: id, Version: version})
		}
		clear(newest)
		if !b.alone(began) {
			failing = b.deliverBatch(ctx, hints, failing)
		}
		if !wait(ctx, window-time.Since(began)) {
			return
		}
	}
}

// beat says from time to time that this node is there, until ctx ends.
func (b *Bus) beat(ctx context.Context) {
	for wait(ctx, beatInterval) {
		sending, cancel := context.WithTimeout(ctx, sendPatience)
		// A line that is down is told by who needs it.
		_ = b.carrier.send(sending, []string{hello(b.node)})
		cancel()
	}
}

// alone is whether the line works, as its own words show, and nobody else has been
// on it for a while. On a line that went silent others may well be.
func (b *Bus) alone(now time.Time) bool {
	last, echo := b.lastWord.Load(), b.lastEcho.Load()
	return last != nil && echo != nil && now.Sub(*last) > silence && now.Sub(*echo) < 2*beatInterval
}

// collect waits for a hint and takes what waits behind it: the newest version of
// each verification. It returns false when ctx ended.
func (b *Bus) collect(ctx context.Context, newest map[uuid.UUID]int64) bool {
	select {
	case <-ctx.Done():
		return false
	case h := <-b.queue:
		newest[h.ID] = h.Version
	}
	for range batchSize - 1 {
		select {
		case h := <-b.queue:
			newest[h.ID] = max(newest[h.ID], h.Version)
		default:
			return true
		}
	}
	return true
}

// deliverBatch sends hints and returns whether that failed. The first failure
// after a success is told.
func (b *Bus) deliverBatch(ctx context.Context, hints []Hint, failing bool) (failed bool) {
	sending, cancel := context.WithTimeout(ctx, sendPatience)
	defer cancel()
	err := b.carrier.send(sending, write(b.node, hints))
	if err == nil {
		b.meter.HintsSent(len(hints))
		return false
	}
	b.meter.HintsDropped(DroppedUnsent, len(hints))
	if !failing && ctx.Err() == nil {
		b.log.WarnContext(ctx, "hints to other nodes cannot be sent; their watchers lag by watch.poll_interval",
			"bus", b.carrier.name(), "error", err)
	}
	return true
}

// wait waits so long; it returns false when ctx ended before.
func wait(ctx context.Context, long time.Duration) bool {
	if long <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
