package watch

import (
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/verification"
)

// Hub is the watchers of one node. It is safe for concurrent use.
type Hub struct {
	limit int
	rows  Rows
	log   *slog.Logger
	// hinted has a token while there is something on the list.
	hinted chan struct{}

	mu sync.Mutex
	// watchers has the first of each verification; they are chained.
	watchers map[uuid.UUID]*Watcher
	// holders counts the watchers of each caller that is limited.
	holders map[string]int
	count   int
	// list are the verifications to read again.
	list map[uuid.UUID]struct{}
}

var _ verification.Waker = (*Hub)(nil)

// NewHub returns a Hub that takes up to limit watchers at a time. While Run
// runs it reads from rows what it got hints of.
func NewHub(limit int, rows Rows, log *slog.Logger) *Hub {
	return &Hub{
		limit: limit, rows: rows, log: log, hinted: make(chan struct{}, 1),
		watchers: make(map[uuid.UUID]*Watcher), holders: make(map[string]int), list: make(map[uuid.UUID]struct{}),
	}
}

// perVerification is how many watchers one verification may have on a node:
// several devices and tabs, but not one client token that takes every place.
const perVerification = 64

// errTooMany asks to come back later, perhaps to another node.
var errTooMany = verification.NewError(verification.KindLimited, "TOO_MANY_WATCHERS",
	"this node, this verification or this credential has as many watchers as it may; retry").After(limitRetry)

// limitRetry spares a full node; a client comes back with jitter anyway.
const limitRetry = 5 * time.Second

// Holder is who a watcher belongs to, and how many it may have on a node. The
// zero Holder is not limited.
type Holder struct {
	Name string
	Most int
}

// Watch registers a watcher. KindLimited when the node, the verification or the
// holder has as many as it may.
func (h *Hub) Watch(id uuid.UUID, by Holder) (*Watcher, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	others := 0
	for w := h.watchers[id]; w != nil; w = w.next {
		others++
	}
	if h.count >= h.limit || others >= perVerification || (by.Most > 0 && h.holders[by.Name] >= by.Most) {
		return nil, errTooMany
	}
	w := &Watcher{hub: h, id: id, next: h.watchers[id]}
	if by.Most > 0 {
		w.holder = by.Name
		h.holders[by.Name]++
	}
	h.watchers[id] = w
	h.count++
	return w, nil
}

// Wake implements verification.Waker: the watchers of a verification are told
// its state, unless they know it.
func (h *Hub) Wake(v *verification.Verification) {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := h.watchers[v.ID]
	if first == nil {
		return
	}
	news := &News{Verification: v}
	for w := first; w != nil; w = w.next {
		w.tell(news)
	}
}

// Count returns the number of open watchers.
func (h *Hub) Count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.count
}

// remove is called under the lock.
func (h *Hub) remove(w *Watcher) {
	first := h.watchers[w.id]
	for link := &first; *link != nil; link = &(*link).next {
		if *link == w {
			*link = w.next
			break
		}
	}
	if first == nil {
		delete(h.watchers, w.id)
	} else {
		h.watchers[w.id] = first
	}
	if w.holder != "" {
		h.holders[w.holder]--
		if h.holders[w.holder] == 0 {
			delete(h.holders, w.holder)
		}
	}
	h.count--
}
