package watch_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/verification"
	"github.com/verigate/verigate/server/watch"
)

// hold registers a watcher of a holder that may have two.
func hold(t *testing.T, h *watch.Hub, name string) *watch.Watcher {
	t.Helper()
	w, err := h.Watch(newID(), watch.Holder{Name: name, Most: 2})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	t.Cleanup(w.Close)
	return w
}

// wantFull fails unless a holder is refused, with a time to come back.
func wantFull(t *testing.T, h *watch.Hub, name string) {
	t.Helper()
	before := h.Count()
	_, err := h.Watch(newID(), watch.Holder{Name: name, Most: 2})
	e, ok := errors.AsType[*verification.Error](err)
	if !ok || e.Kind != verification.KindLimited || e.Reason != "TOO_MANY_WATCHERS" || e.RetryAfter <= 0 {
		t.Errorf("%s: got %v, want it limited with a time to come back", name, err)
	}
	if h.Count() != before {
		t.Errorf("%s: a refused watcher counts", name)
	}
}

func TestAHolderHasAsManyWatchersAsItMayWhateverTheyWatch(t *testing.T) {
	t.Parallel()
	h := newHub(100)
	hold(t, h, "token/a")
	hold(t, h, "token/a")
	wantFull(t, h, "token/a")
	hold(t, h, "token/b")
	register(t, h, newID())
}

func TestAClosedWatcherMakesRoomForItsHolderOnce(t *testing.T) {
	t.Parallel()
	h := newHub(100)
	first := hold(t, h, "token/a")
	hold(t, h, "token/a")
	first.Close()
	first.Close()
	hold(t, h, "token/a")
	wantFull(t, h, "token/a")
}

func TestARefusedWatcherTakesNoPlaceOfItsHolder(t *testing.T) {
	t.Parallel()
	h := newHub(1)
	only := register(t, h, newID())
	for range 5 {
		wantFull(t, h, "token/a")
	}
	only.Close()
	hold(t, h, "token/a")
}

func TestTheZeroHolderIsLimitedByTheNodeOnly(t *testing.T) {
	t.Parallel()
	const places = 500
	h := newHub(places)
	for range places {
		register(t, h, newID())
	}
	if _, err := h.Watch(newID(), watch.Holder{}); verification.KindOf(err) != verification.KindLimited {
		t.Errorf("beyond the node's limit: %v", err)
	}
}

func TestAHolderWithoutALimitIsNotCounted(t *testing.T) {
	t.Parallel()
	h := newHub(100)
	for range 10 {
		w, err := h.Watch(newID(), watch.Holder{Name: "token/a"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(w.Close)
	}
	hold(t, h, "token/a")
}

func TestAHoldersLimitHoldsWhenAllComeAtOnce(t *testing.T) {
	t.Parallel()
	const most, rounds = 3, 300
	h := newHub(1000)
	ids := []uuid.UUID{newID(), newID()}
	var open, refused atomic.Int64
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for round := range rounds {
				w, err := h.Watch(ids[(worker+round)%len(ids)], watch.Holder{Name: "token/a", Most: most})
				if err != nil {
					refused.Add(1)
					continue
				}
				if n := open.Add(1); n > most {
					t.Errorf("%d at a time, want at most %d", n, most)
				}
				h.Wake(at(ids[worker%len(ids)], int64(round+1)))
				open.Add(-1)
				w.Close()
			}
		})
	}
	all.Wait()
	if n := h.Count(); n != 0 {
		t.Errorf("%d watchers are left", n)
	}
	for range most {
		w, err := h.Watch(ids[0], watch.Holder{Name: "token/a", Most: most})
		if err != nil {
			t.Fatalf("after %d refusals a place is lost: %v", refused.Load(), err)
		}
		t.Cleanup(w.Close)
	}
}
