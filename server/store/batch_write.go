package store

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/gen/sqlc"
	"github.com/verigate/verigate/server/verification"
)

// write writes what the applied deliveries changed, and commits. Postgres itself
// sees to it that everything is written or nothing (written_all): its answers
// come when it is over.
func (b *batch) write(ctx context.Context, ds []*verification.Delivery, applied []bool) error {
	var trip []statement
	if left := b.leftMarks(ds, applied); len(left.DeliveryIds) > 0 {
		trip = append(trip, func(db sqlc.DBTX) error { return b.queries.BatchSeenForget(ctx, db, left) })
	}
	if len(b.bound) > 0 {
		refs := refLists(b.bound)
		trip = append(trip, func(db sqlc.DBTX) error { return b.queries.BatchRefInsert(ctx, db, refs) })
	}
	if len(b.changed) > 0 {
		rows := b.rowLists()
		trip = append(trip, func(db sqlc.DBTX) error { return b.queries.BatchUpdateIfVersion(ctx, db, rows) })
	}
	if len(b.transitions) > 0 {
		transitions := transitionLists(b.transitions)
		trip = append(trip, func(db sqlc.DBTX) error { return b.queries.BatchTransitionInsert(ctx, db, transitions) })
	}
	if len(b.deliveries) > 0 {
		deliveries := deliveryLists(b.deliveries)
		trip = append(trip, func(db sqlc.DBTX) error { return b.queries.BatchDeliveryInsert(ctx, db, deliveries) })
	}
	return inOneTrip(ctx, b.db, append(trip, plainly(ctx, "commit"))...)
}

// leftMarks are the marks of what was left out.
func (b *batch) leftMarks(ds []*verification.Delivery, applied []bool) sqlc.BatchSeenForgetParams {
	var p sqlc.BatchSeenForgetParams
	for i, d := range ds {
		if !applied[i] && b.fresh[d.ID] {
			p.Connections, p.DedupeKeys = append(p.Connections, d.Connection), append(p.DedupeKeys, hashedKey(d.DedupeKey))
			p.DeliveryIds = append(p.DeliveryIds, d.ID)
		}
	}
	return p
}

// column is one column of rows.
func column[R, C any](rows []R, of func(R) C) []C {
	column := make([]C, 0, len(rows))
	for _, row := range rows {
		column = append(column, of(row))
	}
	return column
}

// refLists are in the order of refs, so that nobody who does the same waits in a
// ring.
func refLists(bound []verification.BoundRef) sqlc.BatchRefInsertParams {
	slices.SortFunc(bound, func(x, y verification.BoundRef) int {
		return cmp.Or(cmp.Compare(x.Connection, y.Connection), cmp.Compare(x.Ref, y.Ref))
	})
	return sqlc.BatchRefInsertParams{
		Connections:     column(bound, func(r verification.BoundRef) string { return r.Connection }),
		Refs:            column(bound, func(r verification.BoundRef) string { return r.Ref }),
		ErasedRefs:      column(bound, func(r verification.BoundRef) string { return erasedForm(r.Connection, r.Ref) }),
		VerificationIds: column(bound, func(r verification.BoundRef) uuid.UUID { return r.VerificationID }),
		Matches:         column(bound, func(r verification.BoundRef) string { return string(r.Match) }),
		CreateTimes:     column(bound, func(r verification.BoundRef) time.Time { return r.CreateTime }),
	}
}

func (b *batch) rowLists() sqlc.BatchUpdateIfVersionParams {
	rows := make([]*verification.Verification, 0, len(b.changed))
	for id := range b.changed {
		rows = append(rows, b.rows[id])
	}
	return sqlc.BatchUpdateIfVersionParams{
		Ids:          column(rows, func(v *verification.Verification) uuid.UUID { return v.ID }),
		OldVersions:  column(rows, func(v *verification.Verification) int64 { return b.versions[v.ID] }),
		Projects:     column(rows, func(v *verification.Verification) string { return v.Scope.Project }),
		Environments: column(rows, func(v *verification.Verification) string { return string(v.Scope.Environment) }),
		States:       column(rows, func(v *verification.Verification) string { return string(v.State) }),
		Versions:     column(rows, func(v *verification.Verification) int64 { return v.Version }),
		ReasonCodes:  column(rows, func(v *verification.Verification) string { return literal(v.ReasonCodes) }),
		Matches:      column(rows, func(v *verification.Verification) string { return string(v.Match) }),
		HostedUrls:   column(rows, func(v *verification.Verification) string { return v.HostedURL }),
		Lanes:        column(rows, func(v *verification.Verification) string { return v.Lane }),
		UpdateTimes:  column(rows, func(v *verification.Verification) time.Time { return v.UpdateTime }),
		ExpireTimes:  column(rows, func(v *verification.Verification) time.Time { return v.ExpireTime }),
		GraceUntils:  column(rows, func(v *verification.Verification) time.Time { return v.GraceUntil }),
		PageUntils:   column(rows, func(v *verification.Verification) time.Time { return v.PageUntil }),
		ReturnTimes:  column(rows, func(v *verification.Verification) time.Time { return v.ReturnTime }),
		BindTimes:    column(rows, func(v *verification.Verification) time.Time { return v.BindTime }),
		FinalTimes:   column(rows, func(v *verification.Verification) time.Time { return v.FinalTime }),
		FetchTimes:   column(rows, func(v *verification.Verification) time.Time { return v.FetchTime }),
		Fetches:      column(rows, func(v *verification.Verification) int32 { return int32(v.Fetches) }),
	}
}

func transitionLists(ts []*verification.Transition) sqlc.BatchTransitionInsertParams {
	return sqlc.BatchTransitionInsertParams{
		VerificationIds: column(ts, func(t *verification.Transition) uuid.UUID { return t.VerificationID }),
		Versions:        column(ts, func(t *verification.Transition) int64 { return t.Version }),
		Projects:        column(ts, func(t *verification.Transition) string { return t.Scope.Project }),
		Environments:    column(ts, func(t *verification.Transition) string { return string(t.Scope.Environment) }),
		FromStates:      column(ts, func(t *verification.Transition) string { return string(t.From) }),
		ToStates:        column(ts, func(t *verification.Transition) string { return string(t.To) }),
		Events:          column(ts, func(t *verification.Transition) string { return string(t.Event) }),
		Sources:         column(ts, func(t *verification.Transition) string { return string(t.Source) }),
		Rungs:           column(ts, func(t *verification.Transition) string { return string(t.Rung) }),
		Matches:         column(ts, func(t *verification.Transition) string { return string(t.Match) }),
		ReasonCodes:     column(ts, func(t *verification.Transition) string { return literal(t.ReasonCodes) }),
		Reasons:         column(ts, func(t *verification.Transition) string { return t.Reason }),
		DeliveryIds:     column(ts, func(t *verification.Transition) uuid.UUID { return t.DeliveryID }),
		CreateTimes:     column(ts, func(t *verification.Transition) time.Time { return t.CreateTime }),
	}
}

func deliveryLists(ds []*sqlc.DeliveryInsertParams) sqlc.BatchDeliveryInsertParams {
	return sqlc.BatchDeliveryInsertParams{
		Ids:              column(ds, func(d *sqlc.DeliveryInsertParams) uuid.UUID { return d.ID }),
		Projects:         column(ds, func(d *sqlc.DeliveryInsertParams) string { return d.Project }),
		Environments:     column(ds, func(d *sqlc.DeliveryInsertParams) string { return d.Environment }),
		Connections:      column(ds, func(d *sqlc.DeliveryInsertParams) string { return d.Connection }),
		ReceiveTimes:     column(ds, func(d *sqlc.DeliveryInsertParams) time.Time { return d.ReceiveTime }),
		Headers:          column(ds, func(d *sqlc.DeliveryInsertParams) []byte { return d.Headers }),
		Bodies:           column(ds, func(d *sqlc.DeliveryInsertParams) []byte { return d.Body }),
		KeyIds:           column(ds, func(d *sqlc.DeliveryInsertParams) string { return d.KeyID }),
		PurgeTimes:       column(ds, func(d *sqlc.DeliveryInsertParams) time.Time { return fromNullable(d.PurgeTime) }),
		DedupeKeys:       column(ds, func(d *sqlc.DeliveryInsertParams) string { return d.DedupeKey }),
		ProviderEvents:   column(ds, func(d *sqlc.DeliveryInsertParams) string { return d.ProviderEvent }),
		ProviderStatuses: column(ds, func(d *sqlc.DeliveryInsertParams) string { return d.ProviderStatus }),
		Events:           column(ds, func(d *sqlc.DeliveryInsertParams) string { return d.Event }),
		Products:         column(ds, func(d *sqlc.DeliveryInsertParams) string { return d.Product }),
		Keys:             column(ds, func(d *sqlc.DeliveryInsertParams) string { return literal(d.Keys) }),
		Refs:             column(ds, func(d *sqlc.DeliveryInsertParams) string { return literal(d.Refs) }),
		NamedIds:         column(ds, func(d *sqlc.DeliveryInsertParams) string { return d.NamedID }),
		ReasonCodes:      column(ds, func(d *sqlc.DeliveryInsertParams) string { return literal(d.ReasonCodes) }),
		ProviderTimes:    column(ds, func(d *sqlc.DeliveryInsertParams) time.Time { return fromNullable(d.ProviderTime) }),
		Effects:          column(ds, func(d *sqlc.DeliveryInsertParams) string { return d.Effect }),
		VerificationIds:  column(ds, func(d *sqlc.DeliveryInsertParams) uuid.UUID { return d.VerificationID.UUID }),
		ApplyTimes:       column(ds, func(d *sqlc.DeliveryInsertParams) time.Time { return fromNullable(d.ApplyTime) }),
	}
}

// quoted escapes what is special within quotes of an array's literal (Postgres
// manual, section 8.15.6).
var quoted = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// literal is a list as Postgres writes an array of text.
func literal(list []string) string {
	if len(list) == 0 {
		return "{}"
	}
	parts := make([]string, 0, len(list))
	for _, s := range list {
		parts = append(parts, `"`+quoted.Replace(s)+`"`)
	}
	return "{" + strings.Join(parts, ",") + "}"
}
