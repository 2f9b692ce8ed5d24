package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/gen/sqlc"
	"github.com/verigate/verigate/server/verification"
)

// List implements verification.Store. A subject, a flow and the states that few
// are in have indexes of their own, and so statements of their own.
func (s *Store) List(ctx context.Context, q verification.ListQuery) ([]*verification.Verification, error) {
	done, err := s.takeListTurn(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	rows, err := s.listRows(ctx, q)
	if err != nil {
		return nil, translate(err)
	}
	vs, err := toVerifications(rows)
	return vs, translate(err)
}

func (s *Store) listRows(ctx context.Context, q verification.ListQuery) ([]sqlc.Verification, error) {
	states := make([]string, 0, len(q.States))
	for _, state := range q.States {
		states = append(states, string(state))
	}
	first, before := idRange(q)
	all := sqlc.VerificationListParams{
		Project: q.Scope.Project, Environment: string(q.Scope.Environment),
		IDFrom: first, IDBefore: before, States: states,
		FromTime: nullable(q.From), UntilTime: nullable(q.Until), RowLimit: int32(q.Limit),
	}
	switch {
	case q.Subject != "":
		return s.queries.VerificationListBySubject(ctx, s.valued(), sqlc.VerificationListBySubjectParams{
			Project: all.Project, Environment: all.Environment, Subject: q.Subject, Flow: q.Flow,
			IDFrom: all.IDFrom, IDBefore: all.IDBefore, States: all.States,
			FromTime: all.FromTime, UntilTime: all.UntilTime, RowLimit: all.RowLimit,
		})
	case onlyRare(q.States):
		return s.queries.VerificationListRare(ctx, s.valued(), sqlc.VerificationListRareParams{
			Project: all.Project, Environment: all.Environment, Flow: q.Flow,
			IDFrom: all.IDFrom, IDBefore: all.IDBefore, States: all.States,
			FromTime: all.FromTime, UntilTime: all.UntilTime, RowLimit: all.RowLimit,
		})
	case q.Flow != "":
		return s.queries.VerificationListByFlow(ctx, s.valued(), sqlc.VerificationListByFlowParams{
			Project: all.Project, Environment: all.Environment, Flow: q.Flow,
			IDFrom: all.IDFrom, IDBefore: all.IDBefore, States: all.States,
			FromTime: all.FromTime, UntilTime: all.UntilTime, RowLimit: all.RowLimit,
		})
	default:
		return s.queries.VerificationList(ctx, s.valued(), all)
	}
}

// onlyRare reports whether states are all among those that the index of rare
// ones has.
func onlyRare(states []verification.State) bool {
	rare := []verification.State{
		verification.Created, verification.Pending, verification.Processing, verification.InReview, verification.Failed,
	}
	return len(states) > 0 && !slices.ContainsFunc(states, func(s verification.State) bool { return !slices.Contains(rare, s) })
}

const (
	// idSlack is how far the time in an id may lie from the creation time of its
	// row: both are read from one node's clock, a moment apart.
	idSlack = time.Minute
	// A UUIDv7 begins with the milliseconds since 1970, in 48 bits (RFC 9562).
	idTimeBits  = 48
	idOtherBits = 64 - idTimeBits
)

// idRange returns the first id of a page, and the one that all of it are
// before. It holds every row that was created between q's times: the exact
// bounds are the statement's business.
func idRange(q verification.ListQuery) (first, before uuid.UUID) {
	if !q.From.IsZero() {
		first = earliestID(q.From.Add(-idSlack))
	}
	before = orLast(q.Before)
	if !q.Until.IsZero() {
		if until := earliestID(q.Until.Add(idSlack)); bytes.Compare(until[:], before[:]) < 0 {
			before = until
		}
	}
	return first, before
}

// earliestID returns an id that no row created at t or later lies before, and
// every earlier one does.
func earliestID(t time.Time) uuid.UUID {
	ms := t.UnixMilli()
	if ms < 0 {
		return uuid.Nil
	}
	if ms >= 1<<idTimeBits {
		return uuid.Max
	}
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:], uint64(ms)<<idOtherBits)
	return id
}

// orLast returns where a page begins that goes back in time: after the given
// id, or after every id there is for the first page.
func orLast(before uuid.UUID) uuid.UUID {
	if before == uuid.Nil {
		return uuid.Max
	}
	return before
}
