package enduser_test

import (
	"testing"
	"time"

	"github.com/verigate/verigate/server/access/enduser"
)

func TestKeysAreFetchedOnceInTenMinutes(t *testing.T) {
	t.Parallel()
	s := newScene(t, "ES256")
	for range 20 {
		s.accepts(t, s.token())
		s.clock.forward(29 * time.Second)
	}
	s.fetched(t, 1)
	s.clock.forward(20 * time.Second)
	s.accepts(t, s.token())
	s.fetched(t, 2)
	if s.issuer.discoveries() != 2 {
		t.Errorf("%d discoveries, want one for each fetch", s.issuer.discoveries())
	}
}

func TestARotatedKeyIsFoundAtOnce(t *testing.T) {
	t.Parallel()
	s := newScene(t, "ES256")
	s.accepts(t, s.token())
	s.clock.forward(aMoment)
	next := newSigner(t, "ES256", "next")
	s.issuer.publish(s.signer.published(t), next.published(t))
	s.accepts(t, s.draft().sign(t, next))
	s.accepts(t, s.token())
	s.fetched(t, 2)
}

func TestAWithdrawnKeyStopsAfterTenMinutes(t *testing.T) {
	t.Parallel()
	s := newScene(t, "ES256")
	s.accepts(t, s.token())
	s.issuer.publish(newSigner(t, "ES256", "next").published(t))
	s.clock.forward(10*time.Minute - aMoment)
	s.accepts(t, s.token())
	s.fetched(t, 1)
	s.clock.forward(aMoment)
	s.refuses(t, s.token(), "no key")
	s.fetched(t, 2)
}

func TestAnIssuerThatWithdrawsAllItsKeysHasNone(t *testing.T) {
	t.Parallel()
	s := newScene(t, "ES256")
	s.accepts(t, s.token())
	s.issuer.lie("/keys", says(`{"keys":[]}`))
	s.clock.forward(10 * time.Minute)
	s.refuses(t, s.token(), "no key")
	s.logged(t, "fetched", 0)
}

func TestMadeUpKeyIDsDoNotFloodTheIssuer(t *testing.T) {
	t.Parallel()
	s := newScene(t, "ES256")
	s.accepts(t, s.token())
	madeUp := func() string { return s.draft().head("kid", "marked-made-up").sign(t, s.signer) }
	for range 100 {
		s.clock.forward(aMoment)
		s.refuses(t, madeUp(), "key")
	}
	s.fetched(t, 2)
	s.refuses(t, madeUp(), "a moment ago")
	// A key that came meanwhile waits for its turn, known ones do not.
	next := newSigner(t, "ES256", "next")
	s.issuer.publish(s.signer.published(t), next.published(t))
	s.clock.forward(9 * time.Second)
	s.refuses(t, s.draft().sign(t, next), "a moment ago")
	s.accepts(t, s.token())
	s.fetched(t, 2)
	s.clock.forward(time.Second)
	s.accepts(t, s.draft().sign(t, next))
	s.fetched(t, 3)
}

func TestAKeyIDThatTheFirstFetchDoesNotBringIsNotAskedForAgain(t *testing.T) {
	t.Parallel()
	s := newScene(t, "ES256")
	s.refuses(t, s.draft().head("kid", "marked-made-up").sign(t, s.signer), "no key")
	s.fetched(t, 1)
}

func TestAnIssuerThatIsDownAtFirstLetsNobodyIn(t *testing.T) {
	t.Parallel()
	s := newScene(t, "ES256")
	s.issuer.lie("/keys", down)
	for range 50 {
		s.fails(t, s.token(), enduser.ErrUnavailable, "status 503")
		s.clock.forward(99 * time.Millisecond)
	}
	s.fetched(t, 1)
	s.clock.forward(50 * time.Millisecond)
	s.fails(t, s.token(), enduser.ErrUnavailable, "status 503")
	s.fetched(t, 2)
	s.issuer.lie("/keys", nil)
	s.clock.forward(5*time.Second - aMoment)
	s.fails(t, s.token(), enduser.ErrUnavailable, "status 503")
	s.clock.forward(aMoment)
	s.accepts(t, s.token())
	s.fetched(t, 3)
	s.logged(t, "cannot be fetched", 1)
	s.logged(t, "its tokens are not accepted", 1)
	s.logged(t, "fetched again", 1)
}

func TestKnownKeysServeForAnHourWhileTheIssuerIsDown(t *testing.T) {
	t.Parallel()
	s := newScene(t, "ES256")
	s.accepts(t, s.token())
	s.issuer.lie(discoveryPath, down)
	for range 5 {
		s.clock.forward(10 * time.Minute)
		s.accepts(t, s.token())
	}
	if got := s.issuer.discoveries(); got != 6 {
		t.Errorf("%d discoveries, want one for each try", got)
	}
	s.clock.forward(10*time.Minute - aMoment)
	s.accepts(t, s.token())
	s.clock.forward(aMoment)
	s.fails(t, s.token(), enduser.ErrUnavailable, "status 503")
	s.clock.forward(24 * time.Hour)
	s.fails(t, s.token(), enduser.ErrUnavailable, "status 503")
	s.fetched(t, 1)
	s.logged(t, "known ones serve for a while", 1)
	s.logged(t, "until=2026-05-17T11:30:00.000Z", 1)
	s.issuer.lie(discoveryPath, nil)
	s.clock.forward(5 * time.Second)
	s.accepts(t, s.token())
	s.logged(t, "cannot be fetched", 1)
	s.logged(t, "fetched again", 1)
	s.issuer.lie(discoveryPath, down)
	s.clock.forward(10 * time.Minute)
	s.accepts(t, s.token())
	s.logged(t, "cannot be fetched", 2)
}

func TestAFailedSearchForAKeyLeavesTheKnownOnesAlone(t *testing.T) {
	t.Parallel()
	s := newScene(t, "ES256")
	s.accepts(t, s.token())
	s.clock.forward(time.Minute)
	s.issuer.lie("/keys", down)
	unknown := s.draft().head("kid", "marked-next").sign(t, s.signer)
	s.fails(t, unknown, enduser.ErrUnavailable, "status 503")
	s.fails(t, unknown, enduser.ErrUnavailable, "status 503")
	s.accepts(t, s.token())
	s.fetched(t, 2)
}

func TestOneIssuerBeingDownIsNotTheOthersTrouble(t *testing.T) {
	t.Parallel()
	alice, bob := newSigner(t, "ES256", "k"), newSigner(t, "ES256", "k")
	a, b := newIssuer(t, alice.published(t)), newIssuer(t, bob.published(t))
	other := configOf(b.url)
	other.Scope.Project = "other"
	g := newGate(t, configOf(a.url), other)
	b.lie("/keys", down)
	g.fails(t, goodDraft(b.url, g.clock.read()).sign(t, bob), enduser.ErrUnavailable, "status 503")
	g.accepts(t, goodDraft(a.url, g.clock.read()).sign(t, alice))
	if a.fetches() != 1 || b.fetches() != 1 {
		t.Errorf("%d and %d fetches, want one each", a.fetches(), b.fetches())
	}
}

func TestAnIssuerThatNobodyListensForIsUnavailable(t *testing.T) {
	t.Parallel()
	signer := newSigner(t, "ES256", "k")
	config := configOf("http://127.0.0.1:1")
	config.JWKSURL = "http://127.0.0.1:1/keys?key=marked-query"
	g := newGate(t, config)
	g.fails(t, goodDraft(config.Issuer, g.clock.read()).sign(t, signer), enduser.ErrUnavailable, "key set: ")
	g.logged(t, "cannot be fetched", 1)
}
