package server_test

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/verification"
)

// walk is every call that can be aimed at one verification.
func walk(v *verigatev1.Verification) map[string]proto.Message {
	requests := make(map[string]proto.Message)
	for _, a := range callerAttacks() {
		if a.aimed {
			requests[a.name] = a.aim(target{id: v.GetId(), reference: v.GetReference()})
		}
	}
	return requests
}

func TestTheWalkKnowsEveryCallOfTheContract(t *testing.T) {
	t.Parallel()
	known := attacks()
	for _, method := range everyMethod() {
		if !slices.ContainsFunc(known, func(a attack) bool { return a.method == string(method.Name()) }) {
			t.Errorf("no test aims %s at what belongs to others; add it to attacks", method.FullName())
		}
	}
}

func TestEveryBadCredentialGetsTheSameAnswerAsNoneOnEveryCallAndProtocol(t *testing.T) {
	t.Parallel()
	s := newScene(t, pgtest.New(t), nil)
	strangers := s.strangers(t)
	for _, p := range protocols() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			d := s.in(t).door(p)
			for _, a := range attacks() {
				method, request := a.descriptor(t), a.aim(s.victim)
				none := d.knock(method, "", request)
				if !saysUnauthenticated(none) {
					t.Errorf("%s without a credential is answered with\n%s", a.name, none)
				}
				for name, authorization := range strangers {
					if reply := d.knock(method, authorization, request); reply != none {
						t.Errorf("%s with %s is answered with\n%s\nand without a credential with\n%s", a.name, name, reply, none)
					}
				}
			}
		})
	}
}

func TestAGoodCredentialOnACallThatIsNotForItLooksLikeABadOne(t *testing.T) {
	t.Parallel()
	s := newScene(t, pgtest.New(t), nil)
	foreigners := s.foreigners(t)
	for _, p := range protocols() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			g := s.in(t)
			d := g.door(p)
			for _, a := range attacks() {
				method, request := a.descriptor(t), a.aim(s.victim)
				none := d.knock(method, "", request)
				lacking := g.newKeyFor(shopTest(), without(a.scope)...)
				if reply := d.knock(method, "Bearer "+lacking, request); reply != none {
					t.Errorf("%s with a key that lacks %s is answered with\n%s", a.name, a.scope, reply)
				}
				only := g.newKeyFor(shopTest(), a.scope)
				if reply := d.knock(method, "Bearer "+only, a.aim(nothing())); saysUnauthenticated(reply) {
					t.Errorf("%s with a key that has only %s is answered with\n%s", a.name, a.scope, reply)
				}
				for name, f := range foreigners {
					if f.may(a) {
						continue
					}
					if reply := d.knock(method, "Bearer "+f.credential, request); reply != none {
						t.Errorf("%s with %s is answered with\n%s", a.name, name, reply)
					}
				}
			}
		})
	}
}

func TestWhatBelongsToOthersLooksLikeWhatDoesNotExistOnEveryCallAndProtocol(t *testing.T) {
	t.Parallel()
	s := newScene(t, pgtest.New(t), nil)
	foreigners := s.foreigners(t)
	for _, p := range protocols() {
		t.Run(p.name, func(t *testing.T) {
			d := s.in(t).door(p)
			for _, a := range attacks() {
				if !a.aimed {
					continue
				}
				method := a.descriptor(t)
				absent := d.knock(method, "Bearer "+s.owner, a.aim(nothing()))
				if !saysNotFound(absent) {
					t.Errorf("%s of nothing is answered with\n%s", a.name, absent)
				}
				for name, f := range foreigners {
					if !f.may(a) {
						continue
					}
					for _, at := range []target{s.victim, nothing()} {
						if reply := d.knock(method, "Bearer "+f.credential, a.aim(at)); reply != absent {
							t.Errorf("%s of %v by %s is answered with\n%s\nand the owner's look for nothing with\n%s", a.name, at, name, reply, absent)
						}
					}
				}
			}
		})
	}
	s.wantVictimUntouched(t)
}

// wantVictimUntouched fails unless the owner still has what was aimed at.
func (s *scene) wantVictimUntouched(t *testing.T) {
	t.Helper()
	if v := s.in(t).state(s.victim.id); v.GetState() != pending || v.GetVersion() != 2 || v.GetSubject() != "victim" {
		t.Errorf("the victim is now %v", v)
	}
	if d := s.waiting(t); d.ID.String() != s.victim.delivery || d.Effect != verification.Unmatched {
		t.Errorf("the victim's delivery is now %+v", d)
	}
	key, err := s.server.Store().Key(t.Context(), s.victim.key)
	if err != nil || !key.RevokeTime.IsZero() || !key.ExpireTime.IsZero() || key.SuccessorID != "" {
		t.Errorf("the victim's key is now %+v, %v", key, err)
	}
}
