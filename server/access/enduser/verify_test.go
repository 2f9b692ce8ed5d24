package enduser_test

import (
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/access/enduser"
	"github.com/verigate/verigate/server/verification"
)

func TestAGoodTokenOfEachAlgorithmIsAccepted(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, algorithm)
			token := s.token()
			if !s.Knows(token) {
				t.Error("it is not known")
			}
			user, err := s.Verify(t.Context(), token)
			want := enduser.User{Scope: scope(), Issuer: s.issuer.url, Subject: markedSubject, ExpireTime: s.clock.read().Add(time.Hour)}
			if err != nil || user != want {
				t.Errorf("got %+v, %v; want %+v", user, err, want)
			}
			if s.issuer.discoveries() != 1 || s.issuer.fetches() != 1 {
				t.Errorf("%d discoveries and %d fetches, want one each", s.issuer.discoveries(), s.issuer.fetches())
			}
		})
	}
}

func TestWhatIssuersReallySendIsAccepted(t *testing.T) {
	t.Parallel()
	s := newScene(t, "ES256")
	now := s.clock.read()
	for name, d := range map[string]draft{
		"the type in full":                s.draft().head("typ", "application/at+jwt"),
		"the general type":                s.draft().head("typ", "JWT"),
		"a type in other letters":         s.draft().head("typ", "AT+JWT"),
		"no type":                         s.draft().head("typ", nil),
		"no key id, one key":              s.draft().head("kid", nil),
		"several audiences":               s.draft().claim("aud", []string{"https://other.example", audience}),
		"no nbf and no iat":               s.draft().noClaim("nbf").noClaim("iat"),
		"an issuer's clock a bit ahead":   s.draft().claim("nbf", now.Add(59*time.Second).Unix()).claim("iat", now.Add(59*time.Second).Unix()),
		"a time with a fraction":          s.draft().claim("exp", float64(now.Unix())+1.5),
		"claims that nobody here knows":   s.draft().claim("roles", []string{"marked"}).claim("cnf", map[string]any{"jkt": "marked"}),
		"an address and a key, unread":    s.draft().head("jku", "https://elsewhere.example/keys").head("x5u", "https://elsewhere.example/c"),
		"an expiry in the last second":    s.draft().claim("exp", now.Add(time.Second).Unix()),
		"the last date that is still one": s.draft().claim("exp", 253402300799),
	} {
		t.Run(name, func(t *testing.T) { s.accepts(t, d.sign(t, s.signer)) })
	}
	s.fetched(t, 1)
}

func TestTheSubjectObeysTheContract(t *testing.T) {
	t.Parallel()
	s := newScene(t, "ES256")
	for name, subject := range map[string]string{
		"the shortest": "u", "the longest": strings.Repeat("ü", 256), "of any script": "użytkownik 42|a@b.example 🙂",
	} {
		user, err := s.Verify(t.Context(), s.draft().claim("sub", subject).sign(t, s.signer))
		if err != nil || user.Subject != subject {
			t.Errorf("%s: got %q, %v", name, user.Subject, err)
		}
	}
	for name, subject := range map[string]any{
		"null": nil, "empty": "", "a number": 42, "a list": []string{markedSubject}, "an object": map[string]any{"marked": 1}, "true": true,
		"too long": strings.Repeat("ü", 257), "NUL": "marked\x00", "a line break": "marked\nsubject",
		"DEL": "marked\x7f", "a C1 control": "marked\u0085",
		"replaced bytes": "marked\ufffd",
	} {
		t.Run(name, func(t *testing.T) { s.refuses(t, s.draft().claim("sub", subject).sign(t, s.signer), "subject") })
	}
	s.refuses(t, s.draft().noClaim("sub").sign(t, s.signer), "subject")
}

func TestAnotherClaimCanBeTheSubject(t *testing.T) {
	t.Parallel()
	s := newScene(t, "ES256", func(c *enduser.Config) { c.SubjectClaim = "https://shop.example/uid" })
	s.refuses(t, s.token(), "subject")
	s.accepts(t, s.draft().claim("sub", "somebody else").claim("https://shop.example/uid", markedSubject).sign(t, s.signer))
}

func TestTwoIssuersHaveTheirOwnKeysAndScopes(t *testing.T) {
	t.Parallel()
	alice, bob := newSigner(t, "ES256", "k"), newSigner(t, "ES256", "k")
	a, b := newIssuer(t, alice.published(t)), newIssuer(t, bob.published(t))
	other := configOf(b.url)
	other.Scope.Environment = "live"
	g := newGate(t, configOf(a.url), other)
	g.accepts(t, goodDraft(a.url, g.clock.read()).sign(t, alice))
	user, err := g.Verify(t.Context(), goodDraft(b.url, g.clock.read()).sign(t, bob))
	if err != nil || user.Scope != other.Scope || user.Issuer != b.url {
		t.Errorf("got %+v, %v", user, err)
	}
	g.refuses(t, goodDraft(b.url, g.clock.read()).sign(t, alice), "signature")
	g.refuses(t, goodDraft(a.url, g.clock.read()).sign(t, bob), "signature")
}

func TestOneIssuerServesTwoEnvironmentsByTheirAudiences(t *testing.T) {
	t.Parallel()
	signer := newSigner(t, "ES256", "k")
	i := newIssuer(t, signer.published(t))
	live := configOf(i.url)
	live.Scope.Environment, live.Audiences = "live", []string{"live-api"}
	g := newGate(t, configOf(i.url), live)
	good := goodDraft(i.url, g.clock.read())
	g.accepts(t, good.sign(t, signer))
	user, err := g.Verify(t.Context(), good.claim("aud", []string{"else", "live-api"}).sign(t, signer))
	if err != nil || user.Scope != live.Scope || user.Issuer != i.url {
		t.Errorf("the audience of live: %+v, %v", user, err)
	}
	g.refuses(t, good.claim("aud", []string{audience, "live-api"}).sign(t, signer), "two environments")
	g.refuses(t, good.claim("aud", "else").sign(t, signer), "another audience")
	g.refuses(t, good.noClaim("aud").sign(t, signer), "another audience")
	g.refuses(t, good.claim("aud", 7).sign(t, signer), "")
}

func TestAnIssuerServesTheScopesThatItIsConfiguredFor(t *testing.T) {
	t.Parallel()
	const shared, single, unknown = "https://a.example", "https://b.example", "https://c.example"
	test, live, acme := configOf(shared), configOf(shared), configOf(single)
	live.Scope.Environment, live.Audiences = "live", []string{"live-api"}
	acme.Scope.Project = "acme"
	before := newGate(t, test, live, acme)
	// The issuer of acme is gone, and the shared one serves live no more.
	after := newGate(t, test)
	nobody := newGate(t)
	for name, c := range map[string]struct {
		scope         verification.Scope
		issuer        string
		before, after bool
	}{
		"one of its scopes":            {test.Scope, shared, true, true},
		"the other one of its scopes":  {live.Scope, shared, true, false},
		"the scope of another":         {acme.Scope, shared, false, false},
		"its only scope":               {acme.Scope, single, true, false},
		"the scope of the shared one":  {test.Scope, single, false, false},
		"an issuer that is nowhere":    {test.Scope, unknown, false, false},
		"another spelling":             {test.Scope, shared + "/", false, false},
		"no issuer":                    {test.Scope, "", false, false},
		"no scope":                     {verification.Scope{}, shared, false, false},
		"the project, not where it is": {verification.Scope{Project: test.Scope.Project}, shared, false, false},
	} {
		for when, serves := range map[string]struct {
			by   *gate
			want bool
		}{"before": {before, c.before}, "after": {after, c.after}, "without issuers": {nobody, false}} {
			if got := serves.by.Serves(c.scope, c.issuer); got != serves.want {
				t.Errorf("%s, %s: %t, want %t", name, when, got, serves.want)
			}
		}
	}
}

func TestOnlyTokensOfConfiguredIssuersAreKnown(t *testing.T) {
	t.Parallel()
	s := newScene(t, "ES256")
	for name, text := range map[string]string{
		"nothing": "", "an API key": "vg_test_abc_def", "dots": "..", "no issuer": s.draft().noClaim("iss").sign(t, s.signer),
		"another issuer":         s.draft().claim("iss", "https://marked.example").sign(t, s.signer),
		"a slash more":           s.draft().claim("iss", s.issuer.url+"/").sign(t, s.signer),
		"a list of issuers":      s.draft().claim("iss", []string{s.issuer.url}).sign(t, s.signer),
		"another spelling of it": s.draft().noClaim("iss").claim("ISS", s.issuer.url).sign(t, s.signer),
		"too long":               s.draft().claim("pad", strings.Repeat("x", 9000)).sign(t, s.signer),
		"a part missing":         strings.Join(strings.Split(s.token(), ".")[:2], "."),
		"five parts":             s.token() + ".e30.e30",
		"a line break":           strings.Replace(s.token(), ".", "\n.", 1),
	} {
		if s.Knows(text) {
			t.Errorf("%s is known", name)
		}
		s.refuses(t, text, "")
	}
	s.fetched(t, 0)
	if forged := s.draft().sign(t, newSigner(t, "ES256", "")); !s.Knows(forged) {
		t.Error("what claims to be of a configured issuer is not known")
	}
}
