package watch_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/verification"
	"github.com/verigate/verigate/server/watch"
)

// rows are verifications in memory. Each query is told.
type rows struct {
	mu       sync.Mutex
	versions map[uuid.UUID]int64
	err      error
	asked    chan []uuid.UUID
	// hold, if set, keeps a query waiting.
	hold chan struct{}
}

func newRows() *rows {
	return &rows{versions: make(map[uuid.UUID]int64), asked: make(chan []uuid.UUID, 1000)}
}

func (r *rows) Verifications(ctx context.Context, ids []uuid.UUID) ([]*verification.Verification, error) {
	r.asked <- slices.Clone(ids)
	if r.hold != nil {
		select {
		case <-r.hold:
		case <-ctx.Done():
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return nil, r.err
	}
	var found []*verification.Verification
	for _, id := range ids {
		if version, ok := r.versions[id]; ok {
			found = append(found, at(id, version))
		}
	}
	return found, nil
}

func (r *rows) set(id uuid.UUID, version int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.versions[id] = version
}

func (r *rows) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

// runHub runs a hub until the test is over; stop waits for it and returns what it
// logged.
func runHub(t *testing.T, r *rows, limit int) (h *watch.Hub, stop func() string) {
	t.Helper()
	var log bytes.Buffer
	h = watch.NewHub(limit, r, slog.New(slog.NewTextHandler(&log, nil)))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.Run(ctx)
	}()
	stop = sync.OnceValue(func() string {
		cancel()
		<-done
		return log.String()
	})
	t.Cleanup(func() { stop() })
	return h, stop
}

func TestAHintIsReadAndTold(t *testing.T) {
	t.Parallel()
	r, id := newRows(), newID()
	h, _ := runHub(t, r, 10)
	w := register(t, h, id)
	w.Saw(1)
	rings := ring(w)
	r.set(id, 3)
	h.Hint(id, 2)
	within(t, "it is told", rings)
	if v := told(w); v != 3 {
		t.Errorf("told version %d, want what was read", v)
	}
}

func TestAHintOfWhatIsKnownOrUnwatchedIsNotRead(t *testing.T) {
	t.Parallel()
	r, known, other := newRows(), newID(), newID()
	h, _ := runHub(t, r, 10)
	one, two := register(t, h, known), register(t, h, known)
	one.Saw(2)
	two.Saw(2)
	h.Hint(newID(), 7)
	h.Hint(known, 2)
	// What comes after shows that nothing was asked before.
	w := register(t, h, other)
	rings := ring(w)
	r.set(other, 1)
	h.Hint(other, 1)
	within(t, "the other is told", rings)
	if ids := <-r.asked; !slices.Equal(ids, []uuid.UUID{other}) {
		t.Errorf("asked for %v, want %v only", ids, other)
	}
}

// A stream that has just read the newest version must not keep the hint of it
// from those that have not.
func TestAHintIsReadForWhoeverIsBehind(t *testing.T) {
	t.Parallel()
	r, id := newRows(), newID()
	h, _ := runHub(t, r, 10)
	behind, ahead := register(t, h, id), register(t, h, id)
	behind.Saw(1)
	ahead.Saw(2)
	rings := ring(behind)
	r.set(id, 2)
	h.Hint(id, 2)
	within(t, "it is told", rings)
	if a, b := told(behind), told(ahead); a != 2 || b != 0 {
		t.Errorf("told %d and, to who knew it, %d", a, b)
	}
}

func TestHintsThatWaitAreReadInOneQuery(t *testing.T) {
	t.Parallel()
	const watched = 2500
	r := newRows()
	r.hold = make(chan struct{})
	h, _ := runHub(t, r, watched+1)
	first := newID()
	register(t, h, first)
	h.Hint(first, 1)
	if ids := <-r.asked; len(ids) != 1 {
		t.Fatalf("the first query is for %d", len(ids))
	}
	// While that query lasts, the others come, each twice.
	var all []bell
	for range watched {
		id := newID()
		w := register(t, h, id)
		all = append(all, ring(w))
		r.set(id, 2)
		h.Hint(id, 1)
		h.Hint(id, 2)
	}
	close(r.hold)
	for _, rings := range all {
		within(t, "everybody is told", rings)
	}
	sizes := []int{len(<-r.asked), len(<-r.asked), len(<-r.asked)}
	if !slices.Equal(sizes, []int{1000, 1000, 500}) || len(r.asked) != 0 {
		t.Errorf("%d hints were read by %v and %d more queries", watched, sizes, len(r.asked))
	}
}

func TestAfterAGapEverythingWatchedIsRead(t *testing.T) {
	t.Parallel()
	r, one, two := newRows(), newID(), newID()
	h, _ := runHub(t, r, 10)
	h.HintAll()
	a, b := register(t, h, one), register(t, h, two)
	a.Saw(1)
	b.Saw(1)
	ringsA, ringsB := ring(a), ring(b)
	r.set(one, 2)
	r.set(two, 1)
	h.HintAll()
	within(t, "who missed something is told", ringsA)
	if ids := <-r.asked; len(ids) != 2 {
		t.Errorf("asked for %v, want both at once", ids)
	}
	if len(ringsB) > 0 {
		t.Error("who missed nothing is told")
	}
}

func TestWhatCannotBeReadIsTriedAgain(t *testing.T) {
	t.Parallel()
	r, id := newRows(), newID()
	h, stop := runHub(t, r, 10)
	w := register(t, h, id)
	rings := ring(w)
	r.set(id, 1)
	r.fail(errors.New("gone"))
	h.Hint(id, 1)
	<-r.asked
	<-r.asked
	r.fail(nil)
	within(t, "it is told when it can be read", rings)
	// Another query shows that the one before is over.
	r.set(id, 2)
	h.Hint(id, 2)
	within(t, "the next is told", rings)
	logged := stop()
	if strings.Count(logged, "level=WARN") != 1 || strings.Count(logged, "can be read again") != 1 {
		t.Errorf("one outage should be one warning and one recovery:\n%s", logged)
	}
}

func TestWhoLeftIsNotRead(t *testing.T) {
	t.Parallel()
	r, gone, stays := newRows(), newID(), newID()
	r.hold = make(chan struct{})
	h, _ := runHub(t, r, 10)
	w := register(t, h, gone)
	register(t, h, stays)
	h.Hint(stays, 1)
	<-r.asked
	h.Hint(gone, 1)
	h.Hint(stays, 2)
	w.Close()
	close(r.hold)
	if ids := <-r.asked; !slices.Equal(ids, []uuid.UUID{stays}) {
		t.Errorf("asked for %v, want %v only", ids, stays)
	}
}
