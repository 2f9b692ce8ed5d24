package server

import (
	"context"
	"errors"
	"time"

	"github.com/verigate/verigate/server/reconcile"
	"github.com/verigate/verigate/server/watch"
)

const (
	// sweepInterval is how late an expiry may be.
	sweepInterval = time.Second
	// usesInterval is how late the last use of an API key is written.
	usesInterval = 30 * time.Second
	// purgeInterval is how late a delivery or an event is purged, purgeBatch how
	// many one statement purges.
	purgeInterval = time.Minute
	// gaugeInterval is how old a gauge that is read from the database may be.
	gaugeInterval = 15 * time.Second
	purgeBatch    = 500
	// partitionInterval is how often partitions are made ahead, and dropped.
	partitionInterval = time.Hour
)

// upkeep starts what runs beside the ports, until ctx ends. Jobs are begun only
// until serving ends.
func (s *Server) upkeep(ctx, serving context.Context) {
	tail := &watch.Tail{
		Log: s.store, Hub: s.hub, Interval: s.options.Config.Watch.PollInterval, Logger: s.log, Polled: s.metrics.Polled,
	}
	s.running.Go(func() { s.intake.Run(ctx) })
	s.running.Go(func() { tail.Run(ctx) })
	s.running.Go(func() { s.hub.Run(ctx) })
	s.running.Go(func() { s.bus.Run(ctx) })
	s.running.Go(func() { s.lot.Run(ctx) })
	s.running.Go(func() { s.dispatcher.Run(ctx) })
	s.running.Go(func() { s.work(serving) })
	s.running.Go(func() { s.feed.Run(ctx) })
	s.running.Go(func() { reconcile.NewScheduler(s.reconciliation()).Run(ctx) })
	s.running.Go(func() { s.every(ctx, sweepInterval, "the sweep", s.domain.Sweep) })
	s.running.Go(func() { s.every(ctx, purgeInterval, "the purge of deliveries", s.purge) })
	s.running.Go(func() { s.every(ctx, purgeInterval, "the purge of events", s.purgeEvents) })
	s.running.Go(func() { s.every(ctx, gaugeInterval, "looking for the oldest callback", s.gaugeCallbacks) })
	s.running.Go(func() { s.everyFrom(ctx, 0, partitionInterval, "the upkeep of partitions", s.repartition) })
	s.running.Go(func() { s.warnOfMissingKeys(ctx) })
	s.running.Go(func() { s.every(ctx, auditInterval, "writing the audit log", s.writeAudit) })
	s.running.Go(func() { s.uses.Run(ctx, usesInterval) })
	for _, p := range s.ports {
		if p.certificate != nil {
			s.running.Go(func() { p.certificate.Watch(ctx, certificateInterval) })
		}
	}
}

// every does the clock's work until ctx ends. Every node does; the rows decide
// who was first. A failure is told once, until it works again.
func (s *Server) every(ctx context.Context, interval time.Duration, what string, do func(context.Context) error) {
	s.everyFrom(ctx, interval, interval, what, do)
}

// everyFrom is every with a first wait of its own.
func (s *Server) everyFrom(ctx context.Context, first, interval time.Duration, what string, do func(context.Context) error) {
	next := time.NewTimer(first)
	defer next.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		err := do(ctx)
		if err != nil && ctx.Err() == nil && !failing {
			s.log.WarnContext(ctx, what+" failed; it goes on trying", "error", err, "cause", errors.Unwrap(err))
		}
		failing = err != nil
		next.Reset(interval)
	}
}

// warnOfMissingKeys says which stored deliveries nobody can read with the keys in
// force: a key was removed before everything was sealed anew.
func (s *Server) warnOfMissingKeys(ctx context.Context) {
	inUse, err := s.store.SealingKeys(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		s.log.WarnContext(ctx, "could not look which encryption keys are in use", "error", err)
		return
	}
	ring := s.catalog.keyring()
	for _, id := range inUse {
		if id != "" && !ring.Opens(id) {
			s.log.WarnContext(ctx, "stored deliveries are sealed under a key that encryption.keys lacks: "+
				"put it back and run `verigate deliveries reencrypt` before it goes", "key", id)
		}
	}
}

// purge removes headers and bodies that were kept as long as the configuration
// says.
func (s *Server) purge(ctx context.Context) error {
	before := time.Now().Add(-s.catalog.current.Load().retention)
	for {
		purged, err := s.store.PurgeDeliveries(ctx, before, purgeBatch)
		if err != nil {
			return err
		}
		if purged > 0 {
			s.log.InfoContext(ctx, "deliveries were purged", "count", purged)
		}
		if purged < purgeBatch {
			return nil
		}
	}
}

// purgeEvents forgets the places of events, and finished callbacks, that were
// kept as long as the configuration says.
func (s *Server) purgeEvents(ctx context.Context) error {
	before := time.Now().Add(-s.catalog.current.Load().events)
	for {
		purged, err := s.store.PurgeEvents(ctx, before, purgeBatch)
		if err != nil || purged < purgeBatch {
			return err
		}
	}
}

// repartition makes room for what comes, and drops the history that was kept as
// long as the configuration says. It does not wait for the first hour: a node may
// have been down for months.
func (s *Server) repartition(ctx context.Context) error {
	made, err := s.store.MakePartitions(ctx, time.Now())
	if err != nil {
		return err
	}
	if made > 0 {
		s.log.InfoContext(ctx, "partitions were made", "count", made)
	}
	before := time.Now().Add(-s.catalog.current.Load().history)
	dropped, err := s.store.DropPartitions(ctx, before)
	for _, name := range dropped {
		s.log.InfoContext(ctx, "history was dropped", "partition", name, "before", before)
	}
	for err == nil {
		var strays int64
		if strays, err = s.store.PurgeStrays(ctx, before, purgeBatch); strays < purgeBatch {
			break
		}
	}
	return err
}

// gaugeCallbacks tells how long the oldest undelivered callback has been tried.
func (s *Server) gaugeCallbacks(ctx context.Context) error {
	first, err := s.store.OldestCallback(ctx)
	if err != nil {
		return err
	}
	age := time.Duration(0)
	if !first.IsZero() {
		age = max(0, time.Since(first))
	}
	s.metrics.OldestCallback(age)
	return nil
}
