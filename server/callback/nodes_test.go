package callback_test

import (
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"github.com/verigate/verigate/server/callback"
	"github.com/verigate/verigate/server/jobs"
	"github.com/verigate/verigate/server/verification"
)

// run makes a whole node on the gateway's database: a dispatcher and a queue
// that is worked on. It ends with the test.
func (g *gateway) run() *callback.Dispatcher {
	g.t.Helper()
	s := open(g.t, g.dsn)
	workers := river.NewWorkers()
	river.AddWorker(workers, callback.NewWorker(options(g.t, s)))
	stop, err := s.Work(g.t.Context(), workers, map[string]int{jobs.CallbackQueue: 8}, slog.New(slog.DiscardHandler))
	if err != nil {
		g.t.Fatal(err)
	}
	d := callback.NewDispatcher(s, slog.New(slog.DiscardHandler))
	var running sync.WaitGroup
	running.Go(func() { d.Run(g.t.Context()) })
	g.t.Cleanup(func() {
		running.Wait() // the test's context is over
		if err := stop(g.t.Context()); err != nil {
			g.t.Error(err)
		}
	})
	return d
}

func TestTwoNodesDeliverEachCallbackOnceAndInOrder(t *testing.T) {
	t.Parallel()
	const verifications, steps = 10, 4
	g := newGateway(t, nil)
	r := receive(t, nil)
	nodes := []*callback.Dispatcher{g.run(), g.run()}
	ids := make([]uuid.UUID, 0, verifications)
	for range verifications {
		ids = append(ids, g.start(r.URL))
	}
	for range steps {
		for i, id := range ids {
			g.step(id)
			nodes[i%len(nodes)].Poke()
		}
	}
	got := map[string][]string{}
	for range verifications * (steps + 1) {
		m := <-r.got
		got[m.id[:36]] = append(got[m.id[:36]], m.id)
	}
	for _, id := range ids {
		want := make([]string, 0, steps+1)
		for version := range int64(steps + 1) {
			want = append(want, verification.EventID(id, version+1))
		}
		if !slices.Equal(got[id.String()], want) {
			t.Errorf("the messages of a verification are %v, want %v", got[id.String()], want)
		}
	}
	if more := r.ids(); len(more) != 0 {
		t.Errorf("%v came twice", more)
	}
}

func TestWhatFailsKeepsItsVerificationWaitingAndNobodyElse(t *testing.T) {
	t.Parallel()
	g := newGateway(t, nil)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	hanging := receive(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	failing := receive(t, status(500, 200))
	well := receive(t, nil)
	d := g.run()
	// More than the node has hands for.
	for range 20 {
		g.start(hanging.URL)
	}
	first := g.start(failing.URL)
	g.step(first)
	d.Poke()
	<-hanging.got
	for range 10 {
		id := g.start(well.URL)
		d.Poke()
		if m := <-well.got; m.id != verification.EventID(id, 1) {
			t.Errorf("the message is %s, want that of %s", m.id, id)
		}
	}
	want := []string{verification.EventID(first, 1), verification.EventID(first, 1), verification.EventID(first, 2)}
	var got []string
	for range want {
		got = append(got, (<-failing.got).id)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the messages are %v, want %v", got, want)
	}
}
