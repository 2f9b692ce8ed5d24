package reconcile

import (
	"context"
	"errors"
	"time"
)

const (
	// enqueueInterval is how late a fetch may get into the queue.
	enqueueInterval = time.Second
	// enqueueBatch is how many one transaction puts there.
	enqueueBatch = 200
	// reportInterval is how old the gauges may be.
	reportInterval = 15 * time.Second
)

// Scheduler puts what is due into the queue and keeps the gauges. Every node has
// one; the rows decide who was first.
type Scheduler struct {
	deps Deps
	// pollable is what was reported of each connection.
	pollable map[string]bool
	// enqueueFails and reportFails tell that the last try failed, and that it was
	// said.
	enqueueFails, reportFails bool
}

// NewScheduler returns a Scheduler.
func NewScheduler(d Deps) *Scheduler {
	return &Scheduler{deps: d.withDefaults(), pollable: map[string]bool{}}
}

// Run works until ctx ends. It must not be called twice.
func (s *Scheduler) Run(ctx context.Context) {
	due, gauges := time.NewTicker(enqueueInterval), time.NewTicker(reportInterval)
	defer due.Stop()
	defer gauges.Stop()
	s.report(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-due.C:
			err := s.enqueue(ctx)
			s.tell(ctx, err, &s.enqueueFails, "queueing what is to be asked of providers")
		case <-gauges.C:
			s.report(ctx)
		}
	}
}

// enqueue empties what is due.
func (s *Scheduler) enqueue(ctx context.Context) error {
	for {
		queued, err := s.deps.Store.EnqueueFetches(ctx, s.deps.Now(), enqueueBatch)
		if err != nil || queued < enqueueBatch {
			return err
		}
	}
}

// report sets the gauges of the connections in force and forgets the others.
func (s *Scheduler) report(ctx context.Context) {
	known := make(map[string]bool, len(s.pollable))
	var failed []error
	for _, connection := range s.deps.Connections.Names() {
		known[connection] = true
		s.reportPollable(ctx, connection)
		failed = append(failed, s.reportAge(ctx, connection))
	}
	for connection := range s.pollable {
		if !known[connection] {
			delete(s.pollable, connection)
			s.deps.Meter.Forget(connection)
		}
	}
	s.tell(ctx, errors.Join(failed...), &s.reportFails, "looking for the oldest open verification")
}

func (s *Scheduler) reportPollable(ctx context.Context, connection string) {
	_, pollable := s.deps.Connections.Fetcher(connection)
	before, told := s.pollable[connection]
	s.pollable[connection] = pollable
	s.deps.Meter.Pollable(connection, pollable)
	if !pollable && (!told || before) {
		s.deps.Log.InfoContext(ctx, "this connection's provider cannot be asked what became of a verification: only its webhooks tell, and one that is lost is not found",
			"connection", connection)
	}
}

func (s *Scheduler) reportAge(ctx context.Context, connection string) error {
	oldest, err := s.deps.Store.OldestUnresolved(ctx, connection)
	if err != nil {
		return err
	}
	age := time.Duration(0)
	if !oldest.IsZero() {
		age = max(0, s.deps.Now().Sub(oldest))
	}
	s.deps.Meter.OldestUnresolved(connection, age)
	return nil
}

// tell logs a failure once, until it works again.
func (s *Scheduler) tell(ctx context.Context, err error, failing *bool, what string) {
	if err != nil && ctx.Err() == nil && !*failing {
		s.deps.Log.WarnContext(ctx, what+" failed; it goes on trying", "error", err, "cause", errors.Unwrap(err))
	}
	*failing = err != nil
}
