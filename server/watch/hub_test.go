package watch_test

import (
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/verification"
	"github.com/verigate/verigate/server/watch"
)

func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// newHub is a hub that reads nothing, because nobody runs it.
func newHub(limit int) *watch.Hub { return watch.NewHub(limit, nil, slog.New(slog.DiscardHandler)) }

func register(t *testing.T, h *watch.Hub, id uuid.UUID) *watch.Watcher {
	t.Helper()
	w, err := h.Watch(id, watch.Holder{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// at is a verification at a version.
func at(id uuid.UUID, version int64) *verification.Verification {
	return &verification.Verification{ID: id, Version: version}
}

// told takes the news that waits, and returns its version; 0 if there is none.
func told(w *watch.Watcher) int64 {
	if news := w.Take(); news != nil {
		return news.Verification.Version
	}
	return 0
}

// bell is a waiter of tests.
type bell chan struct{}

func (b bell) News() {
	select {
	case b <- struct{}{}:
	default:
	}
}

func ring(w interface{ Notify(w watch.Waiter) }) bell {
	b := make(bell, 1)
	w.Notify(b)
	return b
}

func TestAChangeReachesTheWatchersOfItsVerificationOnly(t *testing.T) {
	t.Parallel()
	h, id := newHub(10), newID()
	one, two, other := register(t, h, id), register(t, h, id), register(t, h, newID())
	h.Wake(at(id, 3))
	if a, b := told(one), told(two); a != 3 || b != 3 {
		t.Errorf("two watchers were told %d and %d, want version 3", a, b)
	}
	if told(other) != 0 {
		t.Error("a watcher of another verification was told")
	}
}

func TestManyChangesAreOneThatIsTheNewest(t *testing.T) {
	t.Parallel()
	h, id := newHub(1), newID()
	w := register(t, h, id)
	rings := ring(w)
	for version := int64(1); version <= 1000; version++ {
		h.Wake(at(id, version))
	}
	within(t, "the waiter is told", rings)
	if v := told(w); v != 1000 {
		t.Errorf("told version %d, want 1000", v)
	}
	if v := told(w); v != 0 {
		t.Errorf("version %d waits behind the newest", v)
	}
}

func TestAnOldVersionIsNoNews(t *testing.T) {
	t.Parallel()
	h, id := newHub(2), newID()
	w, reader := register(t, h, id), register(t, h, id)
	reader.Saw(5)
	h.Wake(at(id, 5))
	if a, b := told(w), told(reader); a != 5 || b != 0 {
		t.Errorf("told %d and, to who had read it, %d", a, b)
	}
	rings := ring(w)
	h.Wake(at(id, 5))
	h.Wake(at(id, 4))
	if v := told(w); v != 0 || len(rings) > 0 {
		t.Errorf("an old version was told: %d", v)
	}
}

// Who may see a verification may change without a version.
func TestAnErasureIsNewsThoughTheVersionStays(t *testing.T) {
	t.Parallel()
	h, id := newHub(1), newID()
	w := register(t, h, id)
	w.Saw(5)
	erased := at(id, 5)
	erased.EraseTime = time.Now()
	h.Wake(erased)
	if v := told(w); v != 5 {
		t.Errorf("told version %d, want the erased 5", v)
	}
}

func TestWhatCameBeforeTheWaiterIsTold(t *testing.T) {
	t.Parallel()
	h, id := newHub(1), newID()
	w := register(t, h, id)
	h.Wake(at(id, 2))
	within(t, "it is told of what came before", ring(w))
}

func TestAFullHubRefusesUntilSomebodyLeaves(t *testing.T) {
	t.Parallel()
	h, id := newHub(2), newID()
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

func TestAClosedWatcherIsForgottenAndItsNeighboursAreNot(t *testing.T) {
	t.Parallel()
	h, id := newHub(3), newID()
	all := []*watch.Watcher{register(t, h, id), register(t, h, id), register(t, h, id)}
	for i, closed := range []int{1, 0, 2} {
		all[closed].Close()
		h.Wake(at(id, int64(i+2)))
		if told(all[closed]) != 0 || h.Count() != 2-i {
			t.Errorf("a closed watcher was told, or still counts: %d", h.Count())
		}
		for j, w := range all {
			if open := i == 0 && j != 1 || i == 1 && j == 2; open && told(w) != int64(i+2) {
				t.Errorf("after %d closed, watcher %d was not told", closed, j)
			}
		}
	}
}

func TestWatchersComeAndGoWhileNewsFly(t *testing.T) {
	t.Parallel()
	h := newHub(1000)
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
				rings, version := ring(w), int64(worker*1000+round+1)
				h.Wake(at(id, version))
				if <-rings; told(w) < version {
					t.Errorf("told an older version than %d", version)
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

func TestNewsAreEncodedOncePerEncoding(t *testing.T) {
	t.Parallel()
	news, built := &watch.News{Verification: at(newID(), 1)}, 0
	build := func() ([]byte, error) {
		built++
		return []byte{byte(built)}, nil
	}
	for range 3 {
		for kind := range 2 {
			if got, err := news.Shared(kind, build); err != nil || int(got[0]) != kind+1 {
				t.Errorf("encoding %d is %v, %v", kind, got, err)
			}
		}
	}
	if built != 2 {
		t.Errorf("two encodings were made %d times", built)
	}
}

func TestOneVerificationDoesNotTakeEveryPlace(t *testing.T) {
	t.Parallel()
	hub, id, taken := newHub(1000), newID(), 0
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
