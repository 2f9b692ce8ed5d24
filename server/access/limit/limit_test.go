package limit_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/verigate/verigate/server/access/limit"
)

// clock is a time that tests move.
type clock struct{ at time.Time }

func newClock() *clock { return &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) now() time.Time                { return c.at }
func (c *clock) pass(by time.Duration)         { c.at = c.at.Add(by) }
func tenPerMinute() limit.Rate                 { return limit.Rate{Count: 10, Per: time.Minute} }
func rate(n int, per time.Duration) limit.Rate { return limit.Rate{Count: n, Per: per} }

// admitted counts how many of some events in a row are allowed.
func admitted(l *limit.Limiter, key string, r limit.Rate, events int) (count int) {
	for range events {
		if ok, _ := l.Allow(key, r); ok {
			count++
		}
	}
	return count
}

func TestABurstPassesAndTheNextIsToldWhenToComeBack(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := limit.New(c.now)
	for i := range 10 {
		if ok, retry := l.Allow("k", tenPerMinute()); !ok || retry != 0 {
			t.Fatalf("event %d: %v, %v", i, ok, retry)
		}
	}
	ok, retry := l.Allow("k", tenPerMinute())
	if ok || retry < 6*time.Second || retry > 6*time.Second+time.Microsecond {
		t.Fatalf("the eleventh: %v, %v", ok, retry)
	}
	c.pass(4 * time.Second)
	if ok, retry = l.Allow("k", tenPerMinute()); ok || retry < 2*time.Second || retry > 2*time.Second+time.Microsecond {
		t.Fatalf("four seconds later: %v, %v", ok, retry)
	}
	c.pass(retry)
	if got := admitted(l, "k", tenPerMinute(), 5); got != 1 {
		t.Errorf("%d were let in when one was due", got)
	}
}

func TestTheZeroRateAllowsEverythingAndAMistakenOneNothing(t *testing.T) {
	t.Parallel()
	l := limit.New(newClock().now)
	if got := admitted(l, "k", limit.Rate{}, 1000); got != 1000 || l.Len() != 0 {
		t.Errorf("%d of 1000, %d buckets", got, l.Len())
	}
	for _, r := range []limit.Rate{rate(0, time.Minute), rate(10, 0), rate(-1, time.Minute), rate(10, -time.Minute)} {
		if ok, retry := l.Allow("k", r); ok || retry <= 0 {
			t.Errorf("%v: %v, %v", r, ok, retry)
		}
	}
}

func TestAChangedRateGivesNobodyAFreshBurst(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		before limit.Rate
		used   int
		after  limit.Rate
		want   int
	}{
		{"an empty bucket stays empty", rate(10, time.Minute), 10, rate(1000, time.Minute), 0},
		{"what is left is kept", rate(10, time.Minute), 7, rate(1000, time.Minute), 3},
		{"what no longer fits is lost", rate(1000, time.Minute), 1, rate(10, time.Minute), 10},
		{"another period alone changes nothing", rate(10, time.Minute), 4, rate(10, time.Hour), 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := limit.New(newClock().now)
			if got := admitted(l, "k", c.before, c.used); got != c.used {
				t.Fatalf("%d of %d before", got, c.used)
			}
			if got := admitted(l, "k", c.after, 2000); got != c.want {
				t.Errorf("%d were let in after", got)
			}
		})
	}
	t.Run("a bucket fills at the new rate from then on", func(t *testing.T) {
		t.Parallel()
		c := newClock()
		l := limit.New(c.now)
		admitted(l, "k", rate(60, time.Minute), 60)
		c.pass(5 * time.Second) // five more at the old rate
		if got := admitted(l, "k", rate(120, time.Minute), 100); got != 5 {
			t.Errorf("%d at the old rate", got)
		}
		c.pass(5 * time.Second)
		if got := admitted(l, "k", rate(120, time.Minute), 100); got != 10 {
			t.Errorf("%d at the new rate", got)
		}
	})
}

func TestFullBucketsMakeRoom(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := limit.NewSized(c.now, 1000)
	for i := range 10_000 {
		if got := admitted(l, fmt.Sprint("key ", i), tenPerMinute(), 11); got != 10 {
			t.Fatalf("key %d got %d", i, got)
		}
		// In the minute that a bucket takes to fill, 600 others are used.
		c.pass(time.Minute / 600)
		if l.Len() > 1000 {
			t.Fatalf("there are %d buckets", l.Len())
		}
	}
	if l.Len() > 900 {
		t.Errorf("%d buckets are left of 600 in use", l.Len())
	}
}

func TestNewKeysShareWhatIsLeftWhenThereIsNoRoom(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := limit.NewSized(c.now, 100)
	for i := range 100 {
		admitted(l, fmt.Sprint("old ", i), tenPerMinute(), 5)
	}
	let := 0
	for i := range 1000 {
		let += admitted(l, fmt.Sprint("new ", i), tenPerMinute(), 3)
	}
	if let != 10 {
		t.Errorf("%d of the new keys' events were let in", let)
	}
	if got := admitted(l, "other", rate(7, time.Hour), 20); got != 7 {
		t.Errorf("%d were let in at a rate that nobody had used up", got)
	}
	for i := range 100 {
		if got := admitted(l, fmt.Sprint("old ", i), tenPerMinute(), 10); got != 5 {
			t.Errorf("old key %d had %d left", i, got)
		}
	}
	if l.Len() != 102 {
		t.Errorf("there are %d buckets", l.Len())
	}
	c.pass(time.Minute)
	if got := admitted(l, "new 0", tenPerMinute(), 20); got != 10 {
		t.Errorf("%d were let in when there was room again", got)
	}
}

func TestNoWindowHoldsMoreThanItsShare(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		r := rate(rapid.IntRange(1, 50).Draw(rt, "count"), time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(rt, "per")))
		pauses := rapid.SliceOfN(rapid.Int64Range(0, 2*int64(r.Per)/int64(r.Count)), 1, 200).Draw(rt, "pauses")
		c := newClock()
		l := limit.New(c.now)
		var let []time.Time
		for i, pause := range pauses {
			c.pass(time.Duration(pause))
			if i%3 == 0 {
				// Events of others are no concern of this key.
				l.Allow("other", r)
			}
			ok, retry := l.Allow("k", r)
			if ok {
				let = append(let, c.at)
			} else if retry <= 0 || retry > r.Per/time.Duration(r.Count)+2 {
				rt.Fatalf("the retry hint is %v", retry)
			}
		}
		for i := range let {
			for j := i; j < len(let); j++ {
				share := float64(r.Count) * (1 + float64(let[j].Sub(let[i]))/float64(r.Per))
				// A share that is a whole number may come out a hair below it, and a
				// nanosecond is the smallest wait there is.
				share += float64(r.Count)/float64(r.Per)*2 + 1e-6
				if float64(j-i+1) > share {
					rt.Fatalf("%d were let in within %v at %v", j-i+1, let[j].Sub(let[i]), r)
				}
			}
		}
	})
}

func TestWhoeverObeysTheHintIsLetIn(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		r := rate(rapid.IntRange(1, 1000).Draw(rt, "count"), time.Duration(rapid.Int64Range(int64(time.Millisecond), int64(24*time.Hour)).Draw(rt, "per")))
		c := newClock()
		l := limit.New(c.now)
		admitted(l, "k", r, r.Count)
		for range 20 {
			c.pass(time.Duration(rapid.Int64Range(0, int64(r.Per)/int64(r.Count)).Draw(rt, "pause")))
			if ok, retry := l.Allow("k", r); !ok {
				c.pass(retry)
				if ok, again := l.Allow("k", r); !ok {
					rt.Fatalf("after %v the hint is %v", retry, again)
				}
			}
		}
	})
}

func TestKeysDoNotAffectEachOther(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		const keys = 8
		r := rate(rapid.IntRange(1, 5).Draw(rt, "count"), time.Minute)
		together, c := [keys]int{}, newClock()
		shared := limit.New(c.now)
		var alone [keys]*limit.Limiter
		for i := range alone {
			alone[i] = limit.New(c.now)
		}
		for range 200 {
			c.pass(time.Duration(rapid.Int64Range(0, int64(10*time.Second)).Draw(rt, "pause")))
			i := rapid.IntRange(0, keys-1).Draw(rt, "key")
			key := fmt.Sprint("key ", i)
			a, _ := shared.Allow(key, r)
			b, _ := alone[i].Allow(key, r)
			if a != b {
				rt.Fatalf("key %d: %v among others, %v alone, after %d", i, a, b, together[i])
			}
			together[i]++
		}
	})
}

func TestCallersAtOnceShareExactlyOneBurst(t *testing.T) {
	t.Parallel()
	l := limit.New(newClock().now)
	const callers, events, burst = 16, 500, 1000
	var let atomic.Int64
	var calling sync.WaitGroup
	start := make(chan struct{})
	for caller := range callers {
		calling.Go(func() {
			<-start
			for i := range events {
				if ok, _ := l.Allow("shared", rate(burst, time.Hour)); ok {
					let.Add(1)
				}
				// New keys all the while, so that buckets come under everybody's feet.
				if ok, _ := l.Allow(fmt.Sprint(caller, " alone ", i), rate(1, time.Hour)); !ok {
					t.Errorf("caller %d was refused its own key %d", caller, i)
				}
			}
		})
	}
	close(start)
	calling.Wait()
	if got := let.Load(); got != burst || l.Len() != callers*events+1 {
		t.Errorf("%d of %d were let in, %d buckets", got, burst, l.Len())
	}
}
