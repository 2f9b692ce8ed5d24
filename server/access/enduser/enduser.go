// Package enduser checks access tokens of other people's issuers: an app calls
// the gateway with the token that its user already has, and the gateway learns
// for whom it speaks.
//
// It owns the rules for such a token (a signed JWT, RFC 7519 and RFC 9068) and
// the cache of each issuer's public keys. It imports verification for the scope
// and nothing else of this project: access turns a User into a principal, and
// rpc narrows what it may see.
//
//	token ── claimed issuer (unproven) ──► header: alg, typ, crit, kid
//	                                           │
//	     discovery ──► key set ──► keyring ────┤   10 min fresh, 1 h good,
//	        one bounded fetch at a time        │   then nobody is let in
//	                                           ▼
//	                  signature ──► exp, nbf, iat, iss, aud ──► subject ──► User
//
// Only asymmetric algorithms that the configuration allows are ever tried, and
// only on a key of their own type, so no token chooses how it is checked. Keys
// and addresses inside a token (jwk, jku, x5c, x5u) are never looked at.
//
// An ID token is signed by the same keys and looks much the same. What keeps it
// out is its audience: it names the app (OpenID Connect Core 1.0, section 2),
// an access token names the API. Never configure an app's client id as an
// audience.
//
// Subjects of two issuers are different people even when they are equal texts,
// so a scope has at most one issuer. One issuer may serve several scopes, such
// as live and test, by audiences of their own: a token that names those of two
// scopes is good for neither.
package enduser

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/verigate/verigate/server/verification"
)

// maxToken is the longest token that is looked at, in bytes.
const maxToken = 8 << 10

var (
	// ErrRefused means that a token is not good. It comes wrapped with a reason
	// for the operator, which holds no part of the token.
	ErrRefused = errors.New("end-user token refused")
	// ErrUnavailable means that a token could not be judged because its issuer's
	// keys cannot be had. A retry may help; until then nobody is let in.
	ErrUnavailable = errors.New("the keys of the end-user token's issuer cannot be had")
)

// User is whom a verified token speaks for.
type User struct {
	Scope verification.Scope
	// Issuer is the one that admitted the user, as it is configured.
	Issuer string
	// Subject is the token's subject claim: 1 to 256 characters, none of them a
	// control character.
	Subject string
	// ExpireTime is when the token ends, in whole seconds.
	ExpireTime time.Time
}

// Deps are what a Verifier needs from outside; all are required.
type Deps struct {
	// HTTP fetches discovery documents and key sets. Redirects are not followed,
	// whatever it says; which addresses may be dialled is its business.
	HTTP *http.Client
	// Log gets a line when an issuer's keys stop and when they start again to be
	// fetched, never a token.
	Log *slog.Logger
	// Now is the clock.
	Now func() time.Time
}

func (d Deps) validate() error {
	var problems []error
	if d.HTTP == nil {
		problems = append(problems, errors.New("deps: HTTP: a client is needed"))
	}
	if d.Log == nil {
		problems = append(problems, errors.New("deps: Log: a logger is needed"))
	}
	if d.Now == nil {
		problems = append(problems, errors.New("deps: Now: a clock is needed"))
	}
	return errors.Join(problems...)
}

// Verifier checks tokens of several issuers. It is safe for concurrent use and
// starts no goroutine: keys are fetched by the call that needs them.
type Verifier struct {
	issuers map[string][]*issuer
	peek    *jwt.Parser
}

// New makes a Verifier; without configs it knows no token. The error names
// everything that is wrong with the configs, field by field. Nothing is fetched
// yet.
func New(configs []Config, deps Deps) (*Verifier, error) {
	if err := deps.validate(); err != nil {
		return nil, err
	}
	v := &Verifier{issuers: make(map[string][]*issuer, len(configs)), peek: jwt.NewParser(jwt.WithStrictDecoding())}
	scopes := make(map[verification.Scope]string, len(configs))
	var problems []error
	for _, c := range configs {
		c = c.withDefaults()
		problems = append(problems, c.validate())
		for _, other := range v.issuers[c.Issuer] {
			if slices.ContainsFunc(c.Audiences, other.isFor) {
				problems = append(problems, c.problem("audiences",
					"an audience is configured twice for this issuer; each project and environment needs its own"))
			}
		}
		if other, taken := scopes[c.Scope]; taken {
			problems = append(problems, c.problem("scope",
				fmt.Sprintf("project %q, environment %q has the issuer %q already; equal subjects of two issuers would be taken for one person",
					c.Scope.Project, c.Scope.Environment, other)))
		}
		scopes[c.Scope] = c.Issuer
		v.issuers[c.Issuer] = append(v.issuers[c.Issuer], newIssuer(c, deps))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return v, nil
}

// Knows reports whether a credential claims to come from a configured issuer.
// It proves nothing; it only says that Verify is the one to ask.
func (v *Verifier) Knows(token string) bool {
	_, _, err := v.claimed(token)
	return err == nil
}

// Serves reports whether the users of an issuer belong to a scope: the issuer is
// configured for it. Whatever outlives the call that a User came with asks this
// of the Verifier that is in force by then, because an issuer may be removed.
func (v *Verifier) Serves(scope verification.Scope, issuer string) bool {
	for _, i := range v.issuers[issuer] {
		if i.scope == scope {
			return true
		}
	}
	return false
}

// Verify returns whom a token speaks for. Its errors wrap ErrRefused or
// ErrUnavailable; the latter also wraps the context's error when the caller
// left while it waited for another call's fetch. A call that fetches keys itself
// finishes that for the others, in at most five seconds. While known keys are
// good, calls that they suffice for do not wait for another's fetch, and one of
// them at a time fetches, at most once a minute while that fails.
func (v *Verifier) Verify(ctx context.Context, token string) (User, error) {
	issuers, unproven, err := v.claimed(token)
	if err != nil {
		return User{}, err
	}
	i, err := meant(issuers, unproven)
	if err != nil {
		return User{}, err
	}
	return i.verify(ctx, token, unproven)
}

// meant selects the scope by the audience that a token claims; verify proves it.
func meant(issuers []*issuer, unproven *jwt.Token) (*issuer, error) {
	if len(issuers) == 1 {
		return issuers[0], nil
	}
	audiences, err := unproven.Claims.GetAudience()
	if err != nil {
		return nil, refuse("a claim is of the wrong type")
	}
	var found []*issuer
	for _, i := range issuers {
		if slices.ContainsFunc(audiences, i.isFor) {
			found = append(found, i)
		}
	}
	switch len(found) {
	case 0:
		return nil, refuse("it is meant for another audience")
	case 1:
		return found[0], nil
	default:
		return nil, refuse("it names the audiences of two environments")
	}
}

// claimed reads a token without believing it and finds the issuer that it
// names, once for each scope.
func (v *Verifier) claimed(text string) ([]*issuer, *jwt.Token, error) {
	if len(text) > maxToken {
		return nil, nil, refuse(fmt.Sprintf("it is longer than %d bytes", maxToken))
	}
	// Go's base64 skips line breaks, even when strict: a token has one text.
	if strings.ContainsAny(text, "\r\n") {
		return nil, nil, refuse("it has a line break")
	}
	claims := jwt.MapClaims{}
	token, _, err := v.peek.ParseUnverified(text, claims)
	// An algorithm that the library does not know is judged with the header.
	if err != nil && !errors.Is(err, jwt.ErrTokenUnverifiable) {
		return nil, nil, refuse("it is not a signed JWT of three parts")
	}
	name, _ := claims["iss"].(string)
	i, ok := v.issuers[name]
	if !ok {
		return nil, nil, refuse("its issuer is not configured")
	}
	return i, token, nil
}

func refuse(reason string) error { return fmt.Errorf("%w: %s", ErrRefused, reason) }
