// Package access decides who a caller is: a backend with an API key, an app
// with a client token, or an end user with an access token of its own issuer.
//
//	Authorization: Bearer vg_…   key.go      the database knows it by its id
//	               a JWT with a configured issuer   enduser
//	               any other JWT  token.go   signed by this gateway
//
// It owns key and token formats, their checks, and the life of API keys. It
// answers with a Principal, never with a decision about a verification: what a
// principal may see is narrowed in rpc, and every query carries its scope. All
// failures look alike to the caller; the reason is for the operator's log. It
// imports verification and secret, never rpc or store.
package access

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/access/enduser"
	"github.com/verigate/verigate/server/verification"
)

// KeyScope is something that an API key may do.
type KeyScope string

// The scopes. None implies another.
const (
	// VerificationsWrite starts and cancels verifications.
	VerificationsWrite KeyScope = "verifications:write"
	// VerificationsRead gets, lists and watches them.
	VerificationsRead KeyScope = "verifications:read"
	// EventsRead follows the event stream.
	EventsRead KeyScope = "events:read"
	// OperatorScope calls OperatorService.
	OperatorScope KeyScope = "operator"
)

// KeyScopes lists every scope.
func KeyScopes() []KeyScope {
	return []KeyScope{VerificationsWrite, VerificationsRead, EventsRead, OperatorScope}
}

// BackendScopes are what a caller's backend needs.
func BackendScopes() []KeyScope { return []KeyScope{VerificationsWrite, VerificationsRead, EventsRead} }

// Principal is an authenticated caller: exactly one of KeyID, VerificationID
// and Subject is set.
type Principal struct {
	Scope verification.Scope
	// KeyID is the public id of an API key.
	KeyID string
	// KeyScopes are what the API key may do.
	KeyScopes []KeyScope
	// VerificationID is the one verification of a client token.
	VerificationID uuid.UUID
	// Subject is the end user.
	Subject string
	// ExpireTime is when the credential ends by itself; zero if it does not.
	ExpireTime time.Time
	// Voucher is what a token hangs on: the id of the key that signed a client
	// token, or the issuer of an end user's. Without it the token is void.
	Voucher string
}

// IsKey reports whether the caller is a backend with an API key.
func (p Principal) IsKey() bool { return p.KeyID != "" }

// IsEndUser reports whether the caller is an end user with its own token.
func (p Principal) IsEndUser() bool { return p.Subject != "" }

// Has reports whether the caller is an API key with the scope.
func (p Principal) Has(scope KeyScope) bool { return p.IsKey() && slices.Contains(p.KeyScopes, scope) }

// MaySee reports whether the principal may see a verification of its scope.
func (p Principal) MaySee(v *verification.Verification) bool {
	switch {
	case v.Scope != p.Scope:
		return false
	case p.IsKey():
		return true
	case p.IsEndUser():
		return v.Subject == p.Subject
	default:
		return p.VerificationID != uuid.Nil && v.ID == p.VerificationID
	}
}

// Holder names the principal for what is counted per caller: limits and open
// streams. Two principals never share it.
func (p Principal) Holder() string {
	switch {
	case p.IsKey():
		return "key/" + p.KeyID
	case p.IsEndUser():
		return "subject/" + within(p.Scope, p.Subject)
	default:
		return "token/" + p.VerificationID.String()
	}
}

// within names a subject of a scope. The quotes keep two scopes apart whatever
// their texts contain; the subject is the rest.
func within(scope verification.Scope, subject string) string {
	return strconv.Quote(scope.Project) + "/" + strconv.Quote(string(scope.Environment)) + "/" + subject
}

// KeyStore finds API keys.
type KeyStore interface {
	// Key returns a key by its public id: KindNotFound if there is none.
	Key(ctx context.Context, id string) (*Key, error)
}

// EndUsers checks access tokens of configured issuers.
type EndUsers interface {
	// Knows reports whether a credential claims to be of such an issuer.
	Knows(credential string) bool
	// Verify returns whom it speaks for.
	Verify(ctx context.Context, credential string) (enduser.User, error)
	// Serves reports whether an issuer still vouches for users of a scope.
	Serves(scope verification.Scope, issuer string) bool
}

// Authenticator checks credentials. It is safe for concurrent use.
type Authenticator struct {
	Keys   KeyStore
	Tokens func() *Tokens
	// EndUsers may return nil: then nobody is one.
	EndUsers func() EndUsers
	// Used is told of each good API key.
	Used func(keyID string)
	Now  func() time.Time
}

// Authenticate returns who an Authorization header speaks for.
// KindUnauthenticated, or KindUnavailable when keys cannot be looked up.
func (a *Authenticator) Authenticate(ctx context.Context, header string) (Principal, error) {
	scheme, credential, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return Principal{}, refuse("no_credential", "no bearer credential")
	}
	credential = strings.TrimSpace(credential)
	if strings.HasPrefix(credential, keyPrefix) {
		return a.byKey(ctx, credential)
	}
	if users := a.EndUsers(); users != nil && users.Knows(credential) {
		return a.byAccessToken(ctx, users, credential)
	}
	return a.Tokens().Verify(credential, a.Now())
}

// Recheck says whether a principal is still good, for whatever outlives the
// call that it came with: a revoked key, a token that ran out, and one whose
// signing key or issuer was removed from the configuration, end a stream.
func (a *Authenticator) Recheck(ctx context.Context, p Principal) error {
	if !p.ExpireTime.IsZero() && !a.Now().Before(p.ExpireTime) {
		return refuse("expired", "the credential ran out during the stream")
	}
	if !p.IsKey() {
		return a.recheckVoucher(p)
	}
	key, err := a.Keys.Key(ctx, p.KeyID)
	if verification.KindOf(err) == verification.KindNotFound {
		return refuse("unknown_key", "no such key")
	}
	if err != nil {
		return err
	}
	return key.alive(a.Now())
}

func (a *Authenticator) recheckVoucher(p Principal) error {
	if !p.IsEndUser() && a.Tokens().Accepts(p.Voucher) {
		return nil
	}
	if users := a.EndUsers(); p.IsEndUser() && users != nil && users.Serves(p.Scope, p.Voucher) {
		return nil
	}
	return refuse("voucher_removed", "the token's signing key or issuer was removed during the stream")
}

func (a *Authenticator) byKey(ctx context.Context, credential string) (Principal, error) {
	presented, err := parseKey(credential)
	if err != nil {
		return Principal{}, err
	}
	key, err := a.Keys.Key(ctx, presented.id)
	if verification.KindOf(err) == verification.KindNotFound {
		// As much work as for a key that is there.
		_ = new(Key).check(presented, a.Now())
		return Principal{}, refuse("unknown_key", "no such key")
	}
	if err != nil {
		return Principal{}, err
	}
	if err := key.check(presented, a.Now()); err != nil {
		return Principal{}, err
	}
	if a.Used != nil {
		a.Used(key.ID)
	}
	return Principal{Scope: key.Scope, KeyID: key.ID, KeyScopes: key.Scopes, ExpireTime: key.ExpireTime}, nil
}

func (a *Authenticator) byAccessToken(ctx context.Context, users EndUsers, credential string) (Principal, error) {
	user, err := users.Verify(ctx, credential)
	switch {
	case errors.Is(err, enduser.ErrUnavailable):
		return Principal{}, verification.NewError(verification.KindUnavailable, "ISSUER_UNAVAILABLE",
			"the token cannot be checked at the moment; retry").WithCause(err)
	case err != nil:
		return Principal{}, refuse("access_token", err.Error())
	case user.Subject == verification.ErasedSubject:
		// It would be everybody who was ever erased.
		return Principal{}, refuse("access_token", "the subject is what erased subjects are called")
	}
	return Principal{Scope: user.Scope, Subject: user.Subject, ExpireTime: user.ExpireTime, Voucher: user.Issuer}, nil
}
