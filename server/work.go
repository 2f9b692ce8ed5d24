package server

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/riverqueue/river"

	"github.com/verigate/verigate/server/bus"
	"github.com/verigate/verigate/server/callback"
	"github.com/verigate/verigate/server/jobs"
	"github.com/verigate/verigate/server/reconcile"
	"github.com/verigate/verigate/server/verification"
)

const (
	// callbacksAtOnce and fetchesAtOnce are how many jobs of each queue a node
	// does at a time. They wait for others' servers most of the time.
	callbacksAtOnce = 128
	fetchesAtOnce   = 16
	// workInterval is how often a start that failed is tried again.
	workInterval = time.Second
	// workPatience is what running jobs get at most when the node stops: an attempt
	// at a callback takes no longer.
	workPatience = 16 * time.Second
)

// work does jobs of the queue that all nodes share, until ctx ends: callbacks to
// deliver, and verifications to ask providers about. Then it begins none, and
// those that run have as long as the node takes to stop. A database that is away
// when it begins is waited for.
func (s *Server) work(ctx context.Context) {
	stop := s.startWork(ctx)
	if stop == nil {
		return
	}
	<-ctx.Done()
	patience := min(workPatience, s.options.Config.Drain+stopPatience)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if err := stop(ctx); err != nil {
		s.log.WarnContext(ctx, "jobs were cut off; another node, or the next start, does them again", "error", err)
	}
}

// startWork tries until it works; it returns nil if ctx ends before.
func (s *Server) startWork(ctx context.Context) (stop func(context.Context) error) {
	tick := time.NewTicker(workInterval)
	defer tick.Stop()
	for failing := false; ; failing = true {
		stop, err := s.store.Work(ctx, s.workers(), map[string]int{
			jobs.CallbackQueue: callbacksAtOnce, jobs.FetchQueue: fetchesAtOnce,
		}, s.log)
		if err == nil {
			return stop
		}
		if !failing && ctx.Err() == nil {
			s.log.WarnContext(ctx, "cannot begin with the jobs of the queue; it goes on trying", "error", err, "cause", errors.Unwrap(err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// workers are the kinds of jobs.
func (s *Server) workers() *river.Workers {
	workers := river.NewWorkers()
	river.AddWorker(workers, callback.NewWorker(callback.Options{
		Store: s.store, Client: &http.Client{Transport: current{s.catalog}}, Secrets: s.catalog.callbackSecrets,
		Meter: s.metrics, Log: s.log, Hands: callbacksAtOnce,
	}))
	river.AddWorker(workers, reconcile.NewWorker(s.reconciliation()))
	return workers
}

func (s *Server) reconciliation() reconcile.Deps {
	return reconcile.Deps{
		Store: s.store, Domain: s.domain, Connections: s.catalog, Meter: s.metrics, Log: s.log,
		Now: time.Now, Random: rand.Float64,
	}
}

// newDispatcher puts events into their order as soon as this node made one, and
// soon after another did.
func (s *Server) newDispatcher() *callback.Dispatcher {
	d := callback.NewDispatcher(s.store, s.log)
	d.Interval, d.Sequenced = s.options.Config.Watch.PollInterval, s.feed.Poke
	return d
}

// wakers tell everybody who waits for changes: on this node at once, and other
// nodes by a hint. What they are told is committed.
type wakers struct{ *Server }

// Wake implements verification.Waker.
func (w wakers) Wake(v *verification.Verification) {
	w.hub.Wake(v)
	w.bus.Publish(bus.Hint{ID: v.ID, Version: v.Version})
	w.dispatcher.Poke()
}

// current sends by whatever client the configuration in force has.
type current struct{ catalog *catalog }

// RoundTrip implements http.RoundTripper.
func (c current) RoundTrip(r *http.Request) (*http.Response, error) {
	return c.catalog.current.Load().http.Transport.RoundTrip(r)
}
