// Package intake gathers deliveries that arrive at the same time, so that they
// share a commit: what a commit costs does not depend on how much is in it.
//
//	request ─► Deliver ─► one of the queues ─► its worker takes all that waits ─► DeliverTogether ─► answers
//	                       full: ErrOverloaded                                      └ what was left out ─► Deliver, alone
//
// Nothing is delayed to gather more: a worker that is idle takes the first
// delivery at once, and while it is at work the next ones gather by themselves.
// A delivery is answered after its commit and never before. Deliveries that name
// the same thing first go to the same queue, and are applied in the order in
// which they came.
//
// It owns the queues and their bound; what a delivery does is the domain's. It
// imports verification only, never store or webhook.
package intake

import (
	"context"
	"hash/maphash"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/verigate/verigate/server/verification"
)

const (
	// MaxTogether is how many deliveries share a commit at most. More gain little
	// and hold rows for longer.
	MaxTogether = 64
	// DefaultLimit is how many deliveries may wait or be at work: less than a
	// second of work, so that whoever is accepted is answered in time.
	DefaultLimit = 1024
	// patience bounds applying what was taken from a queue. Providers wait 10 s
	// for an answer (VerifyHuman docs, webhooks page).
	patience = 8 * time.Second
)

// ErrOverloaded is the answer to what finds no room.
var ErrOverloaded = verification.NewError(verification.KindLimited, "OVERLOADED",
	"the gateway has as many deliveries in hand as it may; send it again").After(time.Second)

var errPanicked = verification.NewError(verification.KindInternal, "INTERNAL", "internal error")

// Domain applies deliveries.
type Domain interface {
	Deliver(ctx context.Context, d *verification.Delivery) (verification.Effect, error)
	DeliverTogether(ctx context.Context, ds []*verification.Delivery) []verification.Outcome
	Report(ctx context.Context, d *verification.Delivery, o verification.Outcome)
}

// Intake is the queues of one node. It is safe for concurrent use.
type Intake struct {
	domain Domain
	log    *slog.Logger
	limit  int64
	inHand atomic.Int64
	seed   maphash.Seed
	queues []chan *entry
	alone  sync.WaitGroup
}

// entry is one delivery that waits for its answer.
type entry struct {
	delivery *verification.Delivery
	// answer has room for the one answer: whoever waited may be gone.
	answer chan answer
	// report and alone speak for the request that brought it, even when that is
	// over: one tells its log what was done, the other applies it by itself.
	report func(o verification.Outcome)
	alone  func() answer
}

type answer struct {
	effect verification.Effect
	err    error
}

// New returns an Intake with that many queues, each with a worker that holds one
// database connection while it is at work. limit is how many deliveries it takes
// at a time.
func New(domain Domain, log *slog.Logger, queues, limit int) *Intake {
	in := &Intake{domain: domain, log: log, limit: int64(limit), seed: maphash.MakeSeed()}
	for range queues {
		in.queues = append(in.queues, make(chan *entry, limit))
	}
	return in
}

// Full reports whether Deliver would refuse now. Whoever asks first is spared the
// work of reading what would be refused.
func (in *Intake) Full() bool { return in.inHand.Load() >= in.limit }

// Deliver does what the domain's Deliver does, together with others. It returns
// ErrOverloaded when there is no room, and the error of ctx when that ends first;
// the delivery may be applied even then.
func (in *Intake) Deliver(ctx context.Context, d *verification.Delivery) (verification.Effect, error) {
	e, err := in.put(ctx, d)
	if err != nil {
		return "", err
	}
	select {
	case a := <-e.answer:
		return a.effect, a.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// put queues a delivery, if there is room.
func (in *Intake) put(ctx context.Context, d *verification.Delivery) (*entry, error) {
	if in.inHand.Add(1) > in.limit {
		in.inHand.Add(-1)
		return nil, ErrOverloaded
	}
	ctx = context.WithoutCancel(ctx)
	e := &entry{
		delivery: d, answer: make(chan answer, 1),
		report: func(o verification.Outcome) { in.domain.Report(ctx, d, o) },
		alone:  func() answer { return in.deliver(ctx, d) },
	}
	// There is room: a queue is as long as all that may be in hand.
	in.queues[in.queueOf(d)] <- e
	return e, nil
}

// queueOf keeps together what names the same.
func (in *Intake) queueOf(d *verification.Delivery) int {
	name := d.DedupeKey
	switch {
	case d.Event.VerificationID != "":
		name = d.Event.VerificationID
	case len(d.Event.Keys) > 0:
		name = d.Event.Keys[0]
	case len(d.Event.Refs) > 0:
		name = d.Event.Refs[0]
	}
	return int(maphash.String(in.seed, name) % uint64(len(in.queues)))
}

// Run applies what comes until ctx ends, and then what has come until then. It
// returns when everything in hand is answered. Whoever ends ctx has seen to it
// that nobody calls Deliver any more.
func (in *Intake) Run(ctx context.Context) {
	var workers sync.WaitGroup
	for _, queue := range in.queues {
		workers.Go(func() { in.work(ctx, queue) })
	}
	workers.Wait()
	in.alone.Wait()
}

func (in *Intake) work(ctx context.Context, queue chan *entry) {
	for {
		select {
		case first := <-queue:
			in.apply(ctx, gather(first, queue))
		case <-ctx.Done():
			for len(queue) > 0 {
				in.apply(ctx, gather(<-queue, queue))
			}
			return
		}
	}
}

// gather takes all that waits, up to MaxTogether.
func gather(first *entry, queue chan *entry) []*entry {
	together := []*entry{first}
	for len(together) < MaxTogether {
		select {
		case next := <-queue:
			together = append(together, next)
		default:
			return together
		}
	}
	return together
}

// apply answers what could be applied together, and has the rest applied beside
// what comes next, in its order.
func (in *Intake) apply(ctx context.Context, together []*entry) {
	ctx = context.WithoutCancel(ctx)
	outcomes := in.together(ctx, together)
	var left []*entry
	for i, e := range together {
		if !outcomes[i].Applied {
			left = append(left, e)
			continue
		}
		e.report(outcomes[i])
		in.tell(e, answer{effect: outcomes[i].Effect})
	}
	if len(left) > 0 {
		in.alone.Go(func() {
			for _, e := range left {
				in.tell(e, e.alone())
			}
		})
	}
}

// together returns outcomes in any case: after a panic nothing was applied.
func (in *Intake) together(ctx context.Context, entries []*entry) []verification.Outcome {
	outcomes := make([]verification.Outcome, len(entries))
	in.guarded(ctx, func(ctx context.Context) {
		ds := make([]*verification.Delivery, 0, len(entries))
		for _, e := range entries {
			ds = append(ds, e.delivery)
		}
		outcomes = in.domain.DeliverTogether(ctx, ds)
	})
	return outcomes
}

// deliver applies one delivery alone.
func (in *Intake) deliver(ctx context.Context, d *verification.Delivery) answer {
	a := answer{err: errPanicked}
	in.guarded(ctx, func(ctx context.Context) { a.effect, a.err = in.domain.Deliver(ctx, d) })
	return a
}

// guarded gives what it calls a time, and survives its panic: one delivery must
// not end the node. The value of a panic may be anything, so it is not logged.
func (in *Intake) guarded(ctx context.Context, do func(context.Context)) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	defer func() {
		if recover() != nil {
			in.log.ErrorContext(ctx, "panic while applying deliveries", "stack", string(debug.Stack()))
		}
	}()
	do(ctx)
}

func (in *Intake) tell(e *entry, a answer) {
	in.inHand.Add(-1)
	e.answer <- a
}
