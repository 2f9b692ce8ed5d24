// Package jobs names the work that nodes share through River's queue in the
// database, so that no two do the same at once and none is forgotten.
//
// It owns the arguments, the queues and how uniqueness is meant, and nothing of
// the work itself: packages callback and reconcile do it, store puts it into the
// queue in the transaction that it belongs to. It imports River only.
package jobs

import (
	"math"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// The queues.
const (
	CallbackQueue = "callbacks"
	FetchQueue    = "fetches"
)

// maxAttempts is the most that River can count: a job ends when its row says so,
// never because the database was away for long. Being put off does not count.
const maxAttempts = math.MaxInt16

// unfinished are the states in which a second job for the same thing would be
// one too many.
func unfinished() []rivertype.JobState {
	return []rivertype.JobState{
		rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable,
		rivertype.JobStateRunning, rivertype.JobStateScheduled,
	}
}

func once(queue string) river.InsertOpts {
	return river.InsertOpts{
		Queue: queue, MaxAttempts: maxAttempts,
		UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: unfinished()},
	}
}

// Callback is the job of delivering one callback.
type Callback struct {
	ID          uuid.UUID `json:"id"          river:"unique"`
	Project     string    `json:"project"`
	Environment string    `json:"environment"`
}

// Kind implements river.JobArgs.
func (Callback) Kind() string { return "callback" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (Callback) InsertOpts() river.InsertOpts { return once(CallbackQueue) }

// Fetch is the job of asking a provider what became of a verification.
type Fetch struct {
	VerificationID uuid.UUID `json:"verification_id" river:"unique"`
	Project        string    `json:"project"`
	Environment    string    `json:"environment"`
}

// Kind implements river.JobArgs.
func (Fetch) Kind() string { return "fetch" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (Fetch) InsertOpts() river.InsertOpts { return once(FetchQueue) }
