package watch

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/verification"
)

// Rows reads verifications.
type Rows interface {
	// Verifications returns those of the ids that exist, in any order and of any
	// scope: whoever shows one checks that it may be seen.
	Verifications(ctx context.Context, ids []uuid.UUID) ([]*verification.Verification, error)
}

const (
	// readMost is how many rows one query reads.
	readMost = 1000
	// readTimeout bounds one query.
	readTimeout = 5 * time.Second
	// readRetry is the pause after a query that failed.
	readRetry = 250 * time.Millisecond
)

// Hint says that a version of a verification exists. If somebody here watches it
// and has an older one, it is read again soon. It never blocks.
func (h *Hub) Hint(id uuid.UUID, version int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := h.watchers[id]; w != nil; w = w.next {
		if w.version < version {
			h.list[id] = struct{}{}
			h.ring()
			return
		}
	}
}

// HintAll says that hints were lost: everything that is watched here is read
// again. It never blocks on the database.
func (h *Hub) HintAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id := range h.watchers {
		h.list[id] = struct{}{}
	}
	if len(h.list) > 0 {
		h.ring()
	}
}

func (h *Hub) ring() {
	select {
	case h.hinted <- struct{}{}:
	default: // it rings already
	}
}

// Run reads what is hinted at until ctx ends. It returns only then. What cannot
// be read stays on the list and is tried again.
func (h *Hub) Run(ctx context.Context) {
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.hinted:
		}
		err := h.readList(ctx)
		if err == nil {
			if failing {
				h.log.InfoContext(ctx, "watched verifications can be read again")
			}
			failing = false
			continue
		}
		if ctx.Err() == nil && !failing {
			h.log.WarnContext(ctx, "cannot read watched verifications; watchers on this node may lag", "error", err)
		}
		failing = true
		select {
		case <-ctx.Done():
			return
		case <-time.After(readRetry):
		}
	}
}

// readList reads what is on the list and tells it.
func (h *Hub) readList(ctx context.Context) error {
	for {
		ids := h.takeList()
		if len(ids) == 0 {
			return nil
		}
		bounded, cancel := context.WithTimeout(ctx, readTimeout)
		rows, err := h.rows.Verifications(bounded, ids)
		cancel()
		if err != nil {
			h.putBack(ids)
			return err
		}
		for _, v := range rows {
			h.Wake(v)
		}
	}
}

// takeList takes as many ids off the list as one query reads, without those that
// nobody watches any more.
func (h *Hub) takeList() []uuid.UUID {
	h.mu.Lock()
	defer h.mu.Unlock()
	ids := make([]uuid.UUID, 0, min(len(h.list), readMost))
	for id := range h.list {
		if len(ids) == readMost {
			break
		}
		delete(h.list, id)
		if h.watchers[id] != nil {
			ids = append(ids, id)
		}
	}
	return ids
}

func (h *Hub) putBack(ids []uuid.UUID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range ids {
		h.list[id] = struct{}{}
	}
	h.ring()
}
