package verification_test

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/verigate/verigate/server/verification"
)

func TestErasingAgainDoesTheRestAndNothingTwice(t *testing.T) {
	t.Parallel()
	const many = 55 // more than one transaction takes
	begin := func(g *gateway) {
		for range many {
			g.row(g.clock.Now().Add(grace))
		}
		if _, err := g.db.Exec(g.t.Context(), `UPDATE verification SET subject = $1`, anna); err != nil {
			g.t.Fatal(err)
		}
	}
	told := func(g *gateway, e verification.Erasure) (verifications int) {
		g.t.Helper()
		entries, err := g.store.AuditEntries(g.t.Context(), verification.AuditQuery{Scope: shop, Target: e.ID.String(), Limit: 10})
		if err != nil {
			g.t.Fatal(err)
		}
		for _, entry := range entries {
			n, err := strconv.Atoi(entry.Details["verifications"])
			if err != nil {
				g.t.Fatal(err)
			}
			verifications += n
		}
		return verifications
	}
	sentences(t, map[string]func(g *gateway){
		"many are erased in several transactions": func(g *gateway) {
			begin(g)
			e := g.erase()
			if e.Verifications != many || e.Canceled != many || told(g, e) != many {
				g.t.Errorf("the erasure is %+v, the audit log tells of %d", e, told(g, e))
			}
			if again := g.erase(); again.Verifications != 0 || again.Deliveries != 0 || again.ID == e.ID {
				g.t.Errorf("the second is %+v", again)
			}
			g.gone(anna)
		},
		"an interrupted one is told as far as it went, and a second does the rest": func(g *gateway) {
			begin(g)
			broken := &cutStore{Store: g.store}
			broken.left.Store(1)
			first, err := g.node(broken).EraseSubject(g.t.Context(), shop, anna, "TICKET-7", operator)
			wantKind(g.t, err, verification.KindUnavailable)
			rest := g.erase()
			if first.Verifications == 0 || first.Verifications+rest.Verifications != many || told(g, first) != int(first.Verifications) {
				g.t.Errorf("first %+v, then %+v", first, rest)
			}
			g.gone(anna)
		},
		"of two at once each ends when nothing is left": func(g *gateway) {
			begin(g)
			nodes, done := g.nodes(2), make([]verification.Erasure, 2)
			err := together(len(nodes), func(i int) error {
				var err error
				done[i], err = nodes[i].EraseSubject(g.t.Context(), shop, anna, "TICKET-7", operator)
				if err != nil {
					return err
				}
				left, err := g.List(g.t.Context(), verification.ListQuery{Scope: shop, Subject: anna, Limit: 1})
				if len(left) > 0 {
					err = fmt.Errorf("node %d says that all is done, and it is not", i)
				}
				return err
			})
			if err != nil || done[0].Verifications+done[1].Verifications != many {
				g.t.Errorf("%+v (%v)", done, err)
			}
		},
	})
}
