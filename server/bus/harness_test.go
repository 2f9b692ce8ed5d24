package bus_test

import (
	"context"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/bus"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/store"
)

// patience bounds every wait; nothing waits that long unless it is broken.
const patience = time.Minute

// node is a Bus under test with what it heard and counted.
type node struct {
	t   testing.TB
	bus *bus.Bus
	// stop ends it and waits for it.
	stop func()

	mu        sync.Mutex
	changed   chan struct{}
	heard     map[uuid.UUID]int64
	all       int
	sent      int
	dropped   map[string]int
	connected bool
	log       string
}

func (n *node) note(do func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	do()
	close(n.changed)
	n.changed = make(chan struct{})
}

func (n *node) Hint(id uuid.UUID, version int64)      { n.note(func() { n.heard[id] = version }) }
func (n *node) HintAll()                              { n.note(func() { n.all++ }) }
func (n *node) HintsSent(count int)                   { n.note(func() { n.sent += count }) }
func (n *node) HintsReceived(int)                     {}
func (n *node) HintsDropped(reason string, count int) { n.note(func() { n.dropped[reason] += count }) }
func (n *node) HintGap()                              {}
func (n *node) BusConnected(_ string, connected bool) { n.note(func() { n.connected = connected }) }

// Write implements io.Writer for the log.
func (n *node) Write(p []byte) (int, error) {
	n.note(func() { n.log += string(p) })
	return len(p), nil
}

// warning waits for the first warning and returns the log.
func (n *node) warning() string {
	n.t.Helper()
	n.until("warns", func() bool { return strings.Contains(n.log, "level=WARN") })
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log
}

func (n *node) publish(id uuid.UUID, version int64) {
	n.bus.Publish(bus.Hint{ID: id, Version: version})
}

// wants waits until the node hears of a version.
func (n *node) wants(id uuid.UUID, version int64) {
	n.t.Helper()
	n.until("hears the hint", func() bool { return n.heard[id] == version })
}

// gaps returns how many gaps the node was told.
func (n *node) gaps() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.all
}

// wantsGapAfter waits until the node hears itself and was told of another gap.
func (n *node) wantsGapAfter(gaps int) {
	n.t.Helper()
	n.until("is connected anew", func() bool { return n.connected && n.all > gaps })
}

// until waits until a condition holds, looked at after each thing that happens.
func (n *node) until(what string, holds func() bool) {
	n.t.Helper()
	late := time.After(patience)
	for {
		n.mu.Lock()
		done, changed := holds(), n.changed
		n.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-late:
			n.t.Fatalf("waited %v in vain until the node %s: %+v", patience, what, maps.Clone(n.dropped))
		}
	}
}

// run starts a node that nobody waits for.
func run(t testing.TB, carrier bus.Carrier) *node {
	t.Helper()
	n := &node{t: t, changed: make(chan struct{}), heard: map[uuid.UUID]int64{}, dropped: map[string]int{}}
	n.bus = bus.New(carrier, bus.Options{Receiver: n, Meter: n, Log: slog.New(slog.NewTextHandler(n, nil))})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		n.bus.Run(ctx)
	}()
	n.stop = sync.OnceFunc(func() {
		cancel()
		<-ended
	})
	t.Cleanup(n.stop)
	return n
}

// join starts a node that hears itself.
func join(t testing.TB, carrier bus.Carrier) *node {
	t.Helper()
	n := run(t, carrier)
	n.wantsGapAfter(0)
	return n
}

// rows opens the database as a node does.
func rows(t testing.TB, dsn string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), secret.New(dsn), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// tells has another node hear of a version. A node that heard of no other for a
// while sends nothing until it does, and on a slow machine that while may have passed:
// what it does not send is published again.
func (n *node) tells(to *node, id uuid.UUID, version int64) {
	n.t.Helper()
	again := time.NewTicker(time.Second)
	defer again.Stop()
	late := time.After(patience)
	for {
		n.publish(id, version)
		for published := true; published; {
			to.mu.Lock()
			told, changed := to.heard[id] == version, to.changed
			to.mu.Unlock()
			if told {
				return
			}
			select {
			case <-changed:
			case <-again.C:
				published = false
			case <-late:
				n.t.Fatalf("waited %v in vain until the other node hears the hint: %+v", patience, maps.Clone(to.dropped))
			}
		}
	}
}

// talk lets two nodes hear each other, and neither itself.
func talk(t *testing.T, one, two *node) {
	t.Helper()
	first, second := uuid.New(), uuid.New()
	one.tells(two, first, 7)
	two.tells(one, second, 8)
	for n, own := range map[*node]uuid.UUID{one: first, two: second} {
		n.mu.Lock()
		if _, told := n.heard[own]; told {
			t.Error("a node was told its own hint")
		}
		n.mu.Unlock()
	}
}

// many sends more than one message takes and waits for all of it.
func many(t *testing.T, one, two *node) {
	t.Helper()
	const count = 1500
	ids := make([]uuid.UUID, count)
	for i := range ids {
		ids[i] = uuid.New()
		one.publish(ids[i], int64(i+1))
	}
	two.until("hears all", func() bool {
		for i, id := range ids {
			if two.heard[id] != int64(i+1) {
				return false
			}
		}
		return true
	})
	one.until("counts all", func() bool { return one.sent >= count })
}
