// Package watch knows who is waiting for which verification, and wakes them.
//
// A wake says "look again"; it never carries the truth. The Hub is fed twice:
// at once by the process that committed, and by the Tail, which reads the
// transition log once or twice a second and so sees what other nodes did. The
// price follows the number of changes, not of watchers.
//
//	commit on this node ─► Hub.Wake ─┐
//	commit on another ─► log ─► Tail ┴─► Watcher.C ─► its stream reads the row
//
// Register first, then read the row, then follow: that order misses nothing.
// The Feed does the same for event streams: they follow the order of all
// events, whose length it asks for.
//
//	event_head ─► Feed ─► Subscription.C ─► its stream reads on from its cursor
//
// It imports verification only, never store, rpc or webhook.
package watch

import (
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/verification"
)

// Hub is the watchers of one node. It is safe for concurrent use.
type Hub struct {
	limit int

	mu       sync.Mutex
	watchers map[uuid.UUID]map[*Watcher]struct{}
	// holders counts the watchers of each caller that is limited.
	holders map[string]int
	count   int
}

var _ verification.Waker = (*Hub)(nil)

// NewHub returns a Hub that takes up to limit watchers at a time.
func NewHub(limit int) *Hub {
	return &Hub{limit: limit, watchers: make(map[uuid.UUID]map[*Watcher]struct{}), holders: make(map[string]int)}
}

// Watcher is one open interest in one verification.
type Watcher struct {
	// C receives when there is something newer. It holds one wake: a slow watcher
	// skips to the newest and blocks nobody.
	C <-chan struct{}

	hub    *Hub
	id     uuid.UUID
	holder string
	wake   chan struct{}
	latest int64 // under the hub's lock
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
	if h.count >= h.limit || len(h.watchers[id]) >= perVerification ||
		(by.Most > 0 && h.holders[by.Name] >= by.Most) {
		return nil, errTooMany
	}
	wake := make(chan struct{}, 1)
	w := &Watcher{C: wake, hub: h, id: id, wake: wake}
	if by.Most > 0 {
		w.holder = by.Name
		h.holders[by.Name]++
	}
	if h.watchers[id] == nil {
		h.watchers[id] = make(map[*Watcher]struct{}, 1)
	}
	h.watchers[id][w] = struct{}{}
	h.count++
	return w, nil
}

// Close ends the interest. It may be called more than once.
func (w *Watcher) Close() {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	group := w.hub.watchers[w.id]
	if _, open := group[w]; !open {
		return
	}
	delete(group, w)
	if len(group) == 0 {
		delete(w.hub.watchers, w.id)
	}
	if w.holder != "" {
		w.hub.holders[w.holder]--
		if w.hub.holders[w.holder] == 0 {
			delete(w.hub.holders, w.holder)
		}
	}
	w.hub.count--
}

// Wake tells the watchers of a verification to look again.
func (h *Hub) Wake(id uuid.UUID, version int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watchers[id] {
		w.raise(version)
	}
}

// WakeAll tells every watcher to look again, whatever it has seen: after a gap
// nobody knows what changed.
func (h *Hub) WakeAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, group := range h.watchers {
		for w := range group {
			w.poke()
		}
	}
}

// raise is called under the hub's lock, so versions cannot go back.
func (w *Watcher) raise(version int64) {
	if version <= w.latest {
		return
	}
	w.latest = version
	w.poke()
}

func (w *Watcher) poke() {
	select {
	case w.wake <- struct{}{}:
	default: // a wake is waiting already
	}
}

// Count returns the number of open watchers.
func (h *Hub) Count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.count
}
