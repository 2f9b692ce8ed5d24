package web

import (
	"slices"
	"sync"
	"time"
)

const (
	// maxRuns is of how many starts callbacks are kept; then the oldest goes.
	maxRuns = 128
	// maxMessages is how many callbacks of one start are kept; then the oldest
	// goes. A verification has about five.
	maxMessages = 32
)

// message is one callback as it arrived, its signature checked.
type message struct {
	// ID is the webhook-id: the event's id, the same in every attempt.
	ID string `json:"id"`
	// ReceivedAt is when it arrived here.
	ReceivedAt time.Time `json:"received_at"`
	// Body is the text of the body, byte for byte.
	Body string `json:"body"`
}

// inbox keeps callbacks by run, in memory and bounded. A run is known as soon as
// something came for it, so a gateway that was restarted in the middle goes on.
type inbox struct {
	mu    sync.Mutex
	boxes map[string]*box
	// order is that in which the runs became known.
	order []string
	// changed is closed by the next message, and replaced.
	changed chan struct{}
}

// box is what came for one run.
type box struct {
	messages []message
	// dropped counts the messages that had to go; it numbers the others.
	dropped int
}

func newInbox() *inbox {
	return &inbox{boxes: map[string]*box{}, changed: make(chan struct{})}
}

// keep adds a message unless it came before.
func (i *inbox) keep(run string, m message) {
	i.mu.Lock()
	defer i.mu.Unlock()
	b := i.open(run)
	if slices.ContainsFunc(b.messages, func(old message) bool { return old.ID == m.ID }) {
		return
	}
	if len(b.messages) == maxMessages {
		b.messages = b.messages[1:]
		b.dropped++
	}
	b.messages = append(b.messages, m)
	close(i.changed)
	i.changed = make(chan struct{})
}

// open returns the box of a run, made if need be; the caller holds mu.
func (i *inbox) open(run string) *box {
	if b, ok := i.boxes[run]; ok {
		return b
	}
	if len(i.order) == maxRuns {
		delete(i.boxes, i.order[0])
		i.order = i.order[1:]
	}
	b := &box{}
	i.boxes[run] = b
	i.order = append(i.order, run)
	return b
}

// since returns the messages of a run from number from on, the number to ask
// from the next time, and what is closed when there may be more.
func (i *inbox) since(run string, from int) (messages []message, next int, changed <-chan struct{}) {
	i.mu.Lock()
	defer i.mu.Unlock()
	b, ok := i.boxes[run]
	if !ok {
		return nil, 0, i.changed
	}
	seen := min(max(from-b.dropped, 0), len(b.messages))
	return slices.Clone(b.messages[seen:]), b.dropped + len(b.messages), i.changed
}
