package watch_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/verigate/verigate/server/verification"
	"github.com/verigate/verigate/server/watch"
)

// head is an order of events that a test makes longer. Each question is told.
type head struct {
	mu    sync.Mutex
	at    int64
	err   error
	asked chan struct{}
	// whose are the scopes of all that is new.
	whose []verification.Scope
	// ranges are the places that were asked about.
	ranges [][2]int64
}

func newHead() *head { return &head{asked: make(chan struct{}, 1000)} }

func (h *head) EventScopes(_ context.Context, after, upTo int64) ([]verification.Scope, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ranges = append(h.ranges, [2]int64{after, upTo})
	return h.whose, h.err
}

func (h *head) EventHead(context.Context) (int64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked <- struct{}{}
	return h.at, h.err
}

func (h *head) set(at int64, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at, h.err = at, err
}

// runFeed runs a feed that asks when it is poked, or each interval; stop waits for
// it and returns what it logged.
func runFeed(t *testing.T, h *head, interval time.Duration) (feed *watch.Feed, stop func() string) {
	t.Helper()
	var log bytes.Buffer
	feed = watch.NewFeed(h, interval, slog.New(slog.NewTextHandler(&log, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		feed.Run(ctx)
		close(done)
	}()
	stop = sync.OnceValue(func() string {
		cancel()
		<-done
		return log.String()
	})
	t.Cleanup(func() { stop() })
	return feed, stop
}

func mine() verification.Scope {
	return verification.Scope{Project: "shop", Environment: verification.Test}
}

// subscriber is a subscription and what tells of news.
type subscriber struct {
	*watch.Subscription

	C bell
}

func subscribe(t *testing.T, feed *watch.Feed) subscriber {
	t.Helper()
	s := feed.Subscribe(mine())
	t.Cleanup(s.Close)
	return subscriber{s, ring(s)}
}

// within waits for a signal.
func within(t *testing.T, what string, signal <-chan struct{}) {
	t.Helper()
	select {
	case <-signal:
	case <-time.After(patience):
		t.Fatalf("waited %v in vain: %s", patience, what)
	}
}

func TestANewEventWakesEverySubscriberOfItsScope(t *testing.T) {
	t.Parallel()
	h := newHead()
	h.whose = []verification.Scope{mine()}
	feed, _ := runFeed(t, h, time.Millisecond)
	one, two := subscribe(t, feed), subscribe(t, feed)
	within(t, "the first answer wakes one", one.C)
	within(t, "the first answer wakes two", two.C)
	h.set(7, nil)
	within(t, "the event wakes one", one.C)
	within(t, "the event wakes two", two.C)
}

func TestAnOrderThatDidNotMoveWakesNobody(t *testing.T) {
	t.Parallel()
	h := newHead()
	h.set(7, nil)
	feed, _ := runFeed(t, h, time.Hour)
	s := subscribe(t, feed)
	feed.Poke()
	within(t, "the first answer wakes", s.C)
	empty(h.asked)
	// Each question proves that the answer before was dealt with.
	for range 4 {
		feed.Poke()
		within(t, "the feed asks again", h.asked)
	}
	select {
	case <-s.C:
		t.Error("the same head woke somebody")
	default:
	}
}

// empty takes what signals are there.
func empty(signals <-chan struct{}) {
	for {
		select {
		case <-signals:
		default:
			return
		}
	}
}

// What another tenant did wakes nobody, unless there is so much of it that nobody
// looks whose it is.
func TestOthersEventsWakeNobody(t *testing.T) {
	t.Parallel()
	const most = 5000
	h := newHead()
	h.whose = []verification.Scope{{Project: "rival", Environment: verification.Test}, {Project: "shop", Environment: verification.Live}}
	feed, _ := runFeed(t, h, time.Hour)
	s := subscribe(t, feed)
	feed.Poke()
	within(t, "the first answer wakes", s.C)
	h.set(most, nil)
	empty(h.asked)
	for range 4 {
		feed.Poke()
		within(t, "the feed asks again", h.asked)
	}
	select {
	case <-s.C:
		t.Error("others' events woke somebody")
	default:
	}
	h.mu.Lock()
	if want := [][2]int64{{0, most}}; !slices.Equal(h.ranges, want) {
		t.Errorf("it asked about the places %v, want %v", h.ranges, want)
	}
	h.mu.Unlock()
	h.set(2*most+1, nil)
	feed.Poke()
	within(t, "more than it asks about wakes everybody", s.C)
	h.set(1, nil)
	feed.Poke()
	within(t, "an order that was restored wakes everybody", s.C)
}

func TestAPokeMakesTheFeedAskAtOnce(t *testing.T) {
	t.Parallel()
	h := newHead()
	feed, _ := runFeed(t, h, time.Hour)
	s := subscribe(t, feed)
	h.set(1, nil)
	for range 100 {
		feed.Poke()
	}
	within(t, "the poke wakes", s.C)
}

func TestNobodyIsAskedWhileNobodyListens(t *testing.T) {
	t.Parallel()
	idle, busy := newHead(), newHead()
	feed, _ := runFeed(t, idle, time.Millisecond)
	s := feed.Subscribe(mine())
	within(t, "the first answer wakes", ring(s))
	s.Close()
	s.Close()
	if n := feed.Count(); n != 0 {
		t.Fatalf("%d subscriptions are left", n)
	}
	// A question may be under way when the last subscriber leaves.
	within(t, "it asked while somebody listened", idle.asked)
	other, _ := runFeed(t, busy, time.Millisecond)
	subscribe(t, other)
	within(t, "the other feed asks", busy.asked)
	empty(idle.asked)
	for range 20 {
		within(t, "the other feed asks", busy.asked)
	}
	if n := len(idle.asked); n > 1 {
		t.Errorf("without a subscriber the head was asked %d times", n)
	}
}

func TestAfterAFailureEverybodyLooksAgain(t *testing.T) {
	t.Parallel()
	h := newHead()
	h.set(3, nil)
	feed, stop := runFeed(t, h, time.Millisecond)
	s := subscribe(t, feed)
	within(t, "the first answer wakes", s.C)
	h.set(3, errors.New("gone"))
	empty(h.asked)
	for range 3 {
		within(t, "the feed goes on asking", h.asked)
	}
	h.set(3, nil)
	within(t, "the recovery wakes, although nothing moved", s.C)
	logged := stop()
	if strings.Count(logged, "level=WARN") != 1 || strings.Count(logged, "can be asked for again") != 1 {
		t.Errorf("one outage should be one warning and one recovery:\n%s", logged)
	}
}

func TestWhatIsNewBeforeAnybodyWaitsIsTold(t *testing.T) {
	t.Parallel()
	feed, _ := runFeed(t, newHead(), time.Hour)
	s, other := feed.Subscribe(mine()), subscribe(t, feed)
	t.Cleanup(s.Close)
	feed.Poke()
	within(t, "the other is told", other.C)
	within(t, "so is who asks later", ring(s))
}
