package store

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/verification"
)

// notPlain is what a batch does not do: guesses, doubts and erasures. They ask
// about other rows than those that the delivery names.
type notPlain struct{}

func (notPlain) HasOtherKey(context.Context, *verification.Verification, []string) (bool, error) {
	return false, errNotPlain
}

func (notPlain) FirstOfRun(context.Context, *verification.Delivery) (time.Time, error) {
	return time.Time{}, errNotPlain
}

func (notPlain) Hinted(context.Context, string, []string) ([]uuid.UUID, error) {
	return nil, errNotPlain
}

func (notPlain) Candidates(context.Context, verification.CandidateQuery) ([]verification.Candidate, error) {
	return nil, errNotPlain
}

func (notPlain) HasParkedTwin(context.Context, *verification.Delivery, time.Time, time.Time) (bool, error) {
	return false, errNotPlain
}

func (notPlain) DecidedAfter(context.Context, *verification.Verification, time.Time) (bool, error) {
	return false, errNotPlain
}

func (notPlain) LastSource(context.Context, *verification.Verification) (verification.Source, error) {
	return "", errNotPlain
}

func (notPlain) Erase(context.Context, *verification.Verification) (int64, error) {
	return 0, errNotPlain
}
