package watch

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Head knows how long the order of events is.
type Head interface {
	// EventHead returns the last place that was given; it only grows.
	EventHead(ctx context.Context) (int64, error)
}

// Feed wakes the event streams of one node when there may be new events: one
// question to the database for all of them, and none while nobody listens.
// Subscribe first, then read, then follow. It is safe for concurrent use.
type Feed struct {
	head     Head
	interval time.Duration
	log      *slog.Logger
	poked    chan struct{}

	mu          sync.Mutex
	subscribers map[*Subscription]struct{}
}

// NewFeed returns a Feed that asks head every interval while Run runs.
func NewFeed(head Head, interval time.Duration, log *slog.Logger) *Feed {
	return &Feed{
		head: head, interval: interval, log: log,
		poked: make(chan struct{}, 1), subscribers: make(map[*Subscription]struct{}),
	}
}

// Subscription is one open interest in new events.
type Subscription struct {
	// C receives when there may be something new. It holds one wake.
	C <-chan struct{}

	feed *Feed
	wake chan struct{}
}

// Subscribe registers an interest in new events of any scope, until Close.
func (f *Feed) Subscribe() *Subscription {
	wake := make(chan struct{}, 1)
	s := &Subscription{C: wake, feed: f, wake: wake}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subscribers[s] = struct{}{}
	return s
}

// Close ends the interest. It may be called more than once.
func (s *Subscription) Close() {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	delete(s.feed.subscribers, s)
}

// Count returns the number of open subscriptions.
func (f *Feed) Count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.subscribers)
}

// Poke makes Run ask at once: this node knows of something new. It never blocks.
func (f *Feed) Poke() {
	select {
	case f.poked <- struct{}{}:
	default: // it is going to ask already
	}
}

// What a head is before the first answer, and after one that failed: the next
// answer differs from both.
const (
	unknown = -1
	lost    = -2
)

// Run asks until ctx ends. It returns only then.
func (f *Feed) Run(ctx context.Context) {
	tick := time.NewTicker(f.interval)
	defer tick.Stop()
	seen := int64(unknown)
	for {
		if f.Count() > 0 {
			seen = f.poll(ctx, seen)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-f.poked:
		}
	}
}

// poll wakes everybody if the head is not the one that was seen, and returns it.
func (f *Feed) poll(ctx context.Context, seen int64) int64 {
	now, err := f.head.EventHead(ctx)
	switch {
	case err != nil && ctx.Err() != nil:
		return seen
	case err != nil:
		if seen != lost {
			f.log.WarnContext(ctx, "cannot ask for new events; event streams on this node may lag", "error", err)
		}
		return lost
	case seen == lost:
		f.log.InfoContext(ctx, "new events can be asked for again")
	}
	if now != seen {
		f.wakeAll()
	}
	return now
}

func (f *Feed) wakeAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.subscribers {
		select {
		case s.wake <- struct{}{}:
		default: // a wake is waiting already
		}
	}
}
