package verification_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/verigate/verigate/server/verification"
)

// saying is one delivery of a sequence, told without ids.
type saying struct {
	// about is which verification it names, by its id or by a bound ref.
	about int
	byRef bool
	kind  verification.EventKind
	// again is the earlier delivery that it repeats, or -1.
	again int
}

func drawSaid(rt *rapid.T, rows int) []saying {
	n := rapid.IntRange(1, 14).Draw(rt, "deliveries")
	sequence := make([]saying, 0, n)
	for i := range n {
		s := saying{
			about: rapid.IntRange(0, rows-1).Draw(rt, "about"), byRef: rapid.Bool().Draw(rt, "by ref"),
			kind: rapid.SampledFrom(verification.EventKinds()).Draw(rt, "kind"), again: -1,
		}
		if i > 0 && rapid.IntRange(0, 4).Draw(rt, "repeat") == 0 {
			s = sequence[rapid.IntRange(0, i-1).Draw(rt, "of")]
			if s.again < 0 {
				s.again = slices.Index(sequence, s)
			}
		}
		sequence = append(sequence, s)
	}
	return sequence
}

// stage makes fresh verifications and the deliveries of a sequence about them.
func (g *gateway) stage(rt *rapid.T, rows int, sequence []saying) ([]uuid.UUID, []*verification.Delivery) {
	ids, refs := make([]uuid.UUID, rows), make([]string, rows)
	for i := range ids {
		ids[i] = g.row(g.clock.Now().Add(grace))
		refs[i] = "verification:" + ids[i].String()
		err := g.store.InTx(context.Background(), func(tx verification.Tx) error {
			return tx.BindRef(context.Background(), verification.BoundRef{
				Connection: "human", Ref: refs[i], VerificationID: ids[i], Match: verification.Exact, CreateTime: g.clock.Now(),
			})
		})
		if err != nil {
			rt.Fatal(err)
		}
	}
	deliveries := make([]*verification.Delivery, 0, len(sequence))
	for _, s := range sequence {
		d := g.webhook(s.kind)
		if s.byRef {
			d.Event.Refs = []string{refs[s.about]}
		} else {
			withID(d, ids[s.about].String())
		}
		if s.again >= 0 {
			d.DedupeKey = deliveries[s.again].DedupeKey
		}
		deliveries = append(deliveries, d)
	}
	return ids, deliveries
}

func TestTogetherIsAsOneAfterTheOther(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	rapid.Check(t, func(rt *rapid.T) {
		rows := rapid.IntRange(1, 3).Draw(rt, "verifications")
		sequence := drawSaid(rt, rows)
		single, alone := g.stage(rt, rows, sequence)
		shared, batched := g.stage(rt, rows, sequence)
		for _, d := range alone {
			if _, err := g.Service.Deliver(context.Background(), d); err != nil {
				rt.Fatal(err)
			}
		}
		for start := 0; start < len(batched); {
			end := rapid.IntRange(start+1, len(batched)).Draw(rt, "until")
			g.applyTogether(rt, batched[start:end])
			start = end
		}
		for i := range sequence {
			if alone[i].Effect != batched[i].Effect {
				rt.Fatalf("delivery %d (%+v) is %s alone and %s together", i, sequence[i], alone[i].Effect, batched[i].Effect)
			}
		}
		for i := range rows {
			want, got := g.outline(rt, single[i]), g.outline(rt, shared[i])
			if want != got {
				rt.Fatalf("verification %d ends as\n%s\nand together as\n%s", i, want, got)
			}
		}
	})
}

// applyTogether does what the ingress does with deliveries that wait together.
func (g *gateway) applyTogether(rt *rapid.T, ds []*verification.Delivery) {
	outcomes := g.DeliverTogether(context.Background(), ds, func() {})
	for i, o := range outcomes {
		if !o.Applied {
			if _, err := g.Service.Deliver(context.Background(), ds[i]); err != nil {
				rt.Fatal(err)
			}
		}
	}
}

// outline is a verification and its history without ids and clocks.
func (g *gateway) outline(rt *rapid.T, id uuid.UUID) string {
	v, err := g.store.Get(context.Background(), shop, id)
	timeline, err2 := g.store.Transitions(context.Background(), shop, id)
	if err := errors.Join(err, err2); err != nil {
		rt.Fatal(err)
	}
	text := fmt.Sprintf("%s %d %s %v bound %t fetch %t\n", v.State, v.Version, v.Match, v.ReasonCodes, !v.BindTime.IsZero(), !v.FetchTime.IsZero())
	for _, tr := range timeline {
		text += fmt.Sprintf("%d %s-%s-%s %s %s %s\n", tr.Version, tr.From, tr.Event, tr.To, tr.Source, tr.Rung, tr.Match)
	}
	return text
}

func TestAnyBatchesAtOnceEndWhereTheRulesSay(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	nodes := g.nodes(3)
	rapid.Check(t, func(rt *rapid.T) {
		kinds := rapid.SliceOfN(rapid.SampledFrom(verification.EventKinds()), 2, 8).Draw(rt, "events")
		id := g.row(g.clock.Now().Add(grace))
		deliveries := make([]*verification.Delivery, 0, len(kinds))
		for _, kind := range kinds {
			deliveries = append(deliveries, withID(g.webhook(kind), id.String()))
		}
		err := together(len(nodes), func(n int) error {
			var mine []*verification.Delivery
			for i := n; i < len(deliveries); i += len(nodes) {
				mine = append(mine, deliveries[i])
			}
			outcomes := nodes[n].DeliverTogether(context.Background(), mine, func() {})
			for i, o := range outcomes {
				if !o.Applied {
					if _, err := nodes[n].Deliver(context.Background(), mine[i]); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err == nil {
			err = g.accountsFor(id, kinds, deliveries)
		}
		if err != nil {
			rt.Fatal(err)
		}
	})
}

func TestANeighbourThatCannotBeStoredFailsAlone(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	const rows = 3
	var ds []*verification.Delivery
	for range rows {
		ds = append(ds, withID(g.webhook(passed), g.row(g.clock.Now().Add(grace)).String()))
	}
	// Postgres takes no zero byte in a text.
	ds[1].ProviderEvent = "bad\x00"
	applyAll(t, g, ds, map[int]bool{1: true})
	for _, i := range []int{0, 2} {
		g.stored(ds[i], applied)
	}
}

// applyAll delivers together, and alone what is left; those that must fail do.
func applyAll(t *testing.T, g *gateway, ds []*verification.Delivery, fails map[int]bool) []verification.Outcome {
	t.Helper()
	outcomes := g.DeliverTogether(t.Context(), ds, func() {})
	for i, o := range outcomes {
		if o.Applied {
			continue
		}
		if _, err := g.Service.Deliver(t.Context(), ds[i]); (err != nil) != fails[i] {
			t.Errorf("delivery %d alone: %v, want a failure: %t", i, err, fails[i])
		}
	}
	return outcomes
}

func TestAVerificationThatIsHeldHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	held, free := g.row(g.clock.Now().Add(grace)), g.row(g.clock.Now().Add(grace))
	ds := []*verification.Delivery{
		withID(g.webhook(passed), held.String()), withID(g.webhook(passed), free.String()),
		withID(g.webhook(verification.RevisedToRejected), held.String()),
	}
	holder, err := g.db.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := holder.Exec(t.Context(), "SELECT 1 FROM verification WHERE id = $1 FOR UPDATE", held); err != nil {
		t.Fatal(err)
	}
	outcomes := g.DeliverTogether(t.Context(), ds, func() {})
	if outcomes[0].Applied || !outcomes[1].Applied || outcomes[2].Applied {
		t.Fatalf("applied are %v, want the second only", outcomes)
	}
	if err := holder.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Nothing of those that were left out was kept: they are no repeats.
	for _, i := range []int{0, 2} {
		if effect, err := g.Service.Deliver(t.Context(), ds[i]); err != nil || effect != applied {
			t.Errorf("delivery %d alone is %s (%v), want it applied", i, effect, err)
		}
	}
}

func TestARepeatOfWhatIsLeftOutIsLeftOut(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	nameless := g.webhook(passed)
	repeat := *nameless
	repeat.ID = uuid.Must(uuid.NewV7())
	outcomes := applyAll(t, g, []*verification.Delivery{nameless, &repeat}, nil)
	if outcomes[0].Applied || outcomes[1].Applied {
		t.Fatalf("applied are %v, want none: one names nobody, and the other is the same", outcomes)
	}
	g.stored(nameless, verification.Unmatched)
	g.stored(&repeat, duplicate)
}

// Refs may hold whatever a provider makes its ids of.
func TestListsAreStoredAsTheyAre(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	id := g.row(g.clock.Now().Add(grace))
	d := withID(g.webhook(passed), id.String())
	d.Event.Refs = []string{`a"b`, `back\slash`, "{curly}", "comma,", "", "NULL", " space ", "newline\n", "ünï☃", `\"`, "'"}
	d.Event.ReasonCodes = []string{"one", `t"wo`}
	outcomes := g.DeliverTogether(t.Context(), []*verification.Delivery{d}, func() {})
	if !outcomes[0].Applied || outcomes[0].Effect != applied {
		t.Fatalf("it was %+v", outcomes[0])
	}
	kept, err := g.store.Delivery(t.Context(), shop, d.ID)
	if err != nil || !slices.Equal(kept.Event.Refs, d.Event.Refs) || !slices.Equal(kept.Event.ReasonCodes, d.Event.ReasonCodes) {
		t.Errorf("kept are %q and %q (%v)", kept.Event.Refs, kept.Event.ReasonCodes, err)
	}
	if !maps.Equal(kept.Headers, d.Headers) || string(kept.Body) != string(d.Body) || !kept.ReceiveTime.Equal(d.ReceiveTime) {
		t.Errorf("kept are %v, %s, %v", kept.Headers, kept.Body, kept.ReceiveTime)
	}
	rows, err := g.db.Query(t.Context(), "SELECT ref FROM provider_ref WHERE verification_id = $1", id)
	if err != nil {
		t.Fatal(err)
	}
	bound, err := pgx.CollectRows(rows, pgx.RowTo[string])
	slices.Sort(bound)
	want := slices.Sorted(slices.Values(d.Event.Refs))
	if err != nil || !slices.Equal(bound, want) {
		t.Errorf("bound are %q (%v), want %q", bound, err, want)
	}
	var nulls int
	err = g.db.QueryRow(t.Context(), `SELECT count(*) FROM delivery WHERE id = $1 AND provider_time IS NULL AND purge_time IS NULL
		AND verification_id = $2 AND apply_time = $3`, d.ID, id, g.clock.Now()).Scan(&nulls)
	if err != nil || nulls != 1 {
		t.Errorf("what was not said is not null (%v)", err)
	}
	v, err := g.store.Get(t.Context(), shop, id)
	if err != nil || v.Lane != "" || !v.ReturnTime.IsZero() || v.FinalTime.IsZero() || v.BindTime.IsZero() {
		t.Errorf("the verification is %+v (%v)", v, err)
	}
}

// What waited for a binding is freed by the next sweep.
func TestABatchFreesWhatWaitedForIt(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	id := g.row(g.clock.Now().Add(grace))
	g.row(g.clock.Now().Add(grace)) // so that nobody guesses
	waits := g.webhook(passed, "verification:late")
	applyAll(t, g, []*verification.Delivery{waits}, nil)
	g.stored(waits, verification.Unmatched)
	g.clock.forward(time.Second)
	names := withID(g.webhook(verification.PersonSubmitted, "verification:late"), id.String())
	outcomes := applyAll(t, g, []*verification.Delivery{names}, nil)
	if !outcomes[0].Applied {
		t.Fatal("what names its verification was left out")
	}
	g.sweep()
	g.stored(waits, applied)
}

// panicking is a store whose rows are fine until one delivery is kept.
type panicking struct {
	verification.Store
	poison uuid.UUID
}

func (p panicking) InBatch(ctx context.Context, ds []*verification.Delivery, held func(), apply func(tx verification.DeliveryTx, i int) error) ([]bool, error) {
	return p.Store.InBatch(ctx, ds, held, func(tx verification.DeliveryTx, i int) error {
		err := apply(tx, i)
		if ds[i].ID == p.poison {
			panic("a broken adapter")
		}
		return err
	})
}

// After a panic nothing was kept, and what was made of the deliveries until then
// must not be taken for what their provider said.
func TestAfterAPanicDeliveriesAreAsTheyCame(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	ids := []uuid.UUID{g.row(g.clock.Now().Add(grace)), g.row(g.clock.Now().Add(grace))}
	ds := []*verification.Delivery{withID(g.webhook(passed), ids[0].String()), withID(g.webhook(passed), ids[1].String())}
	node := g.node(panicking{g.store, ds[1].ID})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		node.DeliverTogether(t.Context(), ds, func() {})
	}()
	for i, d := range ds {
		if d.Effect != "" || d.VerificationID != uuid.Nil {
			t.Errorf("delivery %d is %s about %s", i, d.Effect, d.VerificationID)
		}
		if effect, err := node.Deliver(t.Context(), d); err != nil || effect != applied {
			t.Errorf("delivery %d alone is %s, %v", i, effect, err)
		}
		g.want(ids[i], approved, verification.Exact)
	}
}

// A batch may commit and its answer be lost: each is tried alone then, and must
// not fail because it is there.
func TestWhatABatchKeptIsNoErrorAlone(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	id := g.row(g.clock.Now().Add(grace))
	d := withID(g.webhook(passed), id.String())
	again := *d
	if outcome := g.DeliverTogether(t.Context(), []*verification.Delivery{d}, func() {})[0]; !outcome.Applied {
		t.Fatal("it was left out")
	}
	if effect, err := g.Service.Deliver(t.Context(), &again); err != nil || effect != duplicate {
		t.Errorf("tried again it is %s, %v", effect, err)
	}
	g.stored(d, applied)
	g.want(id, approved, verification.Exact)
}
