package access

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/verification"
)

// A client token is a JWT (RFC 7519) signed with HMAC-SHA256. The algorithm is
// fixed by us, never by the token; the key id selects among configured keys.
const (
	tokenAudience = "verigate-client"
	// tokenSlack keeps a token good a little longer than its verification can
	// still change.
	tokenSlack = 10 * time.Minute
	// MinTokenSecret is the shortest signing secret, in bytes: as long as the
	// MAC.
	MinTokenSecret = 32
)

// TokenKey is one signing key.
type TokenKey struct {
	ID     string
	Secret secret.Value
}

// Tokens issues and checks client tokens. It is safe for concurrent use.
type Tokens struct {
	signing TokenKey
	keys    map[string]secret.Value
}

type claims struct {
	jwt.RegisteredClaims

	Project     string `json:"prj"`
	Environment string `json:"env"`
}

// NewTokens returns Tokens that sign with the first key and accept all of them.
// It refuses an empty list and secrets shorter than MinTokenSecret.
func NewTokens(keys []TokenKey) (*Tokens, error) {
	if len(keys) == 0 {
		return nil, errors.New("client_tokens.keys: at least one key is needed")
	}
	byID := make(map[string]secret.Value, len(keys))
	for _, k := range keys {
		if len(k.Secret.Reveal()) < MinTokenSecret {
			return nil, fmt.Errorf("client_tokens.keys: the secret of %q is shorter than %d bytes", k.ID, MinTokenSecret)
		}
		byID[k.ID] = k.Secret
	}
	return &Tokens{signing: keys[0], keys: byID}, nil
}

// Issue returns the token of a verification. It is the same each time, so that
// a repeated start gives the same answer.
func (t *Tokens) Issue(v *verification.Verification) (string, error) {
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Subject:   v.ID.String(),
			Audience:  jwt.ClaimStrings{tokenAudience},
			IssuedAt:  jwt.NewNumericDate(v.CreateTime),
			ExpiresAt: jwt.NewNumericDate(v.GraceUntil.Add(tokenSlack)),
		},
		Project: v.Scope.Project, Environment: string(v.Scope.Environment),
	})
	token.Header["kid"] = t.signing.ID
	return token.SignedString([]byte(t.signing.Secret.Reveal()))
}

// Verify returns the principal of a token: ErrUnauthenticated for anything that
// is not a whole, unexpired token of ours.
func (t *Tokens) Verify(text string, now time.Time) (Principal, error) {
	// Go's base64 skips line breaks, even when strict: a token has one text.
	if strings.ContainsAny(text, "\r\n") {
		return Principal{}, refuse("token", "a line break in the token")
	}
	var c claims
	token, err := jwt.ParseWithClaims(text, &c, t.key,
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithAudience(tokenAudience), jwt.WithExpirationRequired(),
		jwt.WithTimeFunc(func() time.Time { return now }), jwt.WithStrictDecoding())
	if errors.Is(err, jwt.ErrTokenExpired) {
		return Principal{}, refuse("expired", "the client token is expired")
	}
	if err != nil {
		// The library's own text may repeat parts of the token.
		return Principal{}, refuse("token", "not a client token of this gateway")
	}
	id, err := uuid.Parse(c.Subject)
	if err != nil || id == uuid.Nil || c.Project == "" || c.Environment == "" {
		return Principal{}, refuse("token", "a claim is missing")
	}
	scope := verification.Scope{Project: c.Project, Environment: verification.Environment(c.Environment)}
	kid, _ := token.Header["kid"].(string)
	return Principal{Scope: scope, VerificationID: id, ExpireTime: c.ExpiresAt.Time, Voucher: kid}, nil
}

// Accepts reports whether tokens that were signed with a key are still good.
func (t *Tokens) Accepts(keyID string) bool {
	_, ok := t.keys[keyID]
	return ok
}

func (t *Tokens) key(token *jwt.Token) (any, error) {
	id, _ := token.Header["kid"].(string)
	key, ok := t.keys[id]
	if !ok {
		return nil, errors.New("unknown key id")
	}
	return []byte(key.Reveal()), nil
}
