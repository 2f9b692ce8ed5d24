package watch

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/verigate/verigate/server/verification"
)

// Head knows how long the order of events is, and whose they are.
type Head interface {
	// EventHead returns the last place that was given; it only grows.
	EventHead(ctx context.Context) (int64, error)
	// EventScopes returns whose events got the places after one and up to
	// another.
	EventScopes(ctx context.Context, after, upTo int64) ([]verification.Scope, error)
}

// maxPlaces is how many new places the feed asks about. Where there are more, it
// is cheaper to wake everybody.
const maxPlaces = 5_000

// Feed wakes the event streams of one node when there may be new events of
// theirs: a question or two to the database for all of them, and none while
// nobody listens.
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
	feed  *Feed
	scope verification.Scope

	// Under the feed's lock: who is told that there may be something new, and
	// whether there was before anybody was.
	waiter Waiter
	untold bool
}

// Subscribe registers an interest in new events of a scope, until Close.
func (f *Feed) Subscribe(scope verification.Scope) *Subscription {
	s := &Subscription{feed: f, scope: scope}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subscribers[s] = struct{}{}
	return s
}

// Notify has a waiter told of new events from now on, and at once of those that
// came before.
func (s *Subscription) Notify(waiter Waiter) {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	s.waiter = waiter
	if s.untold {
		s.untold = false
		waiter.News()
	}
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

// poll wakes whoever may have something new since the head that was seen, and
// returns the head.
func (f *Feed) poll(ctx context.Context, seen int64) int64 {
	now, concerned, err := f.look(ctx, seen)
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
	f.wakeUp(concerned)
	return now
}

// look returns the head and who is concerned by what is new before it.
func (f *Feed) look(ctx context.Context, seen int64) (now int64, concerned func(verification.Scope) bool, err error) {
	now, err = f.head.EventHead(ctx)
	switch {
	case err != nil:
		return seen, nobody, err
	case now == seen:
		return now, nobody, nil
	case seen < 0 || now < seen || now-seen > maxPlaces:
		return now, everybody, nil
	}
	scopes, err := f.head.EventScopes(ctx, seen, now)
	return now, func(s verification.Scope) bool { return slices.Contains(scopes, s) }, err
}

func nobody(verification.Scope) bool { return false }

func everybody(verification.Scope) bool { return true }

func (f *Feed) wakeUp(concerned func(verification.Scope) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.subscribers {
		switch {
		case !concerned(s.scope):
		case s.waiter == nil:
			s.untold = true
		default:
			s.waiter.News()
		}
	}
}
