package store

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/verigate/verigate/gen/sqlc"
	"github.com/verigate/verigate/server/verification"
)

// batch is one transaction that several deliveries share: what plain ones ask
// for is read for all at once, each is judged on that in memory, and what they
// write is written for all at once. It takes two trips to the database, since on a
// busy node each of them costs a wait for the processor, at both ends.
//
//	begin, marks, refs, rows ─► apply, one after the other, each on a draft ─► write, commit
type batch struct {
	queries *sqlc.Queries
	db      sending
	sealer  sealer

	// targets are the ids that each delivery names, directly or by a bound ref.
	targets [][]uuid.UUID
	// fresh are the deliveries whose dedupe keys are new.
	fresh map[uuid.UUID]bool
	// refs are the known bindings, with the new ones.
	refs map[refName]verification.BoundRef
	// rows are the locked verifications as the deliveries so far left them, and
	// versions what they were in the database.
	rows     map[uuid.UUID]*verification.Verification
	versions map[uuid.UUID]int64

	changed     map[uuid.UUID]bool
	bound       []verification.BoundRef
	transitions []*verification.Transition
	deliveries  []*sqlc.DeliveryInsertParams
}

// rollbackPatience is short: whoever is left alone waits for it.
const rollbackPatience = time.Second

type refName struct{ connection, ref string }

// InBatch implements verification.Store. It is not repeated when the database
// asks for it: whoever called does what is left alone.
func (s *Store) InBatch(ctx context.Context, ds []*verification.Delivery, held func(), apply func(tx verification.DeliveryTx, i int) error) (applied []bool, err error) {
	conn, err := s.batches.Acquire(ctx)
	if err != nil {
		return nil, translate(err)
	}
	defer abandon(ctx, conn)
	b := &batch{queries: s.queries, db: conn, sealer: s.sealer, changed: make(map[uuid.UUID]bool)}
	if err := b.read(ctx, ds); err != nil {
		return nil, translate(err)
	}
	held()
	applied = b.judge(ds, apply)
	if err := b.write(ctx, ds, applied); err != nil {
		return nil, translate(err)
	}
	return applied, nil
}

// abandon gives a connection back, without the transaction that an error or a panic
// left on it. If it cannot be rolled back, the pool closes it.
func abandon(ctx context.Context, conn *pgxpool.Conn) {
	defer conn.Release()
	const idle = 'I'
	if conn.Conn().PgConn().TxStatus() == idle {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackPatience)
	defer cancel()
	_, _ = conn.Exec(ctx, "rollback")
}

// judge applies one delivery after the other. One that cannot be applied here
// holds back later ones that name what it names, so that their order is kept, and
// so that none is taken for the repeat of one that is not kept yet.
func (b *batch) judge(ds []*verification.Delivery, apply func(tx verification.DeliveryTx, i int) error) []bool {
	applied := make([]bool, len(ds))
	held := make(map[any]bool)
	for i, d := range ds {
		names := b.names(i, d)
		if !slices.ContainsFunc(names, func(name any) bool { return held[name] }) && b.plain(i, d) {
			own := &draft{batch: b}
			if apply(own, i) == nil {
				b.accept(own)
				applied[i] = true
				continue
			}
		}
		for _, name := range names {
			held[name] = true
		}
	}
	return applied
}

// plain is whether a delivery names somebody, if it has to.
func (b *batch) plain(i int, d *verification.Delivery) bool {
	return d.Effect != "" || len(b.targets[i]) > 0
}

// names are all by which two deliveries can concern the same verification, or be
// the same.
func (b *batch) names(i int, d *verification.Delivery) []any {
	type repeat refName
	names := []any{repeat{d.Connection, d.DedupeKey}}
	for _, ref := range slices.Concat(d.Event.Keys, d.Event.Refs) {
		names = append(names, refName{d.Connection, ref})
	}
	// What was bound by an earlier one of the batch counts as well.
	for _, id := range slices.Concat(b.targets[i], b.target(d)) {
		names = append(names, id)
	}
	return names
}

func (b *batch) accept(d *draft) {
	for id, v := range d.saved {
		b.rows[id], b.changed[id] = v, true
	}
	for _, r := range d.bound {
		b.refs[refName{r.Connection, r.Ref}] = r
	}
	b.bound = append(b.bound, d.bound...)
	b.transitions = append(b.transitions, d.transitions...)
	b.deliveries = append(b.deliveries, d.deliveries...)
}

// read begins, marks the deliveries as seen, finds what is bound and locks what
// they name.
func (b *batch) read(ctx context.Context, ds []*verification.Delivery) error {
	b.fresh, b.refs = make(map[uuid.UUID]bool), make(map[refName]verification.BoundRef)
	b.rows, b.versions = make(map[uuid.UUID]*verification.Verification), make(map[uuid.UUID]int64)
	marks := marks(ds)
	trip := []statement{plainly(ctx, "begin"), func(db sqlc.DBTX) error { return b.markSeen(ctx, db, marks) }}
	if refs, asked := refForms(ds); len(refs.Refs) > 0 {
		trip = append(trip, func(db sqlc.DBTX) error {
			rows, err := b.queries.BatchRefFind(ctx, db, refs)
			b.know(rows, asked)
			return err
		})
	}
	if named := named(ds); len(named.Ids)+len(named.Refs) > 0 {
		trip = append(trip, func(db sqlc.DBTX) error { return b.lock(ctx, db, named) })
	}
	if err := inOneTrip(ctx, b.db, trip...); err != nil {
		return err
	}
	b.targets = make([][]uuid.UUID, len(ds))
	for i, d := range ds {
		b.targets[i] = b.target(d)
	}
	return nil
}

// refForms are all refs that the deliveries name, and which of them each of the
// forms is of.
func refForms(ds []*verification.Delivery) (p sqlc.BatchRefFindParams, asked map[refName]refName) {
	asked = make(map[refName]refName)
	for _, d := range ds {
		for _, ref := range slices.Concat(d.Event.Keys, d.Event.Refs) {
			for _, form := range bothForms(d.Connection, []string{ref}) {
				asked[refName{d.Connection, form}] = refName{d.Connection, ref}
				p.Connections, p.Refs = append(p.Connections, d.Connection), append(p.Refs, form)
			}
		}
	}
	return p, asked
}

// know takes in what is bound; asked says which ref each of the forms is of.
func (b *batch) know(rows []sqlc.ProviderRef, asked map[refName]refName) {
	for _, r := range rows {
		name := asked[refName{r.Connection, r.Ref}]
		if _, two := b.refs[name]; two {
			// Bound in plain and in erased form: nobody knows whose it is.
			delete(b.refs, name)
			continue
		}
		b.refs[name] = verification.BoundRef{
			Connection: r.Connection, Ref: name.ref, VerificationID: r.VerificationID,
			Match: verification.Match(r.Match), CreateTime: r.CreateTime,
		}
	}
}

func (b *batch) target(d *verification.Delivery) []uuid.UUID {
	var ids []uuid.UUID
	if id, err := uuid.Parse(d.Event.VerificationID); err == nil {
		ids = append(ids, id)
	}
	for _, ref := range slices.Concat(d.Event.Keys, d.Event.Refs) {
		if bound, ok := b.refs[refName{d.Connection, ref}]; ok && !slices.Contains(ids, bound.VerificationID) {
			ids = append(ids, bound.VerificationID)
		}
	}
	return ids
}

// marks are those of all deliveries. What is left out in the end loses its mark
// again.
func marks(ds []*verification.Delivery) sqlc.BatchSeenInsertParams {
	type mark struct {
		refName

		id uuid.UUID
		at time.Time
	}
	marks := make([]mark, 0, len(ds))
	for _, d := range ds {
		marks = append(marks, mark{refName{d.Connection, hashedKey(d.DedupeKey)}, d.ID, d.ReceiveTime})
	}
	// The first of two that are the same stays the first.
	slices.SortStableFunc(marks, func(x, y mark) int {
		return cmp.Or(cmp.Compare(x.connection, y.connection), cmp.Compare(x.ref, y.ref))
	})
	var p sqlc.BatchSeenInsertParams
	for _, m := range marks {
		p.Connections, p.DedupeKeys = append(p.Connections, m.connection), append(p.DedupeKeys, m.ref)
		p.DeliveryIds, p.CreateTimes = append(p.DeliveryIds, m.id), append(p.CreateTimes, m.at)
	}
	return p
}

func (b *batch) markSeen(ctx context.Context, db sqlc.DBTX, marks sqlc.BatchSeenInsertParams) error {
	fresh, err := b.queries.BatchSeenInsert(ctx, db, marks)
	for _, id := range fresh {
		b.fresh[id] = true
	}
	return err
}

// named is what names rows, each in the scope of who names it: ids, and refs in
// their plain form. Whose refs were erased was erased, which is nothing plain.
func named(ds []*verification.Delivery) sqlc.BatchLockParams {
	var p sqlc.BatchLockParams
	for _, d := range ds {
		project, environment := d.Scope.Project, string(d.Scope.Environment)
		if id, err := uuid.Parse(d.Event.VerificationID); err == nil {
			p.Ids = append(p.Ids, id)
			p.Projects, p.Environments = append(p.Projects, project), append(p.Environments, environment)
		}
		for _, ref := range slices.Concat(d.Event.Keys, d.Event.Refs) {
			p.Connections, p.Refs = append(p.Connections, d.Connection), append(p.Refs, ref)
			p.RefProjects, p.RefEnvironments = append(p.RefProjects, project), append(p.RefEnvironments, environment)
		}
	}
	return p
}

func (b *batch) lock(ctx context.Context, db sqlc.DBTX, named sqlc.BatchLockParams) error {
	rows, err := b.queries.BatchLock(ctx, db, named)
	if err != nil {
		return err
	}
	locked, err := toVerifications(rows)
	for _, v := range locked {
		b.rows[v.ID], b.versions[v.ID] = v, v.Version
	}
	return err
}
