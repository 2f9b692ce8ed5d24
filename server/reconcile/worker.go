package reconcile

import (
	"context"
	"errors"
	"time"

	"github.com/riverqueue/river"

	"github.com/verigate/verigate/server/jobs"
	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/verification"
)

// recordPatience is what remains of a job's time for the database when the
// provider took all of its own.
const recordPatience = 10 * time.Second

// Worker does the jobs of the queue: each asks a provider about one
// verification. It is safe for concurrent use.
type Worker struct {
	river.WorkerDefaults[jobs.Fetch]

	deps  Deps
	gates *gates
}

var _ river.Worker[jobs.Fetch] = (*Worker)(nil)

// NewWorker returns a Worker.
func NewWorker(d Deps) *Worker {
	d = d.withDefaults()
	return &Worker{deps: d, gates: &gates{deps: d, of: map[string]*gate{}}}
}

// Timeout implements river.Worker.
func (w *Worker) Timeout(*river.Job[jobs.Fetch]) time.Duration {
	return w.deps.Patience + recordPatience
}

// Work implements river.Worker. A provider's error ends no job: the verification
// gets the time of its next fetch, and nothing of it is kept in the queue. Only
// errors of our own database are left to the queue to repeat.
func (w *Worker) Work(ctx context.Context, job *river.Job[jobs.Fetch]) error {
	place := verification.Place{
		Scope: verification.Scope{Project: job.Args.Project, Environment: verification.Environment(job.Args.Environment)},
		ID:    job.Args.VerificationID,
	}
	v, err := w.deps.Store.Get(ctx, place.Scope, place.ID)
	if verification.KindOf(err) == verification.KindNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	if v.FetchTime.IsZero() {
		return nil // something came in the meantime
	}
	if !v.DueForFetch(w.deps.Now()) {
		return w.deps.Domain.StopFetching(ctx, place)
	}
	g := w.gates.get(v.Connection)
	fetcher, ok := w.deps.Connections.Fetcher(v.Connection)
	if !ok {
		return w.giveUp(ctx, v, g)
	}
	return w.fetch(ctx, v, fetcher, g)
}

// fetch asks and records, if the connection may be asked now.
func (w *Worker) fetch(ctx context.Context, v *verification.Verification, fetcher provider.Fetcher, g *gate) error {
	refs, err := w.deps.Store.RefsOf(ctx, v.Scope, v.ID)
	if err != nil {
		return err
	}
	done, wait := g.admit(v.ID)
	if done == nil {
		return river.JobSnooze(wait)
	}
	answers, err := w.askAll(ctx, v, refs, fetcher, g, done)
	if errors.Is(ctx.Err(), context.Canceled) {
		return river.JobSnooze(0) // this node stops; another one goes on
	}
	return w.record(ctx, v, answers, err, g)
}

// askAll asks by each ref and tells the gate how it went, also if the adapter
// panics.
func (w *Worker) askAll(ctx context.Context, v *verification.Verification, refs []verification.BoundRef,
	fetcher provider.Fetcher, g *gate, done func(error),
) (answers []verification.Answer, err error) {
	ended := errNotAsked
	defer func() { done(ended) }()
	asking, cancel := context.WithTimeout(ctx, w.deps.Patience)
	defer cancel()
	asked := 0
	for _, ref := range refs {
		event, failure := fetcher.Fetch(asking, v.Product, ref.Ref)
		if errors.Is(failure, provider.ErrNotFetchable) {
			continue
		}
		if asked++; asked > 1 {
			g.charge()
		}
		if failure == nil {
			answers = append(answers, verification.Answer{Ref: ref, Event: event})
			continue
		}
		err = failure
		// One ref may be refused and the next not; who does not answer at all is
		// left alone.
		if !isAnswer(failure) {
			break
		}
	}
	if asked == 0 {
		err = provider.ErrNotFetchable
	}
	if ctx.Err() == nil {
		ended = err
	}
	return answers, err
}

// record gives the verification what was found. It is the only place that ends
// or repeats a job after the provider was asked.
func (w *Worker) record(ctx context.Context, v *verification.Verification, answers []verification.Answer, failure error, g *gate) error {
	outcome := outcomeOf(failure)
	w.deps.Meter.Fetched(v.Connection, outcome)
	w.tell(ctx, v, failure, outcome, g)
	place := verification.Place{Scope: v.Scope, ID: v.ID}
	switch {
	case len(answers) > 0:
		_, err := w.deps.Domain.ApplyFetched(ctx, place, v.Version, answers...)
		return err
	case outcome == OutcomeNotFetchable:
		return w.deps.Domain.StopFetching(ctx, place)
	default:
		return w.deps.Domain.FetchFailed(ctx, place, retryAfter(failure))
	}
}

// giveUp leaves a verification to its webhooks: nobody can be asked.
func (w *Worker) giveUp(ctx context.Context, v *verification.Verification, g *gate) error {
	w.deps.Meter.Fetched(v.Connection, OutcomeNotPollable)
	if g.first(&g.toldGone) {
		w.deps.Log.InfoContext(ctx, "verifications of a connection that the configuration does not have, or whose provider cannot be asked, are left to their webhooks",
			"connection", v.Connection)
	}
	return w.deps.Domain.StopFetching(ctx, verification.Place{Scope: v.Scope, ID: v.ID})
}

// tell logs what is new: not each question that fails, but that they began to.
func (w *Worker) tell(ctx context.Context, v *verification.Verification, failure error, outcome string, g *gate) {
	switch outcome {
	case OutcomeNotFetchable:
		if g.first(&g.toldUnfetchable) {
			w.deps.Log.InfoContext(ctx, "a verification has no provider ref that its provider can be asked by; it and those like it are left to their webhooks",
				"connection", v.Connection, "verification_id", v.ID)
		}
	case OutcomeAnswered:
		if g.turned(false) {
			w.deps.Log.InfoContext(ctx, "the provider answers questions about verifications again", "connection", v.Connection)
		}
	default:
		if g.turned(true) {
			w.deps.Log.WarnContext(ctx, "the provider does not answer questions about verifications; it goes on trying",
				"connection", v.Connection, "verification_id", v.ID, "outcome", outcome, "error", failure, "cause", errors.Unwrap(failure))
		}
	}
}

func outcomeOf(failure error) string {
	switch {
	case failure == nil:
		return OutcomeAnswered
	case errors.Is(failure, provider.ErrNotFetchable):
		return OutcomeNotFetchable
	case verification.KindOf(failure) == verification.KindRefused:
		return OutcomeRefused
	default:
		return OutcomeUnavailable
	}
}
