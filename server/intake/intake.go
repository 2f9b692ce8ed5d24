// Package intake gathers deliveries that arrive at the same time, so that they
// share a commit: what a commit costs hardly depends on how much is in it.
//
//	request ─► Deliver ─► waiting ─► a worker takes all of it ─► DeliverTogether ─► answers
//	           full: ErrOverloaded                                └ what was left out ─► Deliver, alone
//
// Nothing is delayed to gather more while nothing is at work: the first delivery
// is taken at once. Then others gather by themselves, and a second worker takes
// them when they are as many as those at work (line.go): it reads while the first
// one writes. A third would share the same deliveries between more commits. A
// delivery is answered after its commit and never before. Those that share a name
// are applied in the order in which they came: the later one waits until the
// earlier one is answered, unless both are in one turn. What was left out is
// applied beside what comes next, after the turns before it.
//
// It owns the line and its bound; what a delivery does is the domain's. It
// imports verification only, never store or webhook.
package intake

import (
	"context"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/verigate/verigate/server/verification"
)

const (
	// workersAtOnce is how many transactions are under way at most.
	workersAtOnce = 2
	// MaxTogether is how many deliveries share a commit at most. More gain little
	// and hold rows for longer.
	MaxTogether = 64
	// DefaultLimit is how many deliveries may wait or be at work: less than a
	// second of work, so that whoever is accepted is answered in time.
	DefaultLimit = 1024
	// patience bounds applying what was taken from the line. Providers wait 10 s
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
	// DeliverTogether calls held when it holds what ds are about.
	DeliverTogether(ctx context.Context, ds []*verification.Delivery, held func()) []verification.Outcome
	Report(ctx context.Context, d *verification.Delivery, o verification.Outcome)
}

// Intake takes in the deliveries of one node. It is safe for concurrent use.
type Intake struct {
	domain Domain
	log    *slog.Logger
	limit  int64
	inHand atomic.Int64
	line   *line
	alone  sync.WaitGroup
}

// name is one of those by which two deliveries are known to be about the same, or
// to be the same.
type name struct{ kind, connection, text string }

func namesOf(d *verification.Delivery) []name {
	names := []name{{"repeat", d.Connection, d.DedupeKey}}
	if d.Event.VerificationID != "" {
		names = append(names, name{"verification", "", d.Event.VerificationID})
	}
	for _, ref := range slices.Concat(d.Event.Keys, d.Event.Refs) {
		names = append(names, name{"ref", d.Connection, ref})
	}
	return names
}

// entry is one delivery that waits for its answer.
type entry struct {
	delivery *verification.Delivery
	names    []name
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

// New returns an Intake whose workers each hold one database connection while
// they are at work. limit is how many deliveries it takes at a time.
func New(domain Domain, log *slog.Logger, limit int) *Intake {
	return &Intake{domain: domain, log: log, limit: int64(limit), line: newLine()}
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

// put has a delivery wait in line, if there is room.
func (in *Intake) put(ctx context.Context, d *verification.Delivery) (*entry, error) {
	if in.inHand.Add(1) > in.limit {
		in.inHand.Add(-1)
		return nil, ErrOverloaded
	}
	ctx = context.WithoutCancel(ctx)
	e := &entry{
		delivery: d, names: namesOf(d), answer: make(chan answer, 1),
		report: func(o verification.Outcome) { in.domain.Report(ctx, d, o) },
		alone:  func() answer { return in.deliver(ctx, d) },
	}
	in.line.join(e)
	return e, nil
}

// Run applies what comes until ctx ends, and then what has come until then. It
// returns when everything in hand is answered. Whoever ends ctx has seen to it
// that nobody calls Deliver any more.
func (in *Intake) Run(ctx context.Context) {
	defer in.alone.Wait()
	defer context.AfterFunc(ctx, in.line.close)()
	ctx = context.WithoutCancel(ctx)
	var workers sync.WaitGroup
	for range workersAtOnce {
		workers.Go(func() {
			for {
				t := in.line.take()
				if t == nil {
					return
				}
				in.apply(ctx, t)
			}
		})
	}
	workers.Wait()
}

// apply answers what could be applied together, and has the rest applied beside
// what comes next, in its order.
func (in *Intake) apply(ctx context.Context, t *turn) {
	outcomes := in.together(ctx, t)
	t.done()
	var left []*entry
	for i, e := range t.entries {
		if !outcomes[i].Applied {
			left = append(left, e)
			continue
		}
		in.survive(ctx, func() { e.report(outcomes[i]) })
		in.tell(e, answer{effect: outcomes[i].Effect})
	}
	if len(left) > 0 {
		in.alone.Go(func() {
			t.awaitEarlier()
			for _, e := range left {
				in.tell(e, e.alone())
			}
		})
	}
}

// together returns outcomes in any case: after a panic nothing was applied.
func (in *Intake) together(ctx context.Context, t *turn) []verification.Outcome {
	outcomes := make([]verification.Outcome, len(t.entries))
	in.guarded(ctx, func(ctx context.Context) {
		ds := make([]*verification.Delivery, 0, len(t.entries))
		for _, e := range t.entries {
			ds = append(ds, e.delivery)
		}
		outcomes = in.domain.DeliverTogether(ctx, ds, t.held)
	})
	return outcomes
}

// deliver applies one delivery alone.
func (in *Intake) deliver(ctx context.Context, d *verification.Delivery) answer {
	a := answer{err: errPanicked}
	in.guarded(ctx, func(ctx context.Context) { a.effect, a.err = in.domain.Deliver(ctx, d) })
	return a
}

// guarded gives what it calls a time, and survives its panic.
func (in *Intake) guarded(ctx context.Context, do func(context.Context)) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	in.survive(ctx, func() { do(ctx) })
}

// survive keeps one delivery's panic from ending the node. The value of a panic
// may be anything, so it is not logged.
func (in *Intake) survive(ctx context.Context, do func()) {
	defer func() {
		if recover() != nil {
			in.log.ErrorContext(ctx, "panic while applying deliveries", "stack", string(debug.Stack()))
		}
	}()
	do()
}

func (in *Intake) tell(e *entry, a answer) {
	in.line.free(e)
	in.inHand.Add(-1)
	e.answer <- a
}
