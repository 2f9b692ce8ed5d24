package verification_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/verification"
)

// together runs n functions at the same time and returns their errors.
func together(n int, fn func(i int) error) error {
	errs := make([]error, n)
	var ready, done sync.WaitGroup
	ready.Add(n)
	for i := range n {
		done.Go(func() {
			ready.Done()
			ready.Wait()
			errs[i] = fn(i)
		})
	}
	done.Wait()
	return errors.Join(errs...)
}

const crowd = 12

// nodes returns Services on stores of their own over one database.
func (g *gateway) nodes(n int) []*verification.Service {
	g.t.Helper()
	nodes := make([]*verification.Service, n)
	for i := range nodes {
		nodes[i] = g.node(openStore(g.t, g.dsn))
	}
	return nodes
}

func TestOfManyConflictingDecisionsOneWins(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	nodes := g.nodes(2)
	kinds := []verification.EventKind{passed, rejected, verification.CancelRequested, verification.ProcessingFailed}
	for range 5 {
		id := g.start("identity")
		var mu sync.Mutex
		effects := map[verification.Effect]int{}
		err := together(crowd, func(i int) error {
			d := withKey(g.webhook(kinds[i%len(kinds)], "verification:"+id.String()), tokenOf(id))
			effect, err := nodes[i%len(nodes)].Deliver(t.Context(), d)
			mu.Lock()
			defer mu.Unlock()
			effects[effect]++
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		// Each kind comes three times: the winner's other two say what is so.
		if effects[applied] != 1 || effects[duplicate] != crowd/len(kinds)-1 || effects[refused] != crowd-crowd/len(kinds) {
			t.Errorf("the effects are %v", effects)
		}
		if timeline := g.timeline(id); len(timeline) != 3 {
			t.Errorf("%d transitions, want 3", len(timeline))
		}
	}
}

func TestOneDedupeKeyIsAppliedOnce(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	nodes := g.nodes(2)
	id := g.start("identity")
	var mu sync.Mutex
	effects := map[verification.Effect]int{}
	err := together(crowd, func(i int) error {
		d := withKey(g.webhook(passed, "verification:1"), tokenOf(id))
		d.DedupeKey = "id:evt_1"
		effect, err := nodes[i%len(nodes)].Deliver(t.Context(), d)
		mu.Lock()
		defer mu.Unlock()
		effects[effect]++
		return err
	})
	if err != nil || effects[applied] != 1 || effects[duplicate] != crowd-1 {
		t.Errorf("the effects are %v (%v)", effects, err)
	}
	var rows int
	if err := g.db.QueryRow(t.Context(), `SELECT count(*) FROM delivery WHERE dedupe_key = encode(sha256('id:evt_1'), 'hex')`).Scan(&rows); err != nil || rows != crowd {
		t.Errorf("%d deliveries are stored (%v), want %d", rows, err, crowd)
	}
}

func TestOfManyUnnamedWebhooksOnlyOneIsPinnedOnTheOnlyPerson(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	nodes := g.nodes(2)
	id := g.start("identity")
	var mu sync.Mutex
	effects := map[verification.Effect]int{}
	err := together(crowd, func(i int) error {
		effect, err := nodes[i%len(nodes)].Deliver(t.Context(), g.webhook(passed, fmt.Sprintf("verification:%d", i)))
		mu.Lock()
		defer mu.Unlock()
		effects[effect]++
		return err
	})
	if err != nil || effects[applied] > 1 || effects[unmatched] != crowd-effects[applied] {
		t.Errorf("the effects are %v (%v)", effects, err)
	}
	var refs int
	row := g.db.QueryRow(t.Context(), `SELECT count(*) FROM provider_ref WHERE verification_id = $1 AND ref LIKE 'verification:%'`, id)
	if err := row.Scan(&refs); err != nil || refs != effects[applied] {
		t.Errorf("%d provider ids are bound (%v)", refs, err)
	}
}

// TestAProviderIdIsNeverSharedInARace lets two exact deliveries fight over one
// new provider id: at most one of them may have it.
func TestAProviderIdIsNeverSharedInARace(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	nodes := g.nodes(2)
	for round := range 10 {
		ids := []uuid.UUID{g.start("identity"), g.start("identity")}
		ref := fmt.Sprintf("verification:%d", round)
		var mu sync.Mutex
		won := 0
		err := together(len(ids), func(i int) error {
			effect, err := nodes[i].Deliver(t.Context(), withKey(g.webhook(passed, ref), tokenOf(ids[i])))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil && effect == applied:
				won++
			case err != nil && verification.KindOf(err) != verification.KindRaced:
				return err
			case err == nil && effect != unmatched:
				return fmt.Errorf("the loser's effect is %s", effect)
			}
			return nil
		})
		if err != nil || won != 1 {
			t.Fatalf("%d deliveries won the provider id (%v), want 1", won, err)
		}
		passes := 0
		for _, id := range ids {
			if g.get(id).State == approved {
				passes++
			}
		}
		if passes != 1 {
			t.Fatalf("one provider id approved %d people", passes)
		}
	}
}

func TestReturnAndWebhookAtTheSameMomentMeet(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	nodes := g.nodes(2)
	for range 8 {
		id := g.start("identity")
		other := g.start("identity")
		d := g.webhook(passed, "verification:"+id.String())
		nonce := g.company.nonceOf(t, id)
		err := together(2, func(i int) error {
			if i == 0 {
				_, err := nodes[0].Returned(t.Context(), verification.Return{Nonce: nonce})
				return err
			}
			_, err := nodes[1].Deliver(t.Context(), d)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		g.sweep()
		g.want(id, approved, verification.Inferred)
		g.want(other, pending, verification.NoMatch)
		g.timeline(id)
		g.deliver(withKey(g.webhook(rejected), tokenOf(other)), applied)
		g.clock.forward(2 * window)
	}
}

func TestEachOverdueVerificationExpiresOnce(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	ids := make([]uuid.UUID, 0, crowd)
	for range crowd {
		ids = append(ids, g.start("identity"))
	}
	g.clock.forward(lifetime)
	nodes := g.nodes(3)
	if err := together(len(nodes), func(i int) error { return nodes[i].Sweep(t.Context()) }); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		g.want(id, expired, verification.NoMatch)
		if timeline := g.timeline(id); len(timeline) != 3 || timeline[2].Source != verification.SourceClock {
			t.Errorf("%d transitions, the last by %s", len(timeline), timeline[len(timeline)-1].Source)
		}
	}
	if n := g.meter.count("lifetime_ended/clock/applied"); n != crowd {
		t.Errorf("%d expiries were counted, want %d", n, crowd)
	}
}

func TestSweepAndDecisionRaceEndsDecided(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	nodes := g.nodes(2)
	for range 6 {
		id := g.start("identity")
		g.clock.forward(lifetime)
		d := withKey(g.webhook(passed), tokenOf(id))
		err := together(2, func(i int) error {
			if i == 0 {
				return nodes[0].Sweep(t.Context())
			}
			effect, err := nodes[1].Deliver(t.Context(), d)
			if err == nil && effect != applied {
				err = fmt.Errorf("the decision was %s", effect)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		g.want(id, approved, verification.Exact)
		g.timeline(id)
	}
}

func (m *meter) count(what string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.effects[what]
}
