package verification_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/verification"
)

func TestAnAnswerAboutSomebodyElseIsRefusedAndAlarms(t *testing.T) {
	t.Parallel()
	for name, wrong := range map[string]func(a *verification.Answer, other uuid.UUID){
		"another product":           func(a *verification.Answer, _ uuid.UUID) { a.Event.Product = "kyb" },
		"our id of another":         func(a *verification.Answer, other uuid.UUID) { a.Event.VerificationID = other.String() },
		"an id that is not ours":    func(a *verification.Answer, _ uuid.UUID) { a.Event.VerificationID = "4711" },
		"another's token":           func(a *verification.Answer, other uuid.UUID) { a.Event.Keys = []string{tokenOf(other)} },
		"a token that nobody knows": func(a *verification.Answer, _ uuid.UUID) { a.Event.Keys = []string{"token:unknown"} },
		"a ref bound to another":    func(a *verification.Answer, _ uuid.UUID) { a.Event.Refs = []string{"verification:taken"} },
		"asked by another's ref":    func(a *verification.Answer, other uuid.UUID) { a.Ref.VerificationID = other },
		"asked at another company":  func(a *verification.Answer, _ uuid.UUID) { a.Ref.Connection = "human" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t)
			id, other := g.start("polled"), g.start("polled")
			g.fetched(other, said(other, verification.PersonSubmitted, "verification:taken"), applied)
			answer := said(id, passed)
			wrong(&answer, other)
			g.fetched(id, answer, refused)
			g.want(id, pending, verification.NoMatch)
			if g.meter.mismatched != 1 || g.meter.foundByPoll != 1 {
				t.Errorf("%d alarms, %d found, want 1 and the other's 1", g.meter.mismatched, g.meter.foundByPoll)
			}
			if v := g.get(id); v.Fetches != 1 || v.FetchTime.IsZero() {
				t.Errorf("it goes on with %d fetches, the next at %s", v.Fetches, v.FetchTime)
			}
		})
	}
}

func TestWhatWasErasedWhileItWasAskedAboutStaysErased(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	id := g.start("polled")
	g.clock.forward(lifetime)
	g.sweep()
	version := g.get(id).Version
	by := verification.Operator{Actor: "key:1"}
	if _, err := g.EraseSubject(t.Context(), shop, "u1", "TICKET-1", by); err != nil {
		t.Fatal(err)
	}
	g.fetchedAt(id, version, said(id, passed, "verification:erased"), stale)
	g.want(id, expired, verification.NoMatch)
	g.fetchIn(id, never, 1)
	refs, err := g.store.RefsOf(t.Context(), shop, id)
	if err != nil || len(refs) != 0 {
		t.Errorf("it can still be asked by %v (%v)", refs, err)
	}
	rows, err := g.db.Query(t.Context(), "SELECT ref FROM provider_ref")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var ref string
		if err := rows.Scan(&ref); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(ref, "erased:") {
			t.Errorf("the ref %s is readable", ref)
		}
	}
	if rows.Err() != nil {
		t.Fatal(rows.Err())
	}
}
