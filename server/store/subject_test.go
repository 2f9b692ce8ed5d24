package store_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/store"
	"github.com/verigate/verigate/server/verification"
)

var (
	live  = verification.Scope{Project: "shop", Environment: verification.Live}
	rival = verification.Scope{Project: "rival", Environment: verification.Test}
)

// in runs fn in a transaction that must succeed.
func in(t testing.TB, s *store.Store, fn func(tx verification.Tx) error) {
	t.Helper()
	if err := s.InTx(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func bind(t testing.TB, s *store.Store, ref string, id uuid.UUID) error {
	t.Helper()
	return s.InTx(t.Context(), func(tx verification.Tx) error {
		return tx.BindRef(t.Context(), verification.BoundRef{
			Connection: "human", Ref: ref, VerificationID: id, Match: verification.Exact, CreateTime: time.Now(),
		})
	})
}

// erase blanks a verification, as the domain does.
func erase(t testing.TB, s *store.Store, id uuid.UUID) (deliveries int64) {
	t.Helper()
	in(t, s, func(tx verification.Tx) error {
		v, err := tx.Lock(t.Context(), shop, id)
		if err != nil {
			return err
		}
		v.Subject, v.Reference, v.Metadata = verification.ErasedSubject, "", nil
		v.HostedURL, v.RedirectURL, v.FailureRedirectURL, v.CallbackURL, v.EventsCallbackURL = "", "", "", "", ""
		v.EraseTime = time.Now()
		deliveries, err = tx.Erase(t.Context(), v)
		return err
	})
	return deliveries
}

func TestAnErasedRefIsRecognisedAndNotReadable(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	s := open(t, dsn)
	a, b := insert(t, s, nil), insert(t, s, nil)
	if err := errors.Join(bind(t, s, "token:"+marker, a.ID), bind(t, s, "token:b", b.ID)); err != nil {
		t.Fatal(err)
	}
	in(t, s, func(tx verification.Tx) error {
		return tx.AddHint(t.Context(), "human", "verification:"+marker, a.ID, a.CreateTime)
	})
	for range 2 { // the second time there is nothing left to do
		erase(t, s, a.ID)
	}
	for _, table := range []string{"provider_ref", "return_hint"} {
		if n := ask[int64](t, dsn, `SELECT count(*) FROM `+table+` r WHERE strpos(r::text, $1) > 0`, marker); n != 0 {
			t.Errorf("%s still says the ref", table)
		}
	}
	in(t, s, func(tx verification.Tx) error {
		bound, err := tx.FindRefs(t.Context(), "human", []string{"token:" + marker, "token:b", "token:c"})
		if err != nil {
			return err
		}
		got := map[string]uuid.UUID{}
		for _, r := range bound {
			got[r.Ref] = r.VerificationID
		}
		if len(bound) != 2 || got["token:"+marker] != a.ID || got["token:b"] != b.ID {
			t.Errorf("found are %+v", bound)
		}
		if elsewhere, err := tx.FindRefs(t.Context(), "second", []string{"token:" + marker}); err != nil || len(elsewhere) != 0 {
			t.Errorf("another connection finds %+v (%v)", elsewhere, err)
		}
		claims, err := tx.Hinted(t.Context(), "human", []string{"verification:" + marker})
		if !slices.Equal(claims, []uuid.UUID{a.ID}) {
			t.Errorf("the claim is found as %v", claims)
		}
		return err
	})
	if err := bind(t, s, "token:"+marker, a.ID); err != nil {
		t.Errorf("binding it again to the same: %v", err)
	}
	if err := bind(t, s, "token:"+marker, b.ID); !errors.Is(err, verification.ErrRefTaken) {
		t.Errorf("binding it to another: %v, want ErrRefTaken", err)
	}
}

func TestErasingWaitsForNoVersionButItsOwn(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.New(t))
	v := insert(t, s, nil)
	for name, change := range map[string]func(v *verification.Verification){
		"a version that moved": func(v *verification.Verification) { v.Version = 7 },
		"another environment":  func(v *verification.Verification) { v.Scope = live },
		"another project":      func(v *verification.Verification) { v.Scope = rival },
	} {
		other := *v
		change(&other)
		err := s.InTx(t.Context(), func(tx verification.Tx) error {
			_, err := tx.Erase(t.Context(), &other)
			return err
		})
		wantKind(t, err, verification.KindRaced)
		if got, err := s.Get(t.Context(), shop, v.ID); err != nil || got.Subject != "u1" {
			t.Errorf("%s: the row is %+v (%v)", name, got, err)
		}
	}
}

func TestErasingEmptiesWhatIsItsOwn(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	s := open(t, dsn)
	v, other := insert(t, s, nil), insert(t, s, nil)
	if err := errors.Join(bind(t, s, "token:mine", v.ID), bind(t, s, "token:other", other.ID)); err != nil {
		t.Fatal(err)
	}
	parked := func(change func(d *verification.Delivery)) func(d *verification.Delivery) {
		return func(d *verification.Delivery) {
			d.Event.Keys, d.Event.Refs, d.Event.VerificationID = nil, nil, ""
			change(d)
		}
	}
	settled := func(id uuid.UUID) func(d *verification.Delivery) {
		return func(d *verification.Delivery) { d.Effect, d.VerificationID = verification.Applied, id }
	}
	own := map[string]*verification.Delivery{
		"settled on it":              keep(t, s, settled(v.ID)),
		"parked, with its key":       keep(t, s, parked(func(d *verification.Delivery) { d.Event.Keys = []string{"token:x", "token:mine"} })),
		"parked, with its ref":       keep(t, s, parked(func(d *verification.Delivery) { d.Event.Refs = []string{"token:mine"} })),
		"parked, with its id":        keep(t, s, parked(func(d *verification.Delivery) { d.Event.VerificationID = v.ID.String() })),
		"parked, its id in capitals": keep(t, s, parked(func(d *verification.Delivery) { d.Event.VerificationID = strings.ToUpper(v.ID.String()) })),
	}
	keep(t, s, func(d *verification.Delivery) { settled(v.ID)(d); d.ReceiveTime = d.ReceiveTime.Add(-time.Hour) })
	purge(t, s, v.CreateTime.Add(-time.Minute), 10) // of this one there is nothing left to empty
	foreign := map[string]*verification.Delivery{
		"settled on another":       keep(t, s, settled(other.ID)),
		"parked, of another":       keep(t, s, parked(func(d *verification.Delivery) { d.Event.Keys = []string{"token:other"} })),
		"parked, of nobody":        keep(t, s, parked(func(*verification.Delivery) {})),
		"of another environment":   keep(t, s, parked(func(d *verification.Delivery) { d.Scope, d.Event.Keys = live, []string{"token:mine"} })),
		"of another project":       keep(t, s, func(d *verification.Delivery) { settled(v.ID)(d); d.Scope = rival }),
		"of another connection":    keep(t, s, parked(func(d *verification.Delivery) { d.Connection, d.Event.Keys = "second", []string{"token:mine"} })),
		"unreadable, of who knows": keep(t, s, func(d *verification.Delivery) { d.Effect = verification.Unreadable }),
	}
	if n := erase(t, s, v.ID); n != int64(len(own)) {
		t.Errorf("%d deliveries were emptied, want %d", n, len(own))
	}
	for name, d := range own {
		got := kept(t, s, d.ID)
		if !ask[bool](t, dsn, bare, d.ID) || got.VerificationID != v.ID || got.Effect != verification.Applied && got.Effect != verification.Stale {
			t.Errorf("%s: it is %+v", name, got)
		}
	}
	for name, d := range foreign {
		got, err := s.Delivery(t.Context(), d.Scope, d.ID)
		if err != nil || string(got.Body) != string(d.Body) || got.Effect != d.Effect {
			t.Errorf("%s: it is %+v (%v)", name, got, err)
		}
	}
	if n := erase(t, s, v.ID); n != 0 {
		t.Errorf("a second erasure emptied %d", n)
	}
}

func TestASubjectIsLockedInItsScopeOnly(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.New(t))
	want := []uuid.UUID{insert(t, s, nil).ID, insert(t, s, nil).ID, insert(t, s, nil).ID}
	insert(t, s, func(v *verification.Verification) { v.Subject = "u2" })
	insert(t, s, func(v *verification.Verification) { v.Scope = live })
	insert(t, s, func(v *verification.Verification) { v.Scope = rival })
	for limit, want := range map[int][]uuid.UUID{10: want, 2: want[:2]} {
		in(t, s, func(tx verification.Tx) error {
			vs, err := tx.LockSubject(t.Context(), shop, "u1", limit)
			var got []uuid.UUID
			for _, v := range vs {
				got = append(got, v.ID)
			}
			if !slices.Equal(got, want) {
				t.Errorf("locked are %v, want %v", got, want)
			}
			return err
		})
	}
}

func TestALockThatWaitedGoesOnToWhatIsLeft(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.New(t))
	ids := make([]uuid.UUID, 0, 4)
	for range 4 {
		ids = append(ids, insert(t, s, nil).ID)
	}
	second := make(chan []uuid.UUID)
	in(t, s, func(tx verification.Tx) error {
		vs, err := tx.LockSubject(t.Context(), shop, "u1", 2)
		if err != nil {
			return err
		}
		started := make(chan struct{})
		go func() {
			var got []uuid.UUID
			err := s.InTx(t.Context(), func(tx verification.Tx) error {
				close(started)
				vs, err := tx.LockSubject(t.Context(), shop, "u1", 2)
				for _, v := range vs {
					got = append(got, v.ID)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
			second <- got
		}()
		<-started
		for _, v := range vs {
			v.Subject, v.EraseTime = verification.ErasedSubject, time.Now()
			if _, err := tx.Erase(t.Context(), v); err != nil {
				return err
			}
		}
		return nil
	})
	if got := <-second; !slices.Equal(got, ids[2:]) {
		t.Errorf("the second locked %v, want the two that are left: %v", got, ids[2:])
	}
}

func TestARenamedConnectionDoesNotMixProjects(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.New(t))
	returned := func(scope verification.Scope) *verification.Verification {
		return insert(t, s, func(v *verification.Verification) { v.Scope = scope })
	}
	mine := returned(shop)
	for _, scope := range []verification.Scope{live, rival} {
		returned(scope)
		keep(t, s, func(d *verification.Delivery) {
			d.Scope, d.Event.Keys, d.Event.VerificationID = scope, nil, ""
		})
	}
	in(t, s, func(tx verification.Tx) error {
		d := arrived()
		d.ReceiveTime = d.ReceiveTime.Add(time.Minute)
		candidates, err := tx.Candidates(t.Context(), verification.CandidateQuery{
			Scope: shop, Connection: "human", Product: "identity", At: d.ReceiveTime, Window: time.Hour,
		})
		if err != nil || len(candidates) != 1 || candidates[0].ID != mine.ID {
			t.Errorf("the candidates are %+v (%v), want the scope's own", candidates, err)
		}
		first, err := tx.FirstOfRun(t.Context(), d)
		if err != nil || !first.Equal(d.ReceiveTime) {
			t.Errorf("another project's run is told of at %s (%v)", first, err)
		}
		d.Event.Refs = nil
		twin, err := tx.HasParkedTwin(t.Context(), d, d.ReceiveTime.Add(-time.Hour), d.ReceiveTime)
		if err != nil || twin {
			t.Errorf("another project's delivery is a twin: %t (%v)", twin, err)
		}
		mine.ReturnTime = d.ReceiveTime
		waiting, err := tx.ParkedFor(t.Context(), mine, time.Hour)
		if err != nil || len(waiting) != 0 {
			t.Errorf("another project's deliveries wait for it: %v (%v)", waiting, err)
		}
		return nil
	})
	for _, scope := range []verification.Scope{live, rival} {
		err := s.InTx(t.Context(), func(tx verification.Tx) error {
			_, err := tx.Lock(t.Context(), scope, mine.ID)
			return err
		})
		wantKind(t, err, verification.KindNotFound)
		if timeline, err := s.Transitions(t.Context(), scope, mine.ID); err != nil || len(timeline) != 0 {
			t.Errorf("another scope reads the timeline: %v (%v)", timeline, err)
		}
	}
}
