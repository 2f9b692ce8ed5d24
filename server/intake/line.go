package intake

import "sync"

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
	closed bool
}

func newLine() *line {
	l := &line{}
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
	entries []*entry
	holds   bool
}

// take returns all that waits, up to MaxTogether; nil after the end of the line.
// While others are at work it waits until as many wait as those are, so that
// commits stay few when there is much to do.
func (l *line) take() *turn {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.waiting) == 0 || l.taking || len(l.waiting) < l.atWork {
		if l.closed && len(l.waiting) == 0 {
			return nil
		}
		l.changed.Wait()
	}
	t := &turn{line: l, entries: l.waiting}
	l.waiting = nil
	if len(t.entries) > MaxTogether {
		t.entries, l.waiting = t.entries[:MaxTogether:MaxTogether], t.entries[MaxTogether:]
	}
	l.atWork, l.taking = l.atWork+len(t.entries), true
	return t
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
	t.line.changed.Broadcast()
}
