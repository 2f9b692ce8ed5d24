package watch_test

import (
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/verification"
	"github.com/verigate/verigate/server/watch"
)

func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

func register(t *testing.T, h *watch.Hub, id uuid.UUID) *watch.Watcher {
	t.Helper()
	w, err := h.Watch(id, watch.Holder{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// woken takes a waiting wake and reports whether there was one.
func woken(w *watch.Watcher) bool {
	select {
	case <-w.C:
		return true
	default:
		return false
	}
}

func TestAWakeReachesTheWatchersOfItsVerificationOnly(t *testing.T) {
	t.Parallel()
	h := watch.NewHub(10)
	id := newID()
	one, two, other := register(t, h, id), register(t, h, id), register(t, h, newID())
	h.Wake(id, 3)
	if !woken(one) || !woken(two) || one.Latest() != 3 || two.Latest() != 3 {
		t.Error("a watcher was not woken for version 3")
	}
	if woken(other) || other.Latest() != 0 {
		t.Error("a watcher of another verification was woken")
	}
}

func TestManyWakesAreOneThatKnowsTheNewest(t *testing.T) {
	t.Parallel()
	h := watch.NewHub(1)
	id := newID()
	w := register(t, h, id)
	for version := int64(1); version <= 1000; version++ {
		h.Wake(id, version)
	}
	if !woken(w) || woken(w) || w.Latest() != 1000 {
		t.Errorf("want one wake and version 1000, have %d", w.Latest())
	}
}

func TestAnOldVersionWakesNobody(t *testing.T) {
	t.Parallel()
	h := watch.NewHub(1)
	id := newID()
	w := register(t, h, id)
	h.Wake(id, 5)
	woken(w)
	h.Wake(id, 5)
	h.Wake(id, 4)
	if woken(w) || w.Latest() != 5 {
		t.Errorf("an old version woke, or version %d came back", w.Latest())
	}
}

func TestAFullHubRefusesUntilSomebodyLeaves(t *testing.T) {
	t.Parallel()
	h := watch.NewHub(2)
	id := newID()
	first := register(t, h, id)
	register(t, h, newID())
	if _, err := h.Watch(id, watch.Holder{}); verification.KindOf(err) != verification.KindLimited {
		t.Fatalf("the third of two: %v, want it limited", err)
	}
	first.Close()
	first.Close()
	if n := h.Count(); n != 1 {
		t.Errorf("%d watchers after one closed twice, want 1", n)
	}
	register(t, h, id)
	if _, err := h.Watch(id, watch.Holder{}); verification.KindOf(err) != verification.KindLimited {
		t.Errorf("closing twice made room twice: %v", err)
	}
}

func TestAClosedWatcherIsForgotten(t *testing.T) {
	t.Parallel()
	h := watch.NewHub(1)
	id := newID()
	w := register(t, h, id)
	w.Close()
	h.Wake(id, 2)
	if woken(w) || h.Count() != 0 {
		t.Errorf("a closed watcher was woken, or still counts: %d", h.Count())
	}
}

func TestWatchersComeAndGoWhileWakesFly(t *testing.T) {
	t.Parallel()
	h := watch.NewHub(1000)
	ids := []uuid.UUID{newID(), newID(), newID()}
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for round := range 200 {
				id := ids[(worker+round)%len(ids)]
				w, err := h.Watch(id, watch.Holder{})
				if err != nil {
					t.Error(err)
					return
				}
				version := int64(worker*1000 + round + 1)
				h.Wake(id, version)
				if <-w.C; w.Latest() < version {
					t.Errorf("woken for %d after a wake for %d", w.Latest(), version)
				}
				w.Close()
			}
		})
	}
	all.Wait()
	if n := h.Count(); n != 0 {
		t.Errorf("%d watchers are left", n)
	}
}

func TestAGapWakesEverybodyOnceMoreWhateverTheyHaveSeen(t *testing.T) {
	t.Parallel()
	hub := watch.NewHub(10)
	one, two := register(t, hub, newID()), register(t, hub, newID())
	hub.WakeAll()
	if !woken(one) || !woken(two) || one.Latest() != 0 {
		t.Error("somebody sleeps on")
	}
}

func TestOneVerificationDoesNotTakeEveryPlace(t *testing.T) {
	t.Parallel()
	hub, id, taken := watch.NewHub(1000), newID(), 0
	for taken < 1000 {
		if _, err := hub.Watch(id, watch.Holder{}); err != nil {
			break
		}
		taken++
	}
	if taken != 64 {
		t.Errorf("one verification took %d places, want 64", taken)
	}
	if _, err := hub.Watch(newID(), watch.Holder{}); err != nil {
		t.Errorf("another verification has no place: %v", err)
	}
}
