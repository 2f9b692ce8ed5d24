package store

import (
	"context"
	"encoding/json"

	"github.com/verigate/verigate/gen/sqlc"
	"github.com/verigate/verigate/server/verification"
)

// AddAudit records what has no other transaction to be recorded in, such as a
// reload of the configuration. An entry that is there already, because the
// answer to the first time was lost, is no error. KindUnavailable or
// KindInternal.
func (s *Store) AddAudit(ctx context.Context, e *verification.AuditEntry) error {
	err := s.inTx(ctx, func(t *tx) error { return t.AddAudit(ctx, e) })
	if isUnique(err, "audit_entry_pkey") {
		return nil
	}
	return err
}

func (t *tx) AddAudit(ctx context.Context, e *verification.AuditEntry) error {
	details, err := json.Marshal(notNil(e.Details))
	if err != nil {
		return internal(err)
	}
	return t.queries.AuditEntryInsert(ctx, t.db, sqlc.AuditEntryInsertParams{
		ID: e.ID, Project: e.Scope.Project, Environment: string(e.Scope.Environment), CreateTime: e.CreateTime,
		Actor: e.Operator.Actor, Address: e.Operator.Address, RequestID: e.Operator.RequestID,
		Action: string(e.Action), Target: e.Target, Details: details,
	})
}

// AuditEntries returns a page of entries of a scope and of the whole gateway,
// newest first; of the whole gateway only, if the scope is zero.
func (s *Store) AuditEntries(ctx context.Context, q verification.AuditQuery) ([]*verification.AuditEntry, error) {
	done, err := s.takeListTurn(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	rows, err := s.queries.AuditEntryList(ctx, s.valued(), sqlc.AuditEntryListParams{
		Project: q.Scope.Project, Environment: string(q.Scope.Environment),
		Action: q.Action, Target: q.Target, IDBefore: orLast(q.Before), RowLimit: int32(q.Limit),
	})
	if err != nil {
		return nil, translate(err)
	}
	entries := make([]*verification.AuditEntry, 0, len(rows))
	for _, row := range rows {
		e, err := toAuditEntry(row)
		if err != nil {
			return nil, translate(err)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func toAuditEntry(r sqlc.AuditEntry) (*verification.AuditEntry, error) {
	e := &verification.AuditEntry{
		ID:         r.ID,
		Scope:      verification.Scope{Project: r.Project, Environment: verification.Environment(r.Environment)},
		CreateTime: r.CreateTime,
		Operator:   verification.Operator{Actor: r.Actor, Address: r.Address, RequestID: r.RequestID},
		Action:     verification.AuditAction(r.Action), Target: r.Target,
	}
	return e, readJSON("details", r.Details, &e.Details)
}
