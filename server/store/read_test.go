package store_test

import (
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/store"
	"github.com/verigate/verigate/server/verification"
)

func TestARowComesBackAsItWasStored(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.New(t))
	want := insert(t, s, func(v *verification.Verification) { v.Lane = "human/identity" })
	want.ReasonCodes = []string{"document_expired"}
	want.State, want.Version, want.Match = verification.Declined, 2, verification.Inferred
	want.HostedURL, want.Lane = "https://provider.example.com/v/1", ""
	want.ReturnTime, want.BindTime, want.FinalTime = want.CreateTime.Add(1e9), want.CreateTime.Add(2e9), want.CreateTime.Add(3e9)
	err := s.InTx(t.Context(), func(tx verification.Tx) error {
		if _, err := tx.Lock(t.Context(), shop, want.ID); err != nil {
			return err
		}
		return tx.Save(t.Context(), want, &verification.Transition{
			VerificationID: want.ID, Version: 2, Scope: shop, From: verification.Created, To: verification.Declined,
			Event: verification.Rejected, Source: verification.SourceProvider, Rung: verification.RungSoleOpen,
			Match: verification.Inferred, ReasonCodes: want.ReasonCodes, Reason: "r", CreateTime: want.CreateTime,
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Get(t.Context(), shop, want.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []*verification.Verification{got, want} {
		for _, at := range []*time.Time{&v.CreateTime, &v.UpdateTime, &v.ExpireTime, &v.GraceUntil, &v.PageUntil, &v.ReturnTime, &v.BindTime, &v.FinalTime} {
			*at = at.UTC()
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("stored\n%+v\nread\n%+v", want, got)
	}
}

// page reads all pages and calls between after each.
func page(t *testing.T, s *store.Store, q verification.ListQuery, between func()) []uuid.UUID {
	t.Helper()
	var ids []uuid.UUID
	for {
		vs, err := s.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range vs {
			ids = append(ids, v.ID)
		}
		if len(vs) < q.Limit {
			return ids
		}
		q.Before = ids[len(ids)-1]
		if between != nil {
			between()
		}
	}
}

func TestPagesRepeatAndSkipNothingWhileOthersWrite(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.New(t))
	const rows = 40
	var want []uuid.UUID
	for range rows {
		want = append(want, insert(t, s, nil).ID)
	}
	slices.Reverse(want)
	for name, q := range map[string]verification.ListQuery{
		"all":           {Scope: shop, Limit: 7},
		"one subject":   {Scope: shop, Limit: 7, Subject: "u1"},
		"a page of one": {Scope: shop, Limit: 1},
	} {
		stop, done := make(chan struct{}), sync.WaitGroup{}
		done.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				v := fresh()
				if err := s.InTx(t.Context(), func(tx verification.Tx) error { return create(t.Context(), tx, v) }); err != nil {
					t.Error(err)
					return
				}
			}
		})
		got := page(t, s, q, func() { insert(t, s, nil) })
		close(stop)
		done.Wait()
		// What came while we read is newer and may be on the first page only.
		got = slices.DeleteFunc(got, func(id uuid.UUID) bool { return !slices.Contains(want, id) })
		if !slices.Equal(got, want) {
			t.Errorf("%s: %d ids, want the %d from before, newest first, once each", name, len(got), len(want))
		}
	}
}

func TestListFilters(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.New(t))
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	made := time.Duration(0)
	at := func(d time.Duration) func(*verification.Verification) {
		made += time.Second // one id after the other
		return func(v *verification.Verification) { v.ID, v.CreateTime = idAt(noon.Add(d+made)), noon.Add(d) }
	}
	early, late := insert(t, s, at(0)).ID, insert(t, s, at(time.Hour)).ID
	age := insert(t, s, func(v *verification.Verification) { at(0)(v); v.Flow = "age" }).ID
	other := insert(t, s, func(v *verification.Verification) { at(0)(v); v.Subject = "u2" }).ID
	moved := insert(t, s, at(0)).ID
	if err := step(t.Context(), s, moved); err != nil {
		t.Fatal(err)
	}
	insert(t, s, func(v *verification.Verification) { v.Scope.Environment = verification.Live })
	insert(t, s, func(v *verification.Verification) { v.Scope.Project = "rival" })
	for name, c := range map[string]struct {
		q    verification.ListQuery
		want []uuid.UUID
	}{
		"no filter":           {verification.ListQuery{}, []uuid.UUID{late, moved, other, age, early}},
		"flow":                {verification.ListQuery{Flow: "age"}, []uuid.UUID{age}},
		"subject":             {verification.ListQuery{Subject: "u2"}, []uuid.UUID{other}},
		"subject and flow":    {verification.ListQuery{Subject: "u1", Flow: "age"}, []uuid.UUID{age}},
		"state":               {verification.ListQuery{States: []verification.State{verification.Pending}}, []uuid.UUID{moved}},
		"states":              {verification.ListQuery{States: []verification.State{verification.Pending, verification.Created}, Limit: 2}, []uuid.UUID{late, moved}},
		"flow and states":     {verification.ListQuery{Flow: "age", States: []verification.State{verification.Pending, verification.Created}}, []uuid.UUID{age}},
		"a rare and another":  {verification.ListQuery{States: []verification.State{verification.Pending, verification.Approved}}, []uuid.UUID{moved}},
		"states before":       {verification.ListQuery{Before: other, States: []verification.State{verification.Created}}, []uuid.UUID{age, early}},
		"states from":         {verification.ListQuery{From: noon.Add(time.Hour), States: []verification.State{verification.Created}}, []uuid.UUID{late}},
		"states until":        {verification.ListQuery{Until: noon.Add(time.Hour), States: []verification.State{verification.Created}}, []uuid.UUID{other, age, early}},
		"subject and state":   {verification.ListQuery{Subject: "u1", States: []verification.State{verification.Pending}}, []uuid.UUID{moved}},
		"from, included":      {verification.ListQuery{From: noon.Add(time.Hour)}, []uuid.UUID{late}},
		"until, excluded":     {verification.ListQuery{Until: noon.Add(time.Hour)}, []uuid.UUID{moved, other, age, early}},
		"subject and between": {verification.ListQuery{Subject: "u1", From: noon, Until: noon.Add(time.Microsecond), Flow: "identity"}, []uuid.UUID{moved, early}},
		"before":              {verification.ListQuery{Before: age}, []uuid.UUID{early}},
		"nothing":             {verification.ListQuery{Flow: "nope"}, nil},
	} {
		c.q.Scope = shop
		if c.q.Limit == 0 {
			c.q.Limit = 10
		}
		vs, err := s.List(t.Context(), c.q)
		if err != nil {
			t.Fatal(err)
		}
		var got []uuid.UUID
		for _, v := range vs {
			got = append(got, v.ID)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestTheNewestOfAReferenceIsFound(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.New(t))
	insert(t, s, nil)
	others := insert(t, s, func(v *verification.Verification) { v.Subject = "u2" })
	newest := insert(t, s, nil)
	insert(t, s, func(v *verification.Verification) { v.Reference = "" })
	insert(t, s, func(v *verification.Verification) { v.Scope.Environment = verification.Live })
	if v, err := s.GetByReference(t.Context(), shop, "order-1", ""); err != nil || v.ID != newest.ID {
		t.Errorf("found %+v (%v), want the newest", v, err)
	}
	for subject, want := range map[string]uuid.UUID{"u1": newest.ID, "u2": others.ID} {
		if v, err := s.GetByReference(t.Context(), shop, "order-1", subject); err != nil || v.ID != want {
			t.Errorf("the newest of subject %s is %+v (%v), want %s", subject, v, err, want)
		}
	}
	_, err := s.GetByReference(t.Context(), shop, "order-1", "u3")
	wantKind(t, err, verification.KindNotFound)
	for _, reference := range []string{"", "order-2"} {
		_, err := s.GetByReference(t.Context(), shop, reference, "")
		wantKind(t, err, verification.KindNotFound)
	}
}

func TestOverdueAndUnstartedNameOnlyWhatIsOpen(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.New(t))
	a, b := insert(t, s, nil), insert(t, s, nil)
	if err := step(t.Context(), s, b.ID); err != nil {
		t.Fatal(err)
	}
	overdue, err := s.Overdue(t.Context(), b.ExpireTime, 10)
	if err != nil || !slices.Equal(overdue, []verification.Place{{Scope: shop, ID: a.ID}, {Scope: shop, ID: b.ID}}) {
		t.Errorf("overdue: %v (%v)", overdue, err)
	}
	if overdue, err := s.Overdue(t.Context(), a.ExpireTime.Add(-time.Microsecond), 10); err != nil || len(overdue) != 0 {
		t.Errorf("overdue a moment too early: %v (%v)", overdue, err)
	}
	unstarted, err := s.Unstarted(t.Context(), b.CreateTime.Add(time.Second), 10)
	if err != nil || !slices.Equal(unstarted, []verification.Place{{Scope: shop, ID: a.ID}}) {
		t.Errorf("unstarted: %v (%v)", unstarted, err)
	}
}

func TestRowsAreReadTogetherWhateverTheirScope(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.New(t))
	one := insert(t, s, nil)
	two := insert(t, s, func(v *verification.Verification) {
		v.Scope.Project, v.NonceHash = "another", slices.Repeat([]byte{7}, 32)
	})
	rows, err := s.Verifications(t.Context(), []uuid.UUID{one.ID, uuid.Must(uuid.NewV7()), two.ID})
	if err != nil || len(rows) != 2 {
		t.Fatalf("read %v, %v; want the two that exist", rows, err)
	}
	for _, want := range []*verification.Verification{one, two} {
		if !slices.ContainsFunc(rows, func(v *verification.Verification) bool {
			return v.ID == want.ID && v.Scope == want.Scope && v.Version == want.Version
		}) {
			t.Errorf("%v of %v is missing", want.ID, want.Scope)
		}
	}
	if rows, err := s.Verifications(t.Context(), nil); err != nil || len(rows) != 0 {
		t.Errorf("of no ids: %v, %v", rows, err)
	}
}
