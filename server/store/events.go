package store

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/verigate/verigate/gen/sqlc"
	"github.com/verigate/verigate/server/verification"
)

// maxLooked is how many events one page looks at, whatever its filter lets
// through: a filter that meets little must not read a tenant's whole history.
const maxLooked = 500

// Events returns a page of a scope's events, oldest first. ErrCursorExpired if
// the event that the cursor names is not kept any more, or is none of the
// scope's. It takes its turn among the lists.
func (s *Store) Events(ctx context.Context, q verification.EventQuery) (verification.EventPage, error) {
	return s.events(ctx, s.lists, q)
}

// NextEvents is Events for the streams, which take turns of their own: however
// many are woken, lists go on, and however many lists run, streams do.
func (s *Store) NextEvents(ctx context.Context, q verification.EventQuery) (verification.EventPage, error) {
	return s.events(ctx, s.streams, q)
}

func (s *Store) events(ctx context.Context, turns chan struct{}, q verification.EventQuery) (verification.EventPage, error) {
	done, err := takeTurn(ctx, turns)
	if err != nil {
		return verification.EventPage{}, err
	}
	defer done()
	most := looked(q)
	// One for the cursor's own place, one that tells whether there is more.
	rows, err := s.queries.EventPositionList(ctx, s.valued(), sqlc.EventPositionListParams{
		Project: q.Scope.Project, Environment: string(q.Scope.Environment),
		AfterID: q.After.VerificationID, AfterVersion: q.After.Version, RowLimit: int32(most) + 2,
	})
	if err != nil {
		return verification.EventPage{}, translate(err)
	}
	if q.After != (verification.EventCursor{}) {
		if len(rows) == 0 || eventCursor(rows[0]) != q.After {
			return verification.EventPage{}, verification.ErrCursorExpired
		}
		rows = rows[1:]
	}
	return cutEvents(rows, most, q), nil
}

// looked is how many events a page looks at: no more than it needs, where it
// takes every one.
func looked(q verification.EventQuery) int {
	if len(q.Flows) == 0 && len(q.Kinds) == 0 {
		return min(q.Limit, maxLooked)
	}
	return maxLooked
}

// cutEvents makes the page of what the filter lets through of the first rows.
func cutEvents(rows []sqlc.EventPositionListRow, most int, q verification.EventQuery) verification.EventPage {
	page := verification.EventPage{Next: q.After}
	for i, row := range rows {
		if i == most || len(page.Records) == q.Limit {
			page.More = true
			break
		}
		page.Next = eventCursor(row)
		if r := eventRecord(q.Scope, row); passes(q, r) {
			page.Records = append(page.Records, r)
		}
	}
	return page
}

func passes(q verification.EventQuery, r *verification.Record) bool {
	return (len(q.Flows) == 0 || slices.Contains(q.Flows, r.Flow)) &&
		(len(q.Kinds) == 0 || slices.Contains(q.Kinds, r.Event))
}

func eventCursor(row sqlc.EventPositionListRow) verification.EventCursor {
	return verification.EventCursor{VerificationID: row.VerificationID, Version: row.Version}
}

// eventRecord has everything but why somebody asked for it: the one text in a
// transition that is anybody's own words is not even read.
func eventRecord(scope verification.Scope, row sqlc.EventPositionListRow) *verification.Record {
	return &verification.Record{Flow: row.Flow, Transition: verification.Transition{
		VerificationID: row.VerificationID, Version: row.Version, Scope: scope,
		From: verification.State(row.FromState), To: verification.State(row.ToState),
		Event: verification.EventKind(row.Event), Source: verification.Source(row.Source),
		Rung: verification.Rung(row.Rung), Match: verification.Match(row.Match),
		ReasonCodes: row.ReasonCodes, DeliveryID: row.DeliveryID.UUID, CreateTime: row.CreateTime,
	}}
}

// LatestEvent returns the cursor of a scope's newest event, the zero cursor if
// it has none.
func (s *Store) LatestEvent(ctx context.Context, scope verification.Scope) (verification.EventCursor, error) {
	row, err := s.queries.EventPositionLatest(ctx, s.pool, sqlc.EventPositionLatestParams{
		Project: scope.Project, Environment: string(scope.Environment),
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return verification.EventCursor{}, nil
	}
	return verification.EventCursor{VerificationID: row.VerificationID, Version: row.Version}, translate(err)
}

// EventHead returns the last place that any scope's event got in the order. It
// only grows.
func (s *Store) EventHead(ctx context.Context) (int64, error) {
	position, err := s.queries.EventHeadGet(ctx, s.pool)
	return position, translate(err)
}

// EventScopes returns whose events got the places after one and up to another,
// each scope once. Places whose events were purged are nobody's.
func (s *Store) EventScopes(ctx context.Context, after, upTo int64) ([]verification.Scope, error) {
	rows, err := s.queries.EventScopes(ctx, s.pool, sqlc.EventScopesParams{After: after, UpTo: upTo})
	if err != nil {
		return nil, translate(err)
	}
	scopes := make([]verification.Scope, 0, len(rows))
	for _, row := range rows {
		scopes = append(scopes, verification.Scope{Project: row.Project, Environment: verification.Environment(row.Environment)})
	}
	return scopes, nil
}
