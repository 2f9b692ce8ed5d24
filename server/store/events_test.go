package store_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/store"
	"github.com/verigate/verigate/server/verification"
)

// order is an order of events that a test gives itself.
type order struct {
	t     *testing.T
	store *store.Store
	conn  *pgx.Conn
}

func newOrder(t *testing.T) *order {
	t.Helper()
	dsn := pgtest.New(t)
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return &order{t: t, store: open(t, dsn), conn: conn}
}

func (o *order) exec(statement string, args ...any) {
	o.t.Helper()
	if _, err := o.conn.Exec(o.t.Context(), statement, args...); err != nil {
		o.t.Fatal(err)
	}
}

// place gives an event the next place.
func (o *order) place(id uuid.UUID, version int64) verification.EventCursor {
	o.t.Helper()
	o.exec(`INSERT INTO event_position
		SELECT verification_id, version, project, environment,
			(SELECT coalesce(max(position), 0) + 1 FROM event_position), create_time
		FROM transition WHERE verification_id = $1 AND version = $2`, id, version)
	o.exec(`UPDATE event_head SET position = (SELECT max(position) FROM event_position)`)
	return verification.EventCursor{VerificationID: id, Version: version}
}

// start makes a verification whose first event has the next place.
func (o *order) start(change func(v *verification.Verification)) verification.EventCursor {
	o.t.Helper()
	return o.place(insert(o.t, o.store, change).ID, 1)
}

// many makes events of a flow, each of its own verification, at the end.
func (o *order) many(scope verification.Scope, flow string, count int) {
	o.t.Helper()
	o.exec(`WITH made AS (
		INSERT INTO verification (id, project, environment, flow, connection, product, subject, state, version, nonce_hash,
			create_time, update_time, expire_time, grace_until, page_until)
		SELECT gen_random_uuid(), $1, $2, $3, 'human', 'identity', 's', 'created', 1, sha256(gen_random_uuid()::text::bytea),
			now(), now(), now(), now(), now() FROM generate_series(1, $4::int)
		RETURNING id, project, environment
	), moved AS (
		INSERT INTO transition (verification_id, version, project, environment, from_state, to_state, event, source, create_time)
		SELECT id, 1, project, environment, '', 'created', 'started', 'caller', now() FROM made
		RETURNING verification_id, project, environment
	)
	INSERT INTO event_position SELECT verification_id, 1, project, environment,
		(SELECT coalesce(max(position), 0) FROM event_position) + row_number() OVER (), now() FROM moved`,
		scope.Project, string(scope.Environment), flow, count)
}

func (o *order) page(q verification.EventQuery) verification.EventPage {
	o.t.Helper()
	page, err := o.store.Events(o.t.Context(), q)
	if err != nil {
		o.t.Fatal(err)
	}
	return page
}

// cursors are the places of a page's events.
func cursors(page verification.EventPage) []verification.EventCursor {
	at := make([]verification.EventCursor, 0, len(page.Records))
	for _, r := range page.Records {
		at = append(at, verification.EventCursor{VerificationID: r.VerificationID, Version: r.Version})
	}
	return at
}

func TestEventsComeInTheirOrderAndReadOnAfterEachOne(t *testing.T) {
	t.Parallel()
	o := newOrder(t)
	early, late := insert(t, o.store, nil), insert(t, o.store, nil)
	for _, id := range []uuid.UUID{early.ID, late.ID} {
		if err := step(t.Context(), o.store, id); err != nil {
			t.Fatal(err)
		}
	}
	// The order is that of the places, not of ids or times.
	want := []verification.EventCursor{o.place(late.ID, 1), o.place(early.ID, 1)}
	o.start(func(v *verification.Verification) { v.Scope.Environment = verification.Live })
	want = append(want, o.place(early.ID, 2))
	o.start(func(v *verification.Verification) { v.Scope = rival })
	want = append(want, o.place(late.ID, 2))
	after := verification.EventCursor{}
	for i := range len(want) + 1 {
		rest := o.page(verification.EventQuery{Scope: shop, After: after, Limit: 10})
		if got := cursors(rest); !slices.Equal(got, want[i:]) || rest.More || rest.Next != want[len(want)-1] {
			t.Errorf("after %d events come %v, next %v, more %t; want %v", i, got, rest.Next, rest.More, want[i:])
		}
		one := o.page(verification.EventQuery{Scope: shop, After: after, Limit: 1})
		if i == len(want) {
			break
		}
		if got := cursors(one); len(got) != 1 || one.Next != want[i] || one.More != (i < len(want)-1) {
			t.Errorf("one event after %d is %v, next %v, more %t", i, got, one.Next, one.More)
		}
		after = one.Next
	}
}

func TestAnEventTellsTheTransitionAndItsFlowAndNobodysWords(t *testing.T) {
	t.Parallel()
	o := newOrder(t)
	v := insert(t, o.store, func(v *verification.Verification) { v.Flow = "age-gate" })
	told := &verification.Transition{
		VerificationID: v.ID, Version: 2, Scope: shop, From: verification.Created, To: verification.Canceled,
		Event: verification.CancelRequested, Source: verification.SourceCaller, Rung: verification.Rung("payload_key"),
		Match: verification.Exact, ReasonCodes: []string{"canceled_by_caller"}, Reason: "their own words", CreateTime: v.CreateTime,
	}
	err := o.store.InTx(t.Context(), func(tx verification.Tx) error {
		locked, err := tx.Lock(t.Context(), shop, v.ID)
		if err != nil {
			return err
		}
		locked.State, locked.Version, locked.FinalTime = verification.Canceled, 2, v.CreateTime
		return tx.Save(t.Context(), locked, told)
	})
	if err != nil {
		t.Fatal(err)
	}
	o.place(v.ID, 2)
	records := o.page(verification.EventQuery{Scope: shop, Limit: 10}).Records
	if len(records) != 1 {
		t.Fatalf("%d events have a place, want one: what has none is not told", len(records))
	}
	r := records[0]
	if r.Flow != "age-gate" || r.Scope != shop || r.From != told.From || r.To != told.To || r.Event != told.Event ||
		r.Source != told.Source || r.Match != told.Match || !slices.Equal(r.ReasonCodes, told.ReasonCodes) ||
		!r.CreateTime.Equal(told.CreateTime) {
		t.Errorf("the event is %+v", r)
	}
	if r.Reason != "" {
		t.Errorf("it tells the caller's own words: %q", r.Reason)
	}
}

func TestACursorThatIsNotThereIsExpired(t *testing.T) {
	t.Parallel()
	o := newOrder(t)
	first, second := o.start(nil), o.start(nil)
	foreign := o.start(func(v *verification.Verification) { v.Scope = rival })
	unplaced := verification.EventCursor{VerificationID: insert(t, o.store, nil).ID, Version: 1}
	o.exec(`DELETE FROM event_position WHERE verification_id = $1`, first.VerificationID)
	for name, after := range map[string]verification.EventCursor{
		"purged": first, "of another scope": foreign, "without a place": unplaced,
		"of a version that never was": {VerificationID: second.VerificationID, Version: 2},
		"of nothing":                  {VerificationID: uuid.New(), Version: 1},
	} {
		page, err := o.store.Events(t.Context(), verification.EventQuery{Scope: shop, After: after, Limit: 10})
		wantKind(t, err, verification.KindExpired)
		if len(page.Records) != 0 {
			t.Errorf("a cursor %s tells %v", name, cursors(page))
		}
	}
	if got := cursors(o.page(verification.EventQuery{Scope: shop, Limit: 10})); !slices.Equal(got, []verification.EventCursor{second}) {
		t.Errorf("from the oldest on there is %v, want %v", got, second)
	}
	o.exec(`DELETE FROM event_position`)
	_, err := o.store.Events(t.Context(), verification.EventQuery{Scope: shop, After: second, Limit: 10})
	wantKind(t, err, verification.KindExpired)
}

func TestAFilterThatMeetsLittleLooksAtAPageOnly(t *testing.T) {
	t.Parallel()
	o := newOrder(t)
	const common, most = 1200, 500
	first := o.start(func(v *verification.Verification) { v.Flow = "rare" })
	o.many(shop, "common", common)
	last := o.start(func(v *verification.Verification) { v.Flow = "rare" })
	for name, q := range map[string]verification.EventQuery{
		"a flow":            {Flows: []string{"rare", "never"}},
		"a flow and a kind": {Flows: []string{"rare"}, Kinds: []verification.EventKind{verification.Passed, verification.Started}},
	} {
		q.Scope, q.Limit = shop, 10
		var got []verification.EventCursor
		pages := 0
		for more := true; more; pages++ {
			page := o.page(q)
			got = append(got, cursors(page)...)
			if page.Next == q.After {
				t.Fatalf("%s: page %d went nowhere", name, pages)
			}
			q.After, more = page.Next, page.More
		}
		if want := (common + 2 + most - 1) / most; !slices.Equal(got, []verification.EventCursor{first, last}) || pages != want {
			t.Errorf("%s found %v in %d pages, want the two in %d", name, got, pages, want)
		}
	}
	none := o.page(verification.EventQuery{Scope: shop, After: last, Kinds: []verification.EventKind{verification.Passed}, Limit: 10})
	if none.More || none.Next != last || len(none.Records) != 0 {
		t.Errorf("at the end: %+v", none)
	}
	if full := o.page(verification.EventQuery{Scope: shop, Flows: []string{"common"}, Limit: 3}); len(full.Records) != 3 || !full.More {
		t.Errorf("a full page has %d events, more %t", len(full.Records), full.More)
	}
}

func TestTheLatestEventAndTheHead(t *testing.T) {
	t.Parallel()
	o := newOrder(t)
	if at, err := o.store.LatestEvent(t.Context(), shop); err != nil || at != (verification.EventCursor{}) {
		t.Errorf("without an event the latest is %v, %v", at, err)
	}
	o.start(nil)
	want := o.start(nil)
	o.start(func(v *verification.Verification) { v.Scope = rival })
	if at, err := o.store.LatestEvent(t.Context(), shop); err != nil || at != want {
		t.Errorf("the latest is %v, %v; want %v", at, err, want)
	}
	if head, err := o.store.EventHead(t.Context()); err != nil || head != 3 {
		t.Errorf("the head is %d, %v; want 3", head, err)
	}
}

// TestATenantsPlacesAreFoundByThemselves is about a tenant that has most of the
// past: planned by what is common, its stream would walk through everything that
// others did since, each time that it looks for news.
func TestATenantsPlacesAreFoundByThemselves(t *testing.T) {
	t.Parallel()
	o := newOrder(t)
	o.many(shop, "identity", 5000)
	at := o.start(nil)
	o.exec(`ANALYZE`)
	o.many(rival, "identity", 500)
	statements := generated(t)
	for name, args := range map[string][]string{
		"eventPositionList":   {"'shop'", "'test'", "'" + at.VerificationID.String() + "'", "1", "102"},
		"eventPositionLatest": {"'shop'", "'test'"},
	} {
		o.exec("PREPARE " + name + " AS " + statements[name])
		plan := explain(t, o.conn, name, args)
		if !strings.Contains(plan, "event_position_page") || strings.Contains(plan, "event_position_order") {
			t.Errorf("%s walks through everybody's places:\n%s", name, plan)
		}
	}
}

// TestAPageOfEventsIsLookedUpByKeys holds before Postgres has counted anything:
// it then believes that a tenant has next to nothing, and would meet each event of
// a page with everything that the tenant has.
func TestAPageOfEventsIsLookedUpByKeys(t *testing.T) {
	t.Parallel()
	o := newOrder(t)
	at := o.start(nil)
	o.many(shop, "identity", 1200)
	const name = "eventPositionList"
	o.exec("PREPARE " + name + " AS " + generated(t)[name])
	for _, state := range []string{"as it is", "counted"} {
		plan := explain(t, o.conn, name, []string{"'shop'", "'test'", "'" + at.VerificationID.String() + "'", "1", "502"})
		for _, key := range []string{"event_position_pkey", "transition_pkey", "verification_pkey"} {
			if !usesIndex(t, o.conn, plan, key) {
				t.Errorf("%s, a page does not use %s:\n%s", state, key, plan)
			}
		}
		o.exec(`ANALYZE`)
	}
}

func TestEventsOfADatabaseThatIsAwayAreUnavailable(t *testing.T) {
	t.Parallel()
	s := open(t, "postgres://nobody@127.0.0.1:1/none")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := s.Events(ctx, verification.EventQuery{Scope: shop, Limit: 1})
	wantKind(t, err, verification.KindUnavailable)
	_, err = s.LatestEvent(ctx, shop)
	wantKind(t, err, verification.KindUnavailable)
	_, err = s.EventHead(ctx)
	wantKind(t, err, verification.KindUnavailable)
}
