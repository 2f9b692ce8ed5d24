package store_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/store"
	"github.com/verigate/verigate/server/verification"
)

func claim(t testing.TB, s *store.Store, connection, ref string, id uuid.UUID) {
	t.Helper()
	in(t, s, func(tx verification.Tx) error {
		return tx.AddHint(t.Context(), connection, ref, id, arrived().ReceiveTime)
	})
}

func TestNobodysClaimKeepsAnErasedRefReadable(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	s := open(t, dsn)
	v, thief, late := insert(t, s, nil), insert(t, s, nil), insert(t, s, nil)
	bound, claimed := "verification:"+marker, "link:"+marker
	if err := bind(t, s, bound, v.ID); err != nil {
		t.Fatal(err)
	}
	claim(t, s, "human", claimed, v.ID)
	for _, ref := range []string{bound, claimed, "verification:thief"} {
		claim(t, s, "human", ref, thief.ID)
	}
	claim(t, s, "second", bound, thief.ID)
	erase(t, s, v.ID)
	for _, ref := range []string{bound, claimed} {
		claim(t, s, "human", ref, late.ID)
	}
	const saying = `SELECT count(*) FROM return_hint h WHERE connection = $1 AND strpos(h::text, $2) > 0`
	if n := ask[int64](t, dsn, saying, "human", marker); n != 0 {
		t.Errorf("%d claims still say the ref of the erased person", n)
	}
	for connection, ref := range map[string]string{"second": marker, "human": "verification:thief"} {
		if n := ask[int64](t, dsn, saying, connection, ref); n != 1 {
			t.Errorf("%d claims on %s say %s, want the one that is somebody else's", n, connection, ref)
		}
	}
	if n := ask[int64](t, dsn, `SELECT count(*) FROM return_hint WHERE connection = 'human'`); n != 6 {
		t.Errorf("%d claims are left, want all 6: one that is lost makes another be believed", n)
	}
	in(t, s, func(tx verification.Tx) error {
		ids, err := tx.Hinted(t.Context(), "human", []string{claimed})
		if len(ids) != 2 {
			t.Errorf("the ref is claimed by %v, want two: they cancel each other out", ids)
		}
		return err
	})
}

func TestErasingLeavesWhatNamesAnotherAlone(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	s := open(t, dsn)
	v, other, gone := insert(t, s, nil), insert(t, s, nil), insert(t, s, nil)
	if err := errors.Join(bind(t, s, "token:mine", v.ID), bind(t, s, "token:other", other.ID), bind(t, s, "token:gone", gone.ID)); err != nil {
		t.Fatal(err)
	}
	erase(t, s, gone.ID)
	parked := func(named string, keys, refs []string) *verification.Delivery {
		return keep(t, s, func(d *verification.Delivery) {
			d.Event.Keys, d.Event.Refs, d.Event.VerificationID = keys, refs, named
		})
	}
	contradicting := map[string]*verification.Delivery{
		"its key and another's":            parked("", []string{"token:mine", "token:other"}, nil),
		"its key and another's ref":        parked("", []string{"token:mine"}, []string{"token:other"}),
		"its ref and another's key":        parked("", []string{"token:other"}, []string{"token:mine"}),
		"its ref and another's id":         parked(other.ID.String(), nil, []string{"token:mine"}),
		"its ref and that id in capitals":  parked(strings.ToUpper(other.ID.String()), nil, []string{"token:mine"}),
		"its id and another's ref":         parked(v.ID.String(), nil, []string{"token:other"}),
		"its id, another's ref, and more":  parked(v.ID.String(), []string{"token:x"}, []string{"token:y", "token:other"}),
		"another's id, and both have keys": parked(other.ID.String(), []string{"token:mine", "token:other"}, nil),
	}
	own := map[string]*verification.Delivery{
		"its key and one that nobody knows": parked("", []string{"token:mine", "token:x"}, nil),
		"its key and its id":                parked(v.ID.String(), []string{"token:mine"}, nil),
		"its key and an id that nobody has": parked(uuid.NewString(), []string{"token:mine"}, nil),
		"its key and a name that is no id":  parked("order 7", []string{"token:mine"}, nil),
		"its key and an erased person's":    parked("", []string{"token:mine", "token:gone"}, nil),
		"its key and the id of one erased":  parked(gone.ID.String(), []string{"token:mine"}, nil),
		"its id and the ref of one erased":  parked(v.ID.String(), nil, []string{"token:gone"}),
		"its key, ref, and id in capitals":  parked(strings.ToUpper(v.ID.String()), []string{"token:mine"}, []string{"token:mine"}),
	}
	if n := erase(t, s, v.ID); n != int64(len(own)) {
		t.Errorf("%d deliveries were emptied, want %d", n, len(own))
	}
	for name, d := range own {
		if got := kept(t, s, d.ID); !ask[bool](t, dsn, bare, d.ID) || got.Effect != verification.Stale {
			t.Errorf("%s: it is %+v, want it emptied and stale", name, got)
		}
	}
	for name, d := range contradicting {
		got := kept(t, s, d.ID)
		if string(got.Body) != string(d.Body) || got.Effect != verification.Unmatched || got.VerificationID != uuid.Nil ||
			!slices.Equal(got.Event.Keys, append([]string{}, d.Event.Keys...)) || !slices.Equal(got.Event.Refs, append([]string{}, d.Event.Refs...)) {
			t.Errorf("%s: it is %+v, want it as it arrived", name, got)
		}
	}
	// Who is left and named goes with the last of those it names, where that
	// is still found: by the other's refs or id.
	if n := erase(t, s, other.ID); n != int64(len(contradicting)) {
		t.Errorf("erasing the other emptied %d, want %d", n, len(contradicting))
	}
}
