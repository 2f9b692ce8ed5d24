// Package access decides who a caller is: an API key of a backend, or a client
// token of an app.
//
// It owns key and token formats and their checks. It answers with a Principal,
// never with a decision about a verification: what a principal may see is
// narrowed in rpc, and every query carries its scope. All failures look alike
// to the caller; the reason is for the operator's log. It imports verification
// and secret, never rpc or store.
package access

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/verification"
)

// Principal is an authenticated caller.
type Principal struct {
	Scope verification.Scope
	// KeyID is the public id of an API key; empty for a client token.
	KeyID string
	// VerificationID is the one verification of a client token; zero for an API
	// key.
	VerificationID uuid.UUID
}

// IsClient reports whether the caller is an app with a client token.
func (p Principal) IsClient() bool { return p.VerificationID != uuid.Nil }

// MaySee reports whether the principal may see a verification of its scope.
func (p Principal) MaySee(id uuid.UUID) bool { return !p.IsClient() || p.VerificationID == id }

// ErrUnauthenticated is what every failed check returns, wrapped with a reason
// for the operator.
var ErrUnauthenticated = verification.NewError(verification.KindUnauthenticated, "UNAUTHENTICATED",
	"missing or invalid credential; send the header Authorization: Bearer with an API key or a client token")

// KeyStore finds API keys.
type KeyStore interface {
	// Key returns a key by its public id: KindNotFound if there is none.
	Key(ctx context.Context, id string) (*Key, error)
}

// Authenticator checks credentials. It is safe for concurrent use.
type Authenticator struct {
	Keys   KeyStore
	Tokens func() *Tokens
	Now    func() time.Time
}

// Authenticate returns who an Authorization header speaks for.
// KindUnauthenticated, or KindUnavailable when keys cannot be looked up.
func (a *Authenticator) Authenticate(ctx context.Context, header string) (Principal, error) {
	scheme, credential, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return Principal{}, ErrUnauthenticated.WithCause(errors.New("no bearer credential"))
	}
	credential = strings.TrimSpace(credential)
	if strings.HasPrefix(credential, keyPrefix) {
		return a.byKey(ctx, credential)
	}
	return a.Tokens().Verify(credential, a.Now())
}

func (a *Authenticator) byKey(ctx context.Context, credential string) (Principal, error) {
	presented, err := parseKey(credential)
	if err != nil {
		return Principal{}, ErrUnauthenticated.WithCause(err)
	}
	key, err := a.Keys.Key(ctx, presented.id)
	if verification.KindOf(err) == verification.KindNotFound {
		return Principal{}, ErrUnauthenticated.WithCause(errors.New("no such key"))
	}
	if err != nil {
		return Principal{}, err
	}
	if err := key.check(presented); err != nil {
		return Principal{}, ErrUnauthenticated.WithCause(err)
	}
	return Principal{Scope: key.Scope, KeyID: key.ID}, nil
}
