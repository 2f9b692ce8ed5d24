package park

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// turned turns a wheel and returns what was due, by its name in ends.
func turned(w *wheel, now time.Duration) (due []time.Duration) {
	w.turn(now, func(s *Stream) { due = append(due, s.ends) })
	slices.Sort(due)
	return due
}

func onWheel(w *wheel, due, now time.Duration) *Stream {
	s := &Stream{ends: due}
	w.put(s, due, now)
	return s
}

func TestAStreamIsDueAtTheFirstTickThatIsNotBeforeItsTime(t *testing.T) {
	t.Parallel()
	w := &wheel{tick: 10}
	onWheel(w, 25, 0)
	onWheel(w, 30, 0)
	onWheel(w, 31, 0)
	onWheel(w, 0, 0)
	for _, c := range []struct {
		now  time.Duration
		want []time.Duration
	}{{9, nil}, {10, []time.Duration{0}}, {29, nil}, {35, []time.Duration{25, 30}}, {39, nil}, {40, []time.Duration{31}}} {
		if due := turned(w, c.now); !slices.Equal(due, c.want) {
			t.Errorf("at %d: %v is due, want %v", c.now, due, c.want)
		}
	}
	if w.size != 0 {
		t.Errorf("%d are left", w.size)
	}
}

func TestWhatIsDueAfterManyTurnsStaysUntilThen(t *testing.T) {
	t.Parallel()
	const far = 5*spokes + 7
	w := &wheel{tick: 1}
	onWheel(w, far, 0)
	for now := range time.Duration(far) {
		if due := turned(w, now); due != nil {
			t.Fatalf("at %d: %v is due, want it at %d", now, due, far)
		}
	}
	if due := turned(w, far); len(due) != 1 {
		t.Error("it is not due when its time has come")
	}
}

func TestAfterALongSleepNothingIsForgotten(t *testing.T) {
	t.Parallel()
	w := &wheel{tick: 1}
	for due := range time.Duration(3 * spokes) {
		onWheel(w, due, 0)
	}
	if due := turned(w, 10*spokes); len(due) != 3*spokes {
		t.Errorf("%d are due, want all %d", len(due), 3*spokes)
	}
}

func TestAWheelThatWasEmptyForLongTakesNoTickForPassed(t *testing.T) {
	t.Parallel()
	w := &wheel{tick: 1}
	onWheel(w, 5*spokes+3, 5*spokes)
	if due := turned(w, 5*spokes+3); len(due) != 1 {
		t.Error("it is not due")
	}
}

func TestWhatIsPutAndTakenAtRandomIsDueOnce(t *testing.T) {
	t.Parallel()
	w := &wheel{tick: 3}
	waiting := map[*Stream]time.Duration{}
	now := time.Duration(0)
	for range 20_000 {
		s := &Stream{}
		if len(waiting) > 0 && rand.N(3) == 0 {
			for s = range waiting {
				break
			}
		}
		if rand.N(4) == 0 {
			w.remove(s)
			delete(waiting, s)
		} else {
			due := now + rand.N(time.Duration(5000))
			w.put(s, due, now)
			waiting[s] = due
		}
		now += rand.N(time.Duration(4))
		w.turn(now, func(s *Stream) {
			due, ok := waiting[s]
			if !ok || due > now {
				t.Fatalf("at %d something is due at %d, waiting %t", now, due, ok)
			}
			delete(waiting, s)
		})
		if w.size != len(waiting) || len(w.all()) != w.size {
			t.Fatalf("the wheel says %d and has %d, want %d", w.size, len(w.all()), len(waiting))
		}
	}
	w.turn(now+5003, func(s *Stream) { delete(waiting, s) })
	if len(waiting) != 0 || w.size != 0 {
		t.Errorf("%d were forgotten, %d are left", len(waiting), w.size)
	}
}

func TestHeartbeatsAreUpToAFifthEarlyOrLate(t *testing.T) {
	t.Parallel()
	const mean = 15 * time.Second
	low, high := mean, mean
	for range 1000 {
		r := rhythm(rand.Uint64())
		begin := rand.N(time.Hour)
		now := r.next(begin, mean, true)
		if first := now - begin; first < mean*8/10 || first > mean*12/10 {
			t.Fatalf("the first beat comes after %v", first)
		}
		sum := time.Duration(0)
		const beats = 60
		for range beats {
			// It takes a moment before the beat was sent.
			next := r.next(now+rand.N(100*time.Millisecond), mean, false)
			low, high, sum = min(low, next-now), max(high, next-now), sum+next-now
			now = next
		}
		if each := sum / beats; each < mean*9/10 || each > mean*11/10 {
			t.Errorf("the mean is %v, want about %v", each, mean)
		}
	}
	if low != mean*8/10 || high != mean*12/10 {
		t.Errorf("beats are from %v to %v apart", low, high)
	}
}

func TestTheStreamsOfOneLineBeatTogetherAndLinesDoNot(t *testing.T) {
	t.Parallel()
	const mean = 15 * time.Second
	one, other := rhythmOf("192.0.2.7:4711"), rhythmOf("192.0.2.7:4712")
	times := map[rhythm]map[time.Duration]int{one: {}, other: {}}
	for range 100 {
		begin := rand.N(mean)
		for _, r := range []rhythm{one, other} {
			times[r][r.next(begin, mean, true)]++
		}
	}
	for r, beats := range times {
		// A hundred streams that began within one mean time.
		if len(beats) > parts+1 {
			t.Errorf("line %x beats %d times", r, len(beats))
		}
		for at := range beats {
			if times[one][at] > 0 && times[other][at] > 0 {
				t.Errorf("two lines beat at %v", at)
			}
		}
	}
}

func TestTheTickIsFineEnoughForAllThatItSpreads(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		timing Timing
		want   time.Duration
	}{
		{Timing{Heartbeat: 15 * time.Second, MaxAge: 10 * time.Minute, DrainSpread: 20 * time.Second}, 20 * time.Millisecond},
		{Timing{Heartbeat: 640 * time.Millisecond, MaxAge: time.Hour}, 10 * time.Millisecond},
		{Timing{Heartbeat: time.Hour, MaxAge: 128 * time.Millisecond}, 2 * time.Millisecond},
		{Timing{Heartbeat: time.Hour, MaxAge: time.Hour, DrainSpread: 320 * time.Millisecond}, 5 * time.Millisecond},
		{Timing{Heartbeat: time.Microsecond, MaxAge: time.Hour}, time.Millisecond},
	} {
		if tick := c.timing.tick(); tick != c.want {
			t.Errorf("%+v: the tick is %v, want %v", c.timing, tick, c.want)
		}
	}
}
