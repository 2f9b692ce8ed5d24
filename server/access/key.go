package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"io"
	"strings"
	"time"

	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/verification"
)

// An API key is vg_<environment>_<public id>_<secret>. The id finds the row,
// the secret proves it. The secret is 256 random bits, so a plain SHA-256 is
// enough to store: there is nothing to guess.
const (
	keyPrefix   = "vg_"
	keyIDBytes  = 8
	keySecBytes = 32
	keyParts    = 4
)

// Key is a stored API key.
type Key struct {
	ID         string
	Scope      verification.Scope
	Name       string
	Scopes     []KeyScope
	SecretHash []byte
	CreateTime time.Time
	// ExpireTime is when it ends by itself; zero for never.
	ExpireTime time.Time
	// RevokeTime is zero while the key is good.
	RevokeTime time.Time
	// LastUseTime is when it was last used, within about a minute; zero for
	// never.
	LastUseTime time.Time
	// SuccessorID is the key that replaces it; empty if none does.
	SuccessorID string
}

// NewKey makes a key. The returned text is shown once and stored nowhere.
func NewKey(scope verification.Scope, name string, scopes []KeyScope, random io.Reader, now time.Time) (*Key, secret.Value, error) {
	raw := make([]byte, keyIDBytes+keySecBytes)
	if _, err := io.ReadFull(random, raw); err != nil {
		return nil, secret.Value{}, err
	}
	id := hex.EncodeToString(raw[:keyIDBytes])
	text := base64.RawURLEncoding.EncodeToString(raw[keyIDBytes:])
	key := &Key{ID: id, Scope: scope, Name: name, Scopes: scopes, SecretHash: hashSecret(text), CreateTime: now}
	return key, secret.New(keyPrefix + string(scope.Environment) + "_" + id + "_" + text), nil
}

func hashSecret(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

var errMalformedKey = refuse("malformed_key", "malformed API key")

type presentedKey struct {
	environment verification.Environment
	id          string
	secret      string
}

func parseKey(text string) (presentedKey, error) {
	// The secret may contain underscores: it is whatever follows the third.
	parts := strings.SplitN(text, "_", keyParts)
	if len(parts) != keyParts {
		return presentedKey{}, errMalformedKey
	}
	// A header may hold any byte; the database would stumble over some.
	if id, err := hex.DecodeString(parts[2]); err != nil || len(id) != keyIDBytes {
		return presentedKey{}, errMalformedKey
	}
	return presentedKey{environment: verification.Environment(parts[1]), id: parts[2], secret: parts[3]}, nil
}

func (k *Key) check(p presentedKey, now time.Time) error {
	// The comparison comes first and takes the same time for every secret.
	same := subtle.ConstantTimeCompare(k.SecretHash, hashSecret(p.secret)) == 1
	switch {
	case !same:
		return refuse("wrong_secret", "wrong secret for key "+k.ID)
	case k.Scope.Environment != p.environment:
		return refuse("wrong_environment", "key "+k.ID+" is not of the environment in its prefix")
	}
	return k.alive(now)
}

// alive says why a key does not work any more; nil while it does.
func (k *Key) alive(now time.Time) error {
	switch {
	case !k.RevokeTime.IsZero():
		return refuse("revoked", "key "+k.ID+" is revoked")
	case !k.ExpireTime.IsZero() && !now.Before(k.ExpireTime):
		return refuse("expired", "key "+k.ID+" is expired")
	}
	return nil
}
