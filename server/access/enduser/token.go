package enduser

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"github.com/verigate/verigate/server/verification"
)

const (
	// leeway is how far the issuer's clock may be ahead of ours, for nbf and iat.
	// exp has none: what has ended for us has ended.
	leeway = time.Minute
	// maxSubject is the contract's limit for a subject, in characters.
	maxSubject = 256
	// maxNumericDate ends the year 9999. Beyond it a number of seconds is no
	// date, and converting it could come out as any time.
	maxNumericDate = 253402300799
)

// issuer checks the tokens of one issuer.
type issuer struct {
	name         string
	scope        verification.Scope
	audiences    []string
	algorithms   []string
	subjectClaim string
	now          func() time.Time
	parser       *jwt.Parser
	keys         *keyring
}

func newIssuer(c Config, deps Deps) *issuer {
	return &issuer{
		name: c.Issuer, scope: c.Scope, audiences: c.Audiences, algorithms: c.Algorithms, subjectClaim: c.SubjectClaim, now: deps.Now,
		keys: newKeyring(c, deps),
		parser: jwt.NewParser(
			jwt.WithValidMethods(c.Algorithms), jwt.WithStrictDecoding(),
			jwt.WithIssuer(c.Issuer), jwt.WithAudience(c.Audiences...),
			jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(leeway), jwt.WithTimeFunc(deps.Now)),
	}
}

// isFor reports whether an audience is one of this scope's.
func (i *issuer) isFor(audience string) bool { return slices.Contains(i.audiences, audience) }

// verify judges a token that names this issuer. unproven is what it says.
func (i *issuer) verify(ctx context.Context, text string, unproven *jwt.Token) (User, error) {
	if err := i.checkHeader(unproven.Header); err != nil {
		return User{}, err
	}
	kid, _ := unproven.Header["kid"].(string)
	keys, err := i.keys.find(ctx, kid, unproven.Method.Alg())
	if err != nil {
		return User{}, err
	}
	claims := jwt.MapClaims{}
	set := func(*jwt.Token) (any, error) { return jwt.VerificationKeySet{Keys: keys}, nil }
	if _, err := i.parser.ParseWithClaims(text, claims, set); err != nil {
		return User{}, refuse(reasonOf(err))
	}
	expires, err := i.expiry(claims)
	if err != nil {
		return User{}, err
	}
	subject, err := i.subject(claims)
	if err != nil {
		return User{}, err
	}
	return User{Scope: i.scope, Issuer: i.name, Subject: subject, ExpireTime: expires}, nil
}

// checkHeader refuses what would make the token something else than a plain
// signed access token.
func (i *issuer) checkHeader(header map[string]any) error {
	if alg, _ := header["alg"].(string); !slices.Contains(i.algorithms, alg) {
		return refuse("its algorithm is not allowed")
	}
	// No extension is understood here (RFC 7515, section 4.1.11), an unencoded
	// payload needs one (RFC 7797, section 6), and cty marks a nested token (RFC
	// 7519, section 5.2).
	for _, name := range []string{"crit", "b64", "cty"} {
		if _, there := header[name]; there {
			return refuse("its header has " + name)
		}
	}
	if kid, there := header["kid"]; there {
		if _, ok := kid.(string); !ok {
			return refuse("its key id is not a string")
		}
	}
	return checkType(header)
}

// checkType takes what RFC 9068, section 4, asks for, and also JWT or nothing,
// which is what many issuers send. Media types have no case (RFC 7515, section
// 4.1.9).
func checkType(header map[string]any) error {
	value, there := header["typ"]
	if !there {
		return nil
	}
	name, _ := value.(string)
	for _, known := range []string{"at+jwt", "application/at+jwt", "JWT"} {
		if strings.EqualFold(name, known) {
			return nil
		}
	}
	return refuse("its type is not an access token's")
}

// reasons are the parser's errors in our words: its own texts repeat parts of
// the token.
var reasons = []struct {
	err  error
	text string
}{
	{jwt.ErrTokenSignatureInvalid, "its signature is not by the issuer's key"},
	{jwt.ErrTokenExpired, "it has expired"},
	{jwt.ErrTokenNotValidYet, "it is not valid yet"},
	{jwt.ErrTokenUsedBeforeIssued, "it was issued in the future"},
	{jwt.ErrTokenInvalidAudience, "it is meant for another audience"},
	{jwt.ErrTokenRequiredClaimMissing, "it lacks exp or aud"},
	{jwt.ErrInvalidType, "a claim is of the wrong type"},
}

func reasonOf(err error) string {
	for _, r := range reasons {
		if errors.Is(err, r.err) {
			return r.text
		}
	}
	return "it is not valid"
}

// expiry returns when the token ends, which must be in the future. All its
// times must be times.
func (i *issuer) expiry(claims jwt.MapClaims) (time.Time, error) {
	for _, name := range []string{"exp", "nbf", "iat"} {
		seconds, _ := claims[name].(float64)
		if seconds < 0 || seconds > maxNumericDate {
			return time.Time{}, refuse(name + " is no date")
		}
	}
	exp, err := claims.GetExpirationTime()
	if err != nil || exp == nil {
		return time.Time{}, refuse("it lacks exp")
	}
	if !i.now().Before(exp.Time) {
		return time.Time{}, refuse("it has expired")
	}
	return exp.UTC(), nil
}

// subject returns the subject claim, by the contract's rules for a subject.
func (i *issuer) subject(claims jwt.MapClaims) (string, error) {
	text, ok := claims[i.subjectClaim].(string)
	if !ok || text == "" {
		return "", refuse("its subject claim is missing or not a string")
	}
	if utf8.RuneCountInString(text) > maxSubject {
		return "", refuse(fmt.Sprintf("its subject is longer than %d characters", maxSubject))
	}
	// JSON decoding replaces what is no character by U+FFFD, which would make one
	// subject of several.
	if strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError }) {
		return "", refuse("its subject has a control character or is not UTF-8")
	}
	return text, nil
}
