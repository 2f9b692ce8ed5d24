package store_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/store"
	"github.com/verigate/verigate/server/verification"
)

func TestOpenVerificationsAreCounted(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.New(t))
	for i := range 6 {
		v := insert(t, s, func(v *verification.Verification) { v.Subject = fmt.Sprintf("u%d", i%2) })
		if err := step(t.Context(), s, v.ID); err != nil {
			t.Fatal(err)
		}
	}
	insert(t, s, func(v *verification.Verification) { v.Flow = "age" })
	insert(t, s, func(v *verification.Verification) { v.Scope = live })
	insert(t, s, func(v *verification.Verification) { v.Scope = rival })
	over := insert(t, s, nil)
	over.State, over.FinalTime = verification.Canceled, over.CreateTime
	in(t, s, func(tx verification.Tx) error { return tx.Save(t.Context(), over, nil) })
	for _, c := range []struct {
		scope   verification.Scope
		flow    string
		subject string
		limit   int
		want    int
	}{
		{shop, "identity", "", 100, 6},
		{shop, "identity", "", 4, 4},
		{shop, "identity", "u1", 100, 3},
		{shop, "identity", "u1", 2, 2},
		{shop, "identity", "u9", 100, 0},
		{shop, "age", "", 100, 1},
		{live, "identity", "", 100, 1},
		{rival, "identity", "u1", 100, 1},
	} {
		in(t, s, func(tx verification.Tx) error {
			got, err := tx.CountOpen(t.Context(), c.scope, c.flow, c.subject, c.limit)
			if got != c.want {
				t.Errorf("%+v: counted %d", c, got)
			}
			return err
		})
	}
}

// errFull says that a limit was met.
var errFull = verification.NewError(verification.KindLimited, "FULL", "full")

func TestStartsAtOnceNeverExceedALimit(t *testing.T) {
	t.Parallel()
	const limit, crowd = 3, 24
	dsn := pgtest.New(t)
	nodes := []*store.Store{open(t, dsn), open(t, dsn)}
	for name, c := range map[string]struct {
		subject string
		flow    string
	}{"of a flow": {"", "identity"}, "of a subject": {"u1", "age"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var made, full atomic.Int64
			var all sync.WaitGroup
			for i := range crowd {
				all.Go(func() {
					v := fresh()
					v.Flow = c.flow
					err := nodes[i%len(nodes)].InTx(t.Context(), func(tx verification.Tx) error {
						open, err := tx.CountOpen(t.Context(), shop, c.flow, c.subject, limit)
						if err != nil {
							return err
						}
						if open >= limit {
							return errFull
						}
						return create(t.Context(), tx, v)
					})
					switch {
					case err == nil:
						made.Add(1)
					case errors.Is(err, errFull):
						full.Add(1)
					default:
						t.Error(err)
					}
				})
			}
			all.Wait()
			if made.Load() != limit || full.Load() != crowd-limit {
				t.Errorf("%d were made and %d refused, want %d and %d", made.Load(), full.Load(), limit, crowd-limit)
			}
		})
	}
}
