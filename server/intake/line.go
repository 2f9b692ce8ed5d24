package intake

import (
	"slices"
	"sync"
)

// line is where deliveries wait for a worker, in the order in which they came.
type line struct {
	mu      sync.Mutex
	changed *sync.Cond
	waiting []*entry
	// atWork is how many entries the turns under way have, and taking is whether
	// one of those does not hold yet what its entries are about: the next turn
	// would overtake it.
	atWork int
	taking bool
	// busy counts, by name, the entries that are not answered yet and do not wait
	// any more. Whoever names the same waits for them.
	busy map[name]int
	// turns numbers the turns, and running are those that are not over.
	turns   int
	running map[int]bool
	closed  bool
}

func newLine() *line {
	l := &line{busy: make(map[name]int), running: make(map[int]bool)}
	l.changed = sync.NewCond(&l.mu)
	return l
}

func (l *line) join(e *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, e)
	l.changed.Signal()
}

// close lets take return nil when nobody waits.
func (l *line) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.changed.Broadcast()
}

// turn is what one worker took from the line.
type turn struct {
	line    *line
	number  int
	entries []*entry
	holds   bool
}

// take returns all that waits and may go, up to MaxTogether; nil after the end of
// the line. While others are at work it waits until as many wait as those are, so
// that commits stay few when there is much to do.
func (l *line) take() *turn {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if len(l.waiting) == 0 && l.closed {
			return nil
		}
		if len(l.waiting) > 0 && !l.taking && len(l.waiting) >= l.atWork {
			if entries := l.pick(); len(entries) > 0 {
				l.turns++
				l.running[l.turns] = true
				l.atWork, l.taking = l.atWork+len(entries), true
				return &turn{line: l, number: l.turns, entries: entries}
			}
		}
		l.changed.Wait()
	}
}

// pick takes from the line who names nobody that is busy, or that has to wait
// before him.
func (l *line) pick() []*entry {
	var picked, stay []*entry
	held := make(map[name]bool)
	for i, e := range l.waiting {
		if len(picked) == MaxTogether {
			stay = append(stay, l.waiting[i:]...)
			break
		}
		if slices.ContainsFunc(e.names, func(n name) bool { return l.busy[n] > 0 || held[n] }) {
			for _, n := range e.names {
				held[n] = true
			}
			stay = append(stay, e)
			continue
		}
		picked = append(picked, e)
	}
	for _, e := range picked {
		for _, n := range e.names {
			l.busy[n]++
		}
	}
	l.waiting = stay
	return picked
}

// held lets the next turn begin: nobody can overtake this one any more.
func (t *turn) held() {
	t.line.mu.Lock()
	defer t.line.mu.Unlock()
	t.hold()
}

func (t *turn) hold() {
	if !t.holds {
		t.holds, t.line.taking = true, false
		t.line.changed.Broadcast()
	}
}

// done says that the turn is over, whether it came to hold anything or not.
func (t *turn) done() {
	t.line.mu.Lock()
	defer t.line.mu.Unlock()
	t.hold()
	t.line.atWork -= len(t.entries)
	delete(t.line.running, t.number)
	t.line.changed.Broadcast()
}

// awaitEarlier returns when every turn is over that was taken before this one:
// what those bind has to be seen by who is applied alone.
func (t *turn) awaitEarlier() {
	t.line.mu.Lock()
	defer t.line.mu.Unlock()
	for {
		earlier := false
		for number := range t.line.running {
			earlier = earlier || number < t.number
		}
		if !earlier {
			return
		}
		t.line.changed.Wait()
	}
}

// free lets those go that name what an answered entry named.
func (l *line) free(e *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range e.names {
		if l.busy[n]--; l.busy[n] <= 0 {
			delete(l.busy, n)
		}
	}
	l.changed.Broadcast()
}
