package access_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/access/limit"
	"github.com/verigate/verigate/server/verification"
)

func TestNoKeyScopeImpliesAnother(t *testing.T) {
	t.Parallel()
	for _, own := range access.KeyScopes() {
		p := access.Principal{Scope: testScope(), KeyID: "k", KeyScopes: []access.KeyScope{own}}
		for _, asked := range access.KeyScopes() {
			if p.Has(asked) != (asked == own) {
				t.Errorf("a key with %s: Has(%s) is %t", own, asked, p.Has(asked))
			}
		}
	}
}

func TestOnlyAKeyHasScopes(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]access.Principal{
		"nobody":             {KeyScopes: access.KeyScopes()},
		"an end user":        {Subject: "u", KeyScopes: access.KeyScopes()},
		"a client token":     {VerificationID: uuid.Must(uuid.NewV7()), KeyScopes: access.KeyScopes()},
		"a key without them": {KeyID: "k"},
	} {
		for _, scope := range access.KeyScopes() {
			if p.Has(scope) {
				t.Errorf("%s has %s", name, scope)
			}
		}
	}
}

func TestABackendIsNoOperator(t *testing.T) {
	t.Parallel()
	if slices.Contains(access.BackendScopes(), access.OperatorScope) {
		t.Error("a backend's key may call OperatorService")
	}
	if len(access.BackendScopes()) != len(access.KeyScopes())-1 {
		t.Errorf("a backend has %v of %v", access.BackendScopes(), access.KeyScopes())
	}
}

func TestEachPrincipalSeesItsOwnAndNothingElse(t *testing.T) {
	t.Parallel()
	own := someVerification()
	own.Subject = "alice"
	with := func(change func(v *verification.Verification)) *verification.Verification {
		v := *own
		change(&v)
		return &v
	}
	seen := map[string]*verification.Verification{
		"its own":            own,
		"another":            with(func(v *verification.Verification) { v.ID = uuid.Must(uuid.NewV7()) }),
		"another subject's":  with(func(v *verification.Verification) { v.Subject = "bob" }),
		"nobody's":           with(func(v *verification.Verification) { v.Subject, v.ID = "", uuid.Nil }),
		"another project's":  with(func(v *verification.Verification) { v.Scope.Project = "rival" }),
		"the live one":       with(func(v *verification.Verification) { v.Scope.Environment = verification.Live }),
		"one without tenant": with(func(v *verification.Verification) { v.Scope = verification.Scope{} }),
	}
	for name, c := range map[string]struct {
		who access.Principal
		may []string
	}{
		"a key":          {access.Principal{Scope: testScope(), KeyID: "k"}, []string{"its own", "another", "another subject's", "nobody's"}},
		"an end user":    {access.Principal{Scope: testScope(), Subject: "alice"}, []string{"its own", "another"}},
		"a client token": {access.Principal{Scope: testScope(), VerificationID: own.ID}, []string{"its own", "another subject's"}},
		"nobody":         {access.Principal{Scope: testScope()}, nil},
		"the zero value": {access.Principal{}, nil},
	} {
		for what, v := range seen {
			if may := slices.Contains(c.may, what); c.who.MaySee(v) != may {
				t.Errorf("%s, %s: MaySee is %t, want %t", name, what, !may, may)
			}
		}
	}
	var zero verification.Verification
	if (access.Principal{}).MaySee(&zero) {
		t.Error("the zero principal sees the zero verification")
	}
}

// tricky draws texts that fall together when texts are merely strung together.
func tricky() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"a", "a/test/b", "a/test", "test/b", "test", "live", "/", "\"", "a\"/\"test", "\\", "\xff", ""}),
		rapid.StringMatching(`[ab/"\\]{0,6}`),
		rapid.String(),
	)
}

func drawScope(t *rapid.T, label string) verification.Scope {
	return verification.Scope{
		Project:     tricky().Draw(t, label+" project"),
		Environment: verification.Environment(tricky().Draw(t, label+" environment")),
	}
}

// identity is whom a principal is: what a Holder must tell apart.
type identity struct {
	kind, text string
	scope      verification.Scope
}

func drawPrincipal(t *rapid.T, label string) (access.Principal, identity) {
	p := access.Principal{Scope: drawScope(t, label)}
	text := tricky().Filter(func(s string) bool { return s != "" }).Draw(t, label+" text")
	switch kind := rapid.SampledFrom([]string{"key", "subject", "token"}).Draw(t, label+" kind"); kind {
	case "key":
		p.KeyID = text
		return p, identity{kind: kind, text: text}
	case "subject":
		p.Subject = text
		return p, identity{kind: kind, text: text, scope: p.Scope}
	default:
		p.VerificationID = uuid.UUID{15: rapid.Byte().Draw(t, label+" id")}
		return p, identity{kind: kind, text: p.VerificationID.String()}
	}
}

// ward is somebody of a scope.
type ward struct {
	scope   verification.Scope
	subject string
}

// drawWards draws two: at random, or by cutting one text with slashes into
// project, environment and subject at two places.
func drawWards(t *rapid.T) (one, two ward) {
	if rapid.Bool().Draw(t, "at random") {
		return ward{drawScope(t, "one"), tricky().Draw(t, "one subject")}, ward{drawScope(t, "two"), tricky().Draw(t, "two subject")}
	}
	pieces := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "test", "live", "\"", ""}), 4, 7).Draw(t, "pieces")
	cut := func(label string) ward {
		at := rapid.IntRange(1, len(pieces)-2).Draw(t, label)
		return ward{
			scope:   verification.Scope{Project: strings.Join(pieces[:at], "/"), Environment: verification.Environment(pieces[at])},
			subject: strings.Join(pieces[at+1:], "/"),
		}
	}
	return cut("one is cut at"), cut("two is cut at")
}

func TestTwoSubjectsNeverShareAHolder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		one, two := drawWards(t)
		holders := [2]string{}
		for i, w := range []ward{one, two} {
			// An empty subject is nobody's.
			holders[i] = access.Principal{Scope: w.scope, Subject: w.subject + "."}.Holder()
		}
		if same := holders[0] == holders[1]; same != (one == two) {
			t.Fatalf("%+v and %+v are %q", one, two, holders)
		}
	})
}

func TestTwoPrincipalsNeverShareAHolder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		one, who := drawPrincipal(t, "one")
		two, whoElse := drawPrincipal(t, "two")
		if same := one.Holder() == two.Holder(); same != (who == whoElse) {
			t.Fatalf("%+v is %q, %+v is %q", who, one.Holder(), whoElse, two.Holder())
		}
	})
}

func TestTwoSubjectsNeverShareTheirStarts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rates := access.Rates{StartsPerSubject: limit.Rate{Count: 1, Per: time.Hour}}
		l := access.NewLimits(func() access.Rates { return rates }, now, func(string) {})
		one, two := drawWards(t)
		if err := l.Start(access.Principal{Scope: one.scope, KeyID: "k"}, one.subject); err != nil {
			t.Fatalf("the first start: %v", err)
		}
		err := l.Start(access.Principal{Scope: two.scope, Subject: "somebody"}, two.subject)
		if (err != nil) != (one == two) {
			t.Fatalf("%+v, then %+v: %v", one, two, err)
		}
	})
}
