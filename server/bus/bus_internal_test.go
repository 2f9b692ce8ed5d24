package bus

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
)

// fakeCarrier keeps what is sent. It stands for Postgres and NATS where time,
// slowness or failure is the point, in a bubble of synctest.
type fakeCarrier struct {
	// takes is how long one batch takes.
	takes time.Duration
	// deaf lets nothing come back; down lets no line come about.
	deaf, down bool

	mu    sync.Mutex
	lines int
	// greetings counts messages without a hint.
	greetings int
	began     []time.Time
	batches   [][]Hint
	incoming  chan string
}

func newFakeCarrier() *fakeCarrier { return &fakeCarrier{incoming: make(chan string, 100)} }

func (c *fakeCarrier) mute(deaf bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deaf = deaf
}

func (*fakeCarrier) name() string   { return "fake" }
func (*fakeCarrier) remedy() string { return "repair the fake" }

func (c *fakeCarrier) send(_ context.Context, messages []string) error {
	if c.down {
		return errors.New("the fake is down")
	}
	var batch []Hint
	for _, message := range messages {
		_, rest, _ := sender(message)
		hints, _ := read(rest)
		batch = append(batch, hints...)
	}
	if len(batch) == 0 {
		c.mu.Lock()
		c.greetings++
		c.mu.Unlock()
	}
	c.mu.Lock()
	deaf := c.deaf
	c.mu.Unlock()
	if len(batch) == 0 && !deaf {
		c.incoming <- messages[0]
	}
	if len(batch) > 0 {
		c.mu.Lock()
		c.began, c.batches = append(c.began, time.Now()), append(c.batches, batch)
		c.mu.Unlock()
		<-time.After(c.takes)
	}
	return nil
}

func (c *fakeCarrier) listen(ctx context.Context, subscribed func() error, deliver func(string), _ func()) error {
	c.mu.Lock()
	c.lines++
	c.mu.Unlock()
	if err := subscribed(); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case message := <-c.incoming:
			if message == "cut" {
				return errors.New("cut")
			}
			deliver(message)
		}
	}
}

// tally is a Receiver, a Meter and a log.
type tally struct {
	mu sync.Mutex
	counts
}

type counts struct {
	sent, received, gaps, all int
	dropped                   map[string]int
	connected                 bool
	hints                     []Hint
	log                       string
}

func (c *tally) note(do func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	do()
}

// Write implements io.Writer for the log.
func (c *tally) Write(p []byte) (int, error) {
	c.note(func() { c.log += string(p) })
	return len(p), nil
}

// settled waits until every goroutine of the bubble does, and returns the counts.
func (c *tally) settled() counts {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	copied := c.counts
	copied.dropped = maps.Clone(c.dropped)
	return copied
}

func (c *tally) Hint(id uuid.UUID, v int64) {
	c.note(func() { c.hints = append(c.hints, Hint{id, v}) })
}
func (c *tally) HintAll()                           { c.note(func() { c.all++ }) }
func (c *tally) HintsSent(n int)                    { c.note(func() { c.sent += n }) }
func (c *tally) HintsReceived(n int)                { c.note(func() { c.received += n }) }
func (c *tally) HintsDropped(reason string, n int)  { c.note(func() { c.dropped[reason] += n }) }
func (c *tally) HintGap()                           { c.note(func() { c.gaps++ }) }
func (c *tally) BusConnected(_ string, isTrue bool) { c.note(func() { c.connected = isTrue }) }

// bubble runs a bus over a fake in virtual time. do may wait with synctest.Wait
// and time.After as it likes.
func bubble(t *testing.T, carrier *fakeCarrier, do func(b *Bus, count *tally)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		count := &tally{counts: counts{dropped: map[string]int{}}}
		carrier.incoming = make(chan string, 100)
		b := New(carrier, Options{Receiver: count, Meter: count, Log: slog.New(slog.NewTextHandler(count, nil))})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { b.Run(ctx) })
		synctest.Wait()
		do(b, count)
		cancel()
		running.Wait()
	})
}

func TestTheFirstHintGoesAtOnceAndTheNextOnesTogether(t *testing.T) {
	t.Parallel()
	carrier := newFakeCarrier()
	bubble(t, carrier, func(b *Bus, count *tally) {
		began, id := time.Now(), uuid.New()
		b.Publish(Hint{id, 1})
		synctest.Wait()
		for version := int64(2); version <= 5; version++ {
			b.Publish(Hint{id, version})
		}
		b.Publish(Hint{id, 3})
		b.Publish(Hint{uuid.New(), 1})
		<-time.After(time.Second)
		got := count.settled()
		if len(carrier.batches) != 2 || len(carrier.batches[0]) != 1 || len(carrier.batches[1]) != 2 {
			t.Fatalf("batches: %v", carrier.batches)
		}
		if !carrier.began[0].Equal(began) || carrier.began[1].Sub(began) != window {
			t.Errorf("sent after %v and %v", carrier.began[0].Sub(began), carrier.began[1].Sub(began))
		}
		for _, h := range carrier.batches[1] {
			if h.ID == id && h.Version != 5 {
				t.Errorf("version %d was sent, not the newest", h.Version)
			}
		}
		if got.sent != 3 {
			t.Errorf("%d hints sent, want 3", got.sent)
		}
	})
}

func TestPublishNeverBlocks(t *testing.T) {
	t.Parallel()
	carrier := newFakeCarrier()
	carrier.takes = silence / 3
	bubble(t, carrier, func(b *Bus, count *tally) {
		b.Publish(Hint{uuid.New(), 1})
		synctest.Wait() // the sender has it and is busy
		const over = 10
		for range queueSize + over {
			b.Publish(Hint{uuid.New(), 1})
		}
		if got := count.settled().dropped[DroppedFull]; got != over {
			t.Errorf("%d were dropped, want %d", got, over)
		}
		<-time.After(carrier.takes + carrier.takes/2)
		synctest.Wait()
		if got := len(carrier.batches[1]); got != batchSize {
			t.Errorf("the second batch has %d hints, want %d", got, batchSize)
		}
	})
}

func TestANodeThatHearsNoOtherKeepsItsHints(t *testing.T) {
	t.Parallel()
	carrier := newFakeCarrier()
	bubble(t, carrier, func(b *Bus, count *tally) {
		publish := func(want int) {
			t.Helper()
			b.Publish(Hint{uuid.New(), 1})
			<-time.After(2 * window)
			if got := count.settled().sent; got != want {
				t.Errorf("%d hints sent, want %d", got, want)
			}
		}
		publish(1)
		<-time.After(silence + beatInterval)
		publish(1)
		carrier.incoming <- hello(testNode)
		synctest.Wait()
		publish(2)
		<-time.After(silence + beatInterval)
		publish(2)
		// It does not hear itself any more: others may be there unheard.
		carrier.mute(true)
		<-time.After(2 * beatInterval)
		publish(3)
		carrier.mute(false)
		<-time.After(beatInterval)
		publish(3)
		// Nobody knows who is there while the line is down.
		carrier.incoming <- "cut"
		synctest.Wait()
		publish(4)
	})
}

func TestEveryNodeSaysThatItIsThere(t *testing.T) {
	t.Parallel()
	carrier := newFakeCarrier()
	bubble(t, carrier, func(*Bus, *tally) {
		<-time.After(10*beatInterval + beatInterval/2)
		carrier.mu.Lock()
		defer carrier.mu.Unlock()
		// One when the line began.
		if carrier.greetings != 11 {
			t.Errorf("%d greetings in ten intervals", carrier.greetings)
		}
	})
}

func TestVersionsBelowOneAndNoBusAtAll(t *testing.T) {
	t.Parallel()
	carrier := newFakeCarrier()
	bubble(t, carrier, func(b *Bus, _ *tally) {
		b.Publish(Hint{uuid.New(), 0})
		synctest.Wait()
		if len(carrier.batches) != 0 {
			t.Errorf("sent %v", carrier.batches)
		}
	})
	var none *Bus
	none.Publish(Hint{uuid.New(), 1})
	none.Run(t.Context())
}

func TestALineBeginsWithAGap(t *testing.T) {
	t.Parallel()
	carrier := newFakeCarrier()
	bubble(t, carrier, func(_ *Bus, count *tally) {
		if got := count.settled(); got.all != 1 || got.gaps != 1 || !got.connected {
			t.Fatalf("after the start: %+v", got)
		}
		carrier.incoming <- "cut"
		if count.settled().connected {
			t.Error("a cut line is connected")
		}
		<-time.After(firstRetry)
		got := count.settled()
		if got.all != 2 || got.gaps != 2 || !got.connected {
			t.Errorf("after the cut: %+v", got)
		}
		if text := got.log; strings.Count(text, "level=WARN") != 1 || strings.Count(text, "arrive again") != 1 {
			t.Errorf("the log: %s", text)
		}
	})
}

func TestALineThatKeepsBreakingIsTriedMoreAndMoreSeldom(t *testing.T) {
	t.Parallel()
	carrier := newFakeCarrier()
	carrier.down = true
	bubble(t, carrier, func(b *Bus, count *tally) {
		const while = 10 * time.Minute
		b.Publish(Hint{uuid.New(), 1})
		b.Publish(Hint{uuid.New(), 1})
		<-time.After(while)
		got := count.settled()
		// The mean wait is half of lastRetry. Twice or half as often is chance.
		if least, most := int(while/lastRetry), 4*int(while/lastRetry); carrier.lines < least || carrier.lines > most {
			t.Errorf("%d attempts in %v, want %d to %d", carrier.lines, while, least, most)
		}
		if strings.Count(got.log, "do not arrive") != 1 || strings.Count(got.log, "cannot be sent") != 1 {
			t.Errorf("the log: %s", got.log)
		}
		if got.dropped[DroppedUnsent] != 2 || got.gaps != 0 || got.connected {
			t.Errorf("counted: %+v", got)
		}
	})
}

func TestALineThatLoopsNothingBackIsDeaf(t *testing.T) {
	t.Parallel()
	carrier := newFakeCarrier()
	carrier.deaf = true
	bubble(t, carrier, func(_ *Bus, count *tally) {
		<-time.After(time.Minute)
		got := count.settled()
		if got.connected || got.gaps != 0 || carrier.lines < 2 {
			t.Errorf("%d lines, counted: %+v", carrier.lines, got)
		}
		if text := got.log; strings.Count(text, "repair the fake") != 1 {
			t.Errorf("the log: %s", text)
		}
	})
}

func TestOwnAndUnreadableMessages(t *testing.T) {
	t.Parallel()
	carrier := newFakeCarrier()
	bubble(t, carrier, func(b *Bus, count *tally) {
		h := Hint{uuid.New(), 3}
		for _, message := range []string{write(b.node, []Hint{h})[0], "rubbish", testNode + " rubbish", hello(testNode), write(testNode, []Hint{h})[0]} {
			carrier.incoming <- message
		}
		got := count.settled()
		if len(got.hints) != 1 || got.hints[0] != h || got.received != 1 || got.dropped[DroppedUnreadable] != 2 {
			t.Errorf("counted: %+v", got)
		}
	})
}
