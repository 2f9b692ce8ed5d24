package watch

import (
	"sync"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/verification"
)

// Watcher is one open interest in one verification.
type Watcher struct {
	hub    *Hub
	id     uuid.UUID
	holder string

	// The rest is under the hub's lock.
	next   *Watcher
	closed bool
	// version is the newest that it was told or has read itself.
	version int64
	// untold is the newest state that nobody took yet: one place, no queue.
	untold *News
	waiter Waiter
}

// Waiter is whoever waits for news.
type Waiter interface {
	// News says that there is something to take. It is called under a lock of the
	// hub: it must not block, and must not call the hub.
	News()
}

// Notify has a waiter told of news from now on, and at once of what came before.
func (w *Watcher) Notify(waiter Waiter) {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	w.waiter = waiter
	if w.untold != nil {
		waiter.News()
	}
}

// Take returns the newest state since the last one that was taken; nil if there
// is none.
func (w *Watcher) Take() *News {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	news := w.untold
	w.untold = nil
	return news
}

// Saw says that the row was read at a version, so that a hint of it is no news.
func (w *Watcher) Saw(version int64) {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	w.version = max(w.version, version)
}

// Close ends the interest. It may be called more than once.
func (w *Watcher) Close() {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	if w.closed {
		return
	}
	w.closed, w.untold, w.waiter = true, nil, nil
	w.hub.remove(w)
}

// tell is called under the hub's lock, so versions cannot go back. An erasure
// may leave the version as it is, and is news to whoever may not see it any more.
func (w *Watcher) tell(news *News) {
	v := news.Verification
	if v.Version < w.version || (v.Version == w.version && v.EraseTime.IsZero()) {
		return
	}
	w.version, w.untold = v.Version, news
	if w.waiter != nil {
		w.waiter.News()
	}
}

// News is one state of a verification, shared by all its watchers. Nobody
// changes it.
type News struct {
	Verification *verification.Verification

	mu     sync.Mutex
	shared map[any][]byte
}

// Shared returns what is made of the news for a kind of reader. The first who
// asks makes it, and all get the same bytes; nobody changes them.
func (n *News) Shared(kind any, build func() ([]byte, error)) ([]byte, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if made, ok := n.shared[kind]; ok {
		return made, nil
	}
	made, err := build()
	if err != nil {
		return nil, err
	}
	if n.shared == nil {
		n.shared = make(map[any][]byte)
	}
	n.shared[kind] = made
	return made, nil
}
