package callback

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/riverqueue/river"

	"github.com/verigate/verigate/server/jobs"
	"github.com/verigate/verigate/server/verification"
)

const (
	// recordTime is what an attempt may need besides its own time-out until it
	// is recorded. Others may try after that.
	recordTime = 45 * time.Second
	// overdue is how long after its time a callback is given up although its
	// receiver never let it through.
	overdue = time.Hour
	// secretWait is how long one that cannot be signed waits for a secret.
	secretWait = time.Minute
)

// Worker delivers callbacks, one job each. It is safe for concurrent use.
type Worker struct {
	river.WorkerDefaults[jobs.Callback]

	Options

	client    http.Client
	endpoints *endpoints
}

var _ river.Worker[jobs.Callback] = (*Worker)(nil)

// NewWorker returns a worker for one node; see Options for what must be given.
func NewWorker(o Options) *Worker {
	o = o.withDefaults()
	client := *o.Client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Worker{Options: o, client: client, endpoints: newEndpoints(o)}
}

// Work implements river.Worker. Its errors are the store's, or say that a
// secret cannot be used; neither holds anything of a message.
func (w *Worker) Work(ctx context.Context, job *river.Job[jobs.Callback]) error {
	scope := verification.Scope{Project: job.Args.Project, Environment: verification.Environment(job.Args.Environment)}
	c, record, err := w.Store.Callback(ctx, scope, job.Args.ID)
	if verification.KindOf(err) == verification.KindNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	next, err := w.deliver(ctx, c, record)
	if err != nil || next.IsZero() {
		return err
	}
	return river.JobSnooze(max(0, next.Sub(w.Now())))
}

// deliver returns when the callback is to be looked at again; the zero time once
// it is over.
func (w *Worker) deliver(ctx context.Context, c *verification.Callback, record *verification.Record) (time.Time, error) {
	now := w.Now()
	if c.State != verification.CallbackPending {
		return time.Time{}, nil
	}
	if c.NextTime.After(now) {
		return c.NextTime, nil
	}
	secrets := w.Secrets(c.Scope)
	if len(secrets) == 0 {
		return w.awaitSecret(ctx, c, now)
	}
	pass, later := w.endpoints.admit(ctx, c.Scope, c.URL, now)
	if pass == nil {
		if now.After(c.FirstTime.Add(window + overdue)) {
			return w.giveUp(ctx, c, verification.CallbackExpired)
		}
		return later, nil
	}
	// A pass that was not used, or did not show how its receiver is.
	defer pass.done(errNoVerdict)
	message, err := newMessage(record, secrets, now)
	if err != nil {
		return time.Time{}, fmt.Errorf("signing callbacks of project %q, environment %q: %w", c.Scope.Project, c.Scope.Environment, err)
	}
	until := now.Add(w.AttemptTimeout + recordTime)
	try, err := w.Store.BeginAttempt(ctx, c, now, until)
	if err != nil || try == 0 {
		return until, err
	}
	c.Attempts++
	return w.attempt(ctx, c, message, try, pass)
}

func (w *Worker) attempt(ctx context.Context, c *verification.Callback, m *message, try int, pass *pass) (time.Time, error) {
	start := w.Now()
	got := w.post(ctx, c.URL, m)
	if ctx.Err() != nil {
		// The node stops, or the job took too long. Nobody can say what became
		// of the message: it is sent again.
		return time.Time{}, ctx.Err()
	}
	pass.done(got.verdict())
	end := w.Now()
	after := got.after(*c, try, end, w.Random())
	over, err := w.Store.FinishAttempt(ctx, &after, &verification.CallbackAttempt{
		Number: c.Attempts, StartTime: start, Duration: end.Sub(start), StatusCode: got.status, Reason: got.reason,
	})
	if err != nil {
		return time.Time{}, err
	}
	w.Meter.CallbackAttempted(got.name())
	if !over {
		return latest(after.NextTime, end), nil
	}
	if !after.FinishTime.IsZero() {
		w.finished(ctx, &after)
	}
	return time.Time{}, nil
}

// awaitSecret puts a callback off that nobody can sign: the secret may have been
// taken out by mistake, or is not on this node yet.
func (w *Worker) awaitSecret(ctx context.Context, c *verification.Callback, now time.Time) (time.Time, error) {
	end := c.FirstTime.Add(window)
	if !now.Before(end) {
		return w.giveUp(ctx, c, verification.CallbackNoSecret)
	}
	after := *c
	after.Reason, after.NextTime = verification.CallbackNoSecret, now.Add(secretWait)
	if after.NextTime.After(end) {
		after.NextTime = end
	}
	over, err := w.Store.FinishAttempt(ctx, &after, nil)
	if err != nil || over {
		return time.Time{}, err
	}
	return after.NextTime, nil
}

// giveUp ends a callback without an attempt.
func (w *Worker) giveUp(ctx context.Context, c *verification.Callback, reason verification.CallbackReason) (time.Time, error) {
	after := *c
	after.State, after.Reason, after.NextTime, after.FinishTime = verification.CallbackDead, reason, time.Time{}, w.Now()
	over, err := w.Store.FinishAttempt(ctx, &after, nil)
	if err != nil {
		return time.Time{}, err
	}
	if !over {
		return w.Now().Add(recordTime), nil
	}
	w.finished(ctx, &after)
	return time.Time{}, nil
}

// finished tells of a callback that is over. Its address stays out of the log:
// callers may put personal data into it.
func (w *Worker) finished(ctx context.Context, c *verification.Callback) {
	w.Meter.CallbackFinished(string(c.State))
	if c.State != verification.CallbackDead {
		return
	}
	w.Log.WarnContext(ctx, "a callback was given up; it can be retried by hand",
		"callback", c.ID, "verification", c.VerificationID, "version", c.Version, "reason", string(c.Reason), "attempts", c.Attempts)
}

// latest returns next, or a moment after end for a callback that somebody else
// is at.
func latest(next, end time.Time) time.Time {
	if next.IsZero() {
		return end.Add(recordTime)
	}
	return next
}

// errNoVerdict says that nothing was learned of a receiver.
var errNoVerdict = errors.New("no verdict on the receiver")
