package store

import (
	"cmp"
	"context"
	"slices"
	"strings"

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

// refLists are in the order of refs, so that nobody who does the same waits in a
// ring.
func refLists(bound []verification.BoundRef) sqlc.BatchRefInsertParams {
	slices.SortFunc(bound, func(x, y verification.BoundRef) int {
		return cmp.Or(cmp.Compare(x.Connection, y.Connection), cmp.Compare(x.Ref, y.Ref))
	})
	var p sqlc.BatchRefInsertParams
	for _, r := range bound {
		p.Connections, p.Refs = append(p.Connections, r.Connection), append(p.Refs, r.Ref)
		p.ErasedRefs = append(p.ErasedRefs, erasedForm(r.Connection, r.Ref))
		p.VerificationIds, p.Matches = append(p.VerificationIds, r.VerificationID), append(p.Matches, string(r.Match))
		p.CreateTimes = append(p.CreateTimes, r.CreateTime)
	}
	return p
}

func (b *batch) rowLists() sqlc.BatchUpdateIfVersionParams {
	var p sqlc.BatchUpdateIfVersionParams
	for id := range b.changed {
		v := b.rows[id]
		p.Ids, p.OldVersions = append(p.Ids, id), append(p.OldVersions, b.versions[id])
		p.Projects, p.Environments = append(p.Projects, v.Scope.Project), append(p.Environments, string(v.Scope.Environment))
		p.States, p.Versions = append(p.States, string(v.State)), append(p.Versions, v.Version)
		p.ReasonCodes, p.Matches = append(p.ReasonCodes, literal(v.ReasonCodes)), append(p.Matches, string(v.Match))
		p.HostedUrls, p.Lanes = append(p.HostedUrls, v.HostedURL), append(p.Lanes, v.Lane)
		p.UpdateTimes, p.ExpireTimes = append(p.UpdateTimes, v.UpdateTime), append(p.ExpireTimes, v.ExpireTime)
		p.GraceUntils, p.PageUntils = append(p.GraceUntils, v.GraceUntil), append(p.PageUntils, v.PageUntil)
		p.ReturnTimes, p.BindTimes = append(p.ReturnTimes, v.ReturnTime), append(p.BindTimes, v.BindTime)
		p.FinalTimes, p.FetchTimes = append(p.FinalTimes, v.FinalTime), append(p.FetchTimes, v.FetchTime)
		p.Fetches = append(p.Fetches, int32(v.Fetches))
	}
	return p
}

func transitionLists(ts []*verification.Transition) sqlc.BatchTransitionInsertParams {
	var p sqlc.BatchTransitionInsertParams
	for _, t := range ts {
		p.VerificationIds, p.Versions = append(p.VerificationIds, t.VerificationID), append(p.Versions, t.Version)
		p.Projects, p.Environments = append(p.Projects, t.Scope.Project), append(p.Environments, string(t.Scope.Environment))
		p.FromStates, p.ToStates = append(p.FromStates, string(t.From)), append(p.ToStates, string(t.To))
		p.Events, p.Sources = append(p.Events, string(t.Event)), append(p.Sources, string(t.Source))
		p.Rungs, p.Matches = append(p.Rungs, string(t.Rung)), append(p.Matches, string(t.Match))
		p.ReasonCodes, p.Reasons = append(p.ReasonCodes, literal(t.ReasonCodes)), append(p.Reasons, t.Reason)
		p.DeliveryIds, p.CreateTimes = append(p.DeliveryIds, t.DeliveryID), append(p.CreateTimes, t.CreateTime)
	}
	return p
}

func deliveryLists(ds []sqlc.DeliveryInsertParams) sqlc.BatchDeliveryInsertParams {
	var p sqlc.BatchDeliveryInsertParams
	for _, d := range ds {
		p.Ids, p.Projects, p.Environments = append(p.Ids, d.ID), append(p.Projects, d.Project), append(p.Environments, d.Environment)
		p.Connections, p.ReceiveTimes = append(p.Connections, d.Connection), append(p.ReceiveTimes, d.ReceiveTime)
		p.Headers, p.Bodies, p.KeyIds = append(p.Headers, d.Headers), append(p.Bodies, d.Body), append(p.KeyIds, d.KeyID)
		p.PurgeTimes, p.DedupeKeys = append(p.PurgeTimes, fromNullable(d.PurgeTime)), append(p.DedupeKeys, d.DedupeKey)
		p.ProviderEvents, p.ProviderStatuses = append(p.ProviderEvents, d.ProviderEvent), append(p.ProviderStatuses, d.ProviderStatus)
		p.Events, p.Products = append(p.Events, d.Event), append(p.Products, d.Product)
		p.Keys, p.Refs, p.NamedIds = append(p.Keys, literal(d.Keys)), append(p.Refs, literal(d.Refs)), append(p.NamedIds, d.NamedID)
		p.ReasonCodes, p.ProviderTimes = append(p.ReasonCodes, literal(d.ReasonCodes)), append(p.ProviderTimes, fromNullable(d.ProviderTime))
		p.Effects, p.VerificationIds = append(p.Effects, d.Effect), append(p.VerificationIds, d.VerificationID.UUID)
		p.ApplyTimes = append(p.ApplyTimes, fromNullable(d.ApplyTime))
	}
	return p
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
