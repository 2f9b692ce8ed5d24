// Package reconcile asks providers about verifications that should have heard
// from them and have not: a webhook that never came is found here.
//
// It owns when a connection may be asked (gate.go): so many times a second, and
// not while it does not answer. When a verification is due, and what an answer
// does to it, is the business of package verification; which node asks is the
// queue's. Concrete adapters, the database and transports are not imported.
//
//	Scheduler ── EnqueueFetches ──► what is due is leased and put into the queue
//	                                     │ one job for each verification, any node
//	Worker ◄─────────────────────────────┘
//	   │ admitted by the connection's gate? if not: later
//	   ├─ Fetcher.Fetch for each provider ref, no transaction open
//	   └─ Service.ApplyFetched, FetchFailed or StopFetching: plans the next one
//
// A connection that is gone from the configuration, or whose provider has no
// way to be asked, is reported and left to its webhooks.
package reconcile

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"golang.org/x/time/rate"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/verification"
)

// Store is the part of the database that reconciliation reads.
type Store interface {
	// Get returns a verification of the scope. KindNotFound if there is none.
	Get(ctx context.Context, scope verification.Scope, id uuid.UUID) (*verification.Verification, error)
	// RefsOf returns the provider refs of a verification that were not erased.
	RefsOf(ctx context.Context, scope verification.Scope, id uuid.UUID) ([]verification.BoundRef, error)
	// EnqueueFetches puts up to limit verifications that are due into the queue
	// and returns how many.
	EnqueueFetches(ctx context.Context, now time.Time, limit int) (int, error)
	// OldestUnresolved returns when the oldest open verification of a connection
	// was created; zero if none is open.
	OldestUnresolved(ctx context.Context, connection string) (time.Time, error)
}

// Domain is what an answer is given to. *verification.Service implements it.
type Domain interface {
	// ApplyFetched applies answers to a verification that was at version when the
	// question was put, and plans the next fetch.
	ApplyFetched(ctx context.Context, place verification.Place, version int64, answers ...verification.Answer) ([]verification.Effect, error)
	// FetchFailed plans the next fetch after one without an answer.
	FetchFailed(ctx context.Context, place verification.Place, retryAfter time.Duration) error
	// StopFetching ends it until the verification changes.
	StopFetching(ctx context.Context, place verification.Place) error
}

// Connections is the configuration in force.
type Connections interface {
	// Names returns the names of all connections.
	Names() []string
	// Fetcher returns how a connection's provider is asked; false if there is no
	// such connection, or its provider cannot be asked.
	Fetcher(connection string) (provider.Fetcher, bool)
}

// Meter counts what an operator wants to see. Implementations must be cheap.
type Meter interface {
	// Fetched counts a question to a provider by how it ended, one of the Outcome
	// constants.
	Fetched(connection, outcome string)
	// OldestUnresolved tells how old the oldest open verification of a connection
	// is; zero if none is open.
	OldestUnresolved(connection string, age time.Duration)
	// Pollable tells whether a connection's provider can be asked.
	Pollable(connection string, pollable bool)
	// Forget drops what was told of a connection that is gone.
	Forget(connection string)
}

// How a question to a provider ended.
const (
	// OutcomeAnswered: every provider ref that can be asked by got an answer.
	OutcomeAnswered = "answered"
	// OutcomeUnavailable: the provider did not answer; another time it may.
	OutcomeUnavailable = "unavailable"
	// OutcomeRefused: the provider refuses our account or the question.
	OutcomeRefused = "refused"
	// OutcomeNotFetchable: the verification has no provider ref with a status
	// endpoint.
	OutcomeNotFetchable = "not_fetchable"
	// OutcomeNotPollable: the connection is gone, or its provider cannot be asked.
	OutcomeNotPollable = "not_pollable"
)

// Deps is what a Worker and a Scheduler get from the process.
type Deps struct {
	Store       Store
	Domain      Domain
	Connections Connections
	Meter       Meter
	Log         *slog.Logger
	Now         func() time.Time
	// Random returns numbers from 0 up to 1, for jitter only.
	Random func() float64
	// Rate is how many questions a second each connection is asked by this node
	// in the long run, Burst how many at once; zero for 5 and 10.
	Rate  rate.Limit
	Burst int
	// Patience is how long a provider may take to answer; zero for 20 seconds.
	Patience time.Duration
}

const (
	defaultRate     rate.Limit = 5
	defaultBurst               = 10
	defaultPatience            = 20 * time.Second
)

func (d Deps) withDefaults() Deps {
	if d.Rate == 0 {
		d.Rate = defaultRate
	}
	if d.Burst == 0 {
		d.Burst = defaultBurst
	}
	if d.Patience == 0 {
		d.Patience = defaultPatience
	}
	return d
}
