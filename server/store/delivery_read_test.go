package store_test

import (
	"errors"
	"fmt"
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

// shelf keeps deliveries of every sort and tells them by name, oldest first.
type shelf struct {
	t     testing.TB
	store *store.Store
	names map[uuid.UUID]string
	// about is the verification that some are settled on.
	about uuid.UUID
}

func newShelf(t *testing.T, s *store.Store) *shelf {
	sh := &shelf{t: t, store: s, names: map[uuid.UUID]string{}, about: insert(t, s, nil).ID}
	settled := func(d *verification.Delivery) { d.VerificationID = sh.about }
	sh.keep("applied", verification.Applied, settled)
	sh.keep("unmatched", verification.Unmatched, nil)
	sh.keep("refused", verification.Refused, settled)
	sh.keep("stale", verification.Stale, settled)
	sh.keep("unreadable elsewhere", verification.Unreadable, func(d *verification.Delivery) { d.Connection = "second" })
	sh.keep("live", verification.Unmatched, func(d *verification.Delivery) { d.Scope = live })
	sh.keep("unmatched elsewhere", verification.Unmatched, func(d *verification.Delivery) { d.Connection = "second" })
	return sh
}

func (sh *shelf) keep(name string, effect verification.Effect, change func(*verification.Delivery)) {
	d := keep(sh.t, sh.store, func(d *verification.Delivery) {
		d.Effect = effect
		if change != nil {
			change(d)
		}
	})
	sh.names[d.ID] = name
}

// list returns the names of what a query finds, page by page, newest first.
func (sh *shelf) list(q verification.DeliveryQuery) []string {
	sh.t.Helper()
	if q.Scope == (verification.Scope{}) {
		q.Scope = shop
	}
	found := []string{}
	for q.Limit = 2; ; {
		page, err := sh.store.Deliveries(sh.t.Context(), q)
		if err != nil {
			sh.t.Fatal(err)
		}
		for _, d := range page {
			if d.Body != nil || d.Headers != nil || d.Scope != q.Scope || d.Event.Kind != verification.Passed || d.ApplyTime.IsZero() {
				sh.t.Errorf("the list has %+v", d)
			}
			found = append(found, sh.names[d.ID])
			q.Before = d.ID
		}
		if len(page) < q.Limit {
			return found
		}
	}
}

func TestDeliveriesAreListedNewestFirst(t *testing.T) {
	t.Parallel()
	sh := newShelf(t, open(t, pgtest.New(t)))
	for name, c := range map[string]struct {
		query verification.DeliveryQuery
		want  []string
	}{
		"all of a scope": {verification.DeliveryQuery{}, []string{
			"unmatched elsewhere", "unreadable elsewhere", "stale", "refused", "unmatched", "applied",
		}},
		"of the other environment":   {verification.DeliveryQuery{Scope: live}, []string{"live"}},
		"of a connection":            {verification.DeliveryQuery{Connection: "second"}, []string{"unmatched elsewhere", "unreadable elsewhere"}},
		"with a rare effect":         {verification.DeliveryQuery{Effects: []verification.Effect{verification.Unmatched}}, []string{"unmatched elsewhere", "unmatched"}},
		"with several rare effects":  {verification.DeliveryQuery{Effects: []verification.Effect{verification.Refused, verification.Unmatched, verification.Unreadable, verification.Unknown}}, []string{"unmatched elsewhere", "unreadable elsewhere", "refused", "unmatched"}},
		"with rare and other ones":   {verification.DeliveryQuery{Effects: []verification.Effect{verification.Refused, verification.Stale}}, []string{"stale", "refused"}},
		"with an effect of none":     {verification.DeliveryQuery{Effects: []verification.Effect{verification.Ping}}, []string{}},
		"rare ones of a connection":  {verification.DeliveryQuery{Effects: []verification.Effect{verification.Unmatched}, Connection: "human"}, []string{"unmatched"}},
		"settled on a verification":  {verification.DeliveryQuery{VerificationID: sh.about}, []string{"stale", "refused", "applied"}},
		"the same with an effect":    {verification.DeliveryQuery{VerificationID: sh.about, Effects: []verification.Effect{verification.Stale}}, []string{"stale"}},
		"the same with a connection": {verification.DeliveryQuery{VerificationID: sh.about, Connection: "second"}, []string{}},
		"of a verification elsewhere": {
			verification.DeliveryQuery{Scope: live, VerificationID: sh.about}, []string{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := sh.list(c.query); !slices.Equal(got, c.want) {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}

func TestAListOfDeliveriesTakesATurnAndIsPlannedForItsValues(t *testing.T) {
	t.Parallel()
	s := open(t, with(t, pgtest.New(t), "pool_max_conns", "1"))
	sh := newShelf(t, s)
	queries := map[string]verification.DeliveryQuery{
		"DeliveryList":               {},
		"DeliveryListOdd":            {Effects: []verification.Effect{verification.Unmatched}},
		"DeliveryListOfVerification": {VerificationID: sh.about},
	}
	for name, q := range queries {
		q.Scope, q.Limit = shop, 10
		for range plans {
			if ds, err := s.Deliveries(t.Context(), q); err != nil || len(ds) == 0 {
				t.Fatalf("%s: %d rows (%v)", name, len(ds), err)
			}
		}
		if n, err := s.Prepared(t.Context(), name); err != nil || n != 0 {
			t.Errorf("%s is prepared %d times (%v): Postgres plans what is prepared without its values", name, n, err)
		}
	}
}

// TestAPageOfDeliveriesReadsItsIndexOnly looks at which index finds the rows.
func TestAPageOfDeliveriesReadsItsIndexOnly(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), pgtest.New(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	id := "'" + filled(t, conn) + "'"
	if _, err := conn.Exec(t.Context(), "SET plan_cache_mode = force_custom_plan"); err != nil {
		t.Fatal(err)
	}
	const all = "'ffffffff-ffff-ffff-ffff-ffffffffffff'"
	statements := generated(t)
	for statement, cases := range map[string]map[string][]string{
		"deliveryList": {
			// Where all are one tenant's, the primary key is as good.
			"delivery_page": {"'rival'", "'test'", all, "'{}'", "''", "50"},
		},
		"deliveryListOdd": {
			"delivery_odd_page": {"'{unmatched,refused}'", "'shop'", "'test'", id, "''", "50"},
		},
		"deliveryListOfVerification": {
			"delivery_verification": {"'shop'", "'test'", id, all, "'{}'", "''", "50"},
		},
		"deliverySaidLast": {
			"delivery_verification": {"'shop'", "'test'", id, "500"},
		},
	} {
		if _, err := conn.Exec(t.Context(), "PREPARE "+statement+" AS "+statements[statement]); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
		for index, args := range cases {
			if plan := explain(t, conn, statement, args); !usesIndex(t, conn, plan, index) || growing.MatchString(plan) {
				t.Errorf("%s does not go by %s:\n%s", statement, index, plan)
			}
		}
	}
}

func TestTheHistoryOfAVerificationIsBounded(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.New(t))
	v := insert(t, s, nil)
	for range 2 {
		if err := step(t.Context(), s, v.ID); err != nil {
			t.Fatal(err)
		}
	}
	arrivals := time.Now().UTC().Truncate(time.Microsecond)
	for i, effect := range []verification.Effect{verification.Stale, verification.Applied, verification.Kept, verification.Duplicate} {
		keep(t, s, func(d *verification.Delivery) {
			d.Effect, d.VerificationID, d.ReceiveTime = effect, v.ID, arrivals.Add(time.Duration(i)*time.Second)
		})
	}
	keep(t, s, nil)
	told := func(scope verification.Scope, limit int) string {
		transitions, deliveries, err := s.History(t.Context(), scope, v.ID, limit)
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		for _, tr := range transitions {
			text += fmt.Sprintf("%d ", tr.Version)
		}
		for _, d := range deliveries {
			text += string(d.Effect) + " "
			if d.Body != nil || d.Headers != nil {
				t.Errorf("the history shows what is in %+v", d)
			}
		}
		return strings.TrimSpace(text)
	}
	for _, c := range []struct {
		scope verification.Scope
		limit int
		want  string
	}{
		{shop, 10, "3 2 1 duplicate noted stale"}, {shop, 2, "3 2 duplicate noted"}, {live, 10, ""},
	} {
		if got := told(c.scope, c.limit); got != c.want {
			t.Errorf("up to %d of %v: %q, want %q", c.limit, c.scope, got, c.want)
		}
	}
}

func TestADeliveryThatIsNotThereSaysSo(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.New(t))
	d := keep(t, s, nil)
	for name, at := range map[string]verification.Place{
		"of the other environment": {Scope: live, ID: d.ID},
		"of nobody":                {Scope: shop, ID: uuid.Must(uuid.NewV7())},
	} {
		_, opened := s.Delivery(t.Context(), at.Scope, at.ID)
		_, bare := s.BareDelivery(t.Context(), at.Scope, at.ID)
		locked := s.InTx(t.Context(), func(tx verification.Tx) error {
			_, err := tx.LockDelivery(t.Context(), at.Scope, at.ID)
			return err
		})
		for _, err := range []error{opened, bare, locked} {
			if !errors.Is(err, verification.ErrDeliveryNotFound) {
				t.Errorf("one %s: %v", name, err)
			}
		}
	}
}

func TestADedupeKeyIsSeenElsewhere(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.New(t))
	mine, other := arrived(), arrived()
	seen := func(d *verification.Delivery) (elsewhere bool) {
		t.Helper()
		err := s.InTx(t.Context(), func(tx verification.Tx) (err error) {
			elsewhere, err = tx.SeenElsewhere(t.Context(), d)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return elsewhere
	}
	for range 2 {
		if seen(mine) {
			t.Error("what nobody else brought was seen elsewhere")
		}
	}
	other.DedupeKey = mine.DedupeKey
	if !seen(other) || seen(mine) {
		t.Error("the first that brought a key is not the one that has it")
	}
	other.Connection = "second"
	if seen(other) {
		t.Error("another connection's key was taken for this one's")
	}
}
