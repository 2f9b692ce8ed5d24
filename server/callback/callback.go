// Package callback tells callers' backends what happened to their
// verifications: one signed message for each event.
//
// It owns the sending: what a message looks like and how it is signed, when it
// is tried again, and how much of it one receiver may take up. Rows, order and
// the queue of jobs are the store's business, what a request may reach is
// package outgoing's. It must not import store, rpc or watch.
//
//	Dispatcher ─ twice a second, or poked ─► Log.SequenceEvents   events get their places
//	                                       ► Log.QueueCallbacks   callbacks and their jobs
//	             once a minute ────────────► Log.ReviveCallbacks  jobs that were lost
//	River ─ job ─► Worker ─ Store.Callback ─► over: done · not due: later
//	               ├ endpoints: its receiver is broken or busy: later, not counted
//	               ├ Store.BeginAttempt: counted before it is made, for one node at a time
//	               ├ POST: the Event in JSON, signed as Standard Webhooks says
//	               └ Store.FinishAttempt: delivered, dead, or pending until the next time;
//	                 whatever waited behind a callback that is over gets its job
//
// A job ends when its callback is over, and is put off otherwise. A message may
// arrive twice, always under the same id: a node that dies between sending and
// recording leaves nobody to tell that it arrived.
package callback

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/verification"
)

// Store is what a Worker needs of the rows. Its errors are
// *verification.Error.
type Store interface {
	// Callback returns a callback of the scope and what it tells; KindNotFound
	// if there is none.
	Callback(ctx context.Context, scope verification.Scope, id uuid.UUID) (*verification.Callback, *verification.Record, error)
	// BeginAttempt counts an attempt that is about to be made, and keeps others
	// from it until the given time. It returns which one it is since the
	// callback is tried, from 1; 0 if it is not to be made.
	BeginAttempt(ctx context.Context, c *verification.Callback, now, until time.Time) (int, error)
	// FinishAttempt records an attempt, unless that is nil, and what the callback
	// is after it. It reports whether the callback is over, whoever ended it.
	FinishAttempt(ctx context.Context, after *verification.Callback, a *verification.CallbackAttempt) (over bool, err error)
}

// Meter counts. Its methods are called from many goroutines.
type Meter interface {
	// CallbackAttempted counts an attempt: `delivered`, or the
	// verification.CallbackReason why it failed.
	CallbackAttempted(outcome string)
	// CallbackFinished counts a callback that is over by its
	// verification.CallbackState.
	CallbackFinished(state string)
}

// Options are what a Worker works with. Store, Client, Secrets, Meter and Log
// must be given.
type Options struct {
	Store Store
	// Client sends. Redirects are never followed, whatever it says of them.
	Client *http.Client
	// Secrets returns what messages of a scope are signed with, each as
	// `whsec_` and base64; more than one while they are being replaced.
	Secrets func(verification.Scope) []secret.Value
	Meter   Meter
	Log     *slog.Logger

	// Hands is how many jobs this node does at a time; zero means 128. One tenant
	// gets a quarter of them.
	Hands int
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Random returns a number in [0, 1), for jitter; nil means math/rand.
	Random func() float64
	// AttemptTimeout bounds an attempt, the reading of its answer included; zero
	// means 15 s.
	AttemptTimeout time.Duration
	// Patience is how long a job waits for its turn at a busy receiver before it
	// is put off; zero means a second.
	Patience time.Duration
	// BreakFor is how long a receiver that keeps failing is left alone, give or
	// take a fifth; zero means 30 s.
	BreakFor time.Duration
}

const (
	defaultAttemptTimeout = 15 * time.Second
	defaultBreakFor       = 30 * time.Second
	defaultPatience       = time.Second
	defaultHands          = 128
)

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	if o.AttemptTimeout <= 0 {
		o.AttemptTimeout = defaultAttemptTimeout
	}
	if o.Hands <= 0 {
		o.Hands = defaultHands
	}
	if o.Patience <= 0 {
		o.Patience = defaultPatience
	}
	if o.BreakFor <= 0 {
		o.BreakFor = defaultBreakFor
	}
	return o
}
