package access

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/verification"
)

// AdminStore keeps API keys and, in the same transaction, the audit entry of
// each change.
type AdminStore interface {
	// AddKey stores a new key.
	AddKey(ctx context.Context, k *Key, entry *verification.AuditEntry) error
	// KeysOf returns the keys of a scope, oldest first.
	KeysOf(ctx context.Context, scope verification.Scope) ([]*Key, error)
	// ChangeKey locks a key of the scope, lets change alter it, and stores what
	// came of it: the key, a successor unless nil, and the entry. Without an
	// entry nothing is stored. ErrKeyNotFound if the scope has no such key.
	ChangeKey(ctx context.Context, scope verification.Scope, id string, change func(k *Key) (successor *Key, entry *verification.AuditEntry, err error)) error
}

// ErrKeyNotFound is what an AdminStore returns for a key that is not there, or
// is another scope's.
var ErrKeyNotFound = verification.NewError(verification.KindNotFound, "API_KEY_NOT_FOUND",
	"no such API key in this project and environment")

// Admin makes, rotates and revokes API keys. It is safe for concurrent use.
type Admin struct {
	Store  AdminStore
	Random io.Reader
	Now    func() time.Time
}

// Create makes a key; its text is returned once. A zero expiresIn means that it
// never ends by itself.
func (a *Admin) Create(ctx context.Context, scope verification.Scope, name string, scopes []KeyScope, expiresIn time.Duration, by verification.Operator) (*Key, secret.Value, error) {
	now := a.Now()
	key, text, err := NewKey(scope, name, scopes, a.Random, now)
	if err != nil {
		return nil, secret.Value{}, err
	}
	if expiresIn > 0 {
		key.ExpireTime = now.Add(expiresIn)
	}
	entry, err := verification.NewAuditEntry(scope, by, verification.AuditKeyCreate, key.ID, key.details(), now)
	if err != nil {
		return nil, secret.Value{}, err
	}
	return key, text, a.Store.AddKey(ctx, key, entry)
}

func (k *Key) details() map[string]string {
	words := make([]string, 0, len(k.Scopes))
	for _, s := range k.Scopes {
		words = append(words, string(s))
	}
	d := map[string]string{"name": k.Name, "scopes": strings.Join(words, " ")}
	if !k.ExpireTime.IsZero() {
		d["expire_time"] = k.ExpireTime.UTC().Format(time.RFC3339)
	}
	return d
}

// List returns the keys of a scope, oldest first.
func (a *Admin) List(ctx context.Context, scope verification.Scope) ([]*Key, error) {
	return a.Store.KeysOf(ctx, scope)
}

// Rotation is what Rotate made.
type Rotation struct {
	Successor   *Key
	Text        secret.Value
	Predecessor *Key
}

// Rotate gives a key a successor with the same name, scopes and lifetime, and
// lets the key itself work for overlap longer. A key has one successor: what
// was rotated, revoked or is expired is KindRefused.
func (a *Admin) Rotate(ctx context.Context, scope verification.Scope, id string, overlap time.Duration, by verification.Operator) (Rotation, error) {
	var r Rotation
	err := a.Store.ChangeKey(ctx, scope, id, func(k *Key) (*Key, *verification.AuditEntry, error) {
		now := a.Now()
		if k.SuccessorID != "" {
			return nil, nil, verification.NewError(verification.KindRefused, "API_KEY_ROTATED",
				"this key was rotated already; rotate its successor "+k.SuccessorID)
		}
		if err := k.alive(now); err != nil {
			return nil, nil, verification.NewError(verification.KindRefused, "API_KEY_OVER",
				"this key is revoked or expired; create a new one").WithCause(err)
		}
		successor, text, err := NewKey(k.Scope, k.Name, k.Scopes, a.Random, now)
		if err != nil {
			return nil, nil, err
		}
		if !k.ExpireTime.IsZero() {
			successor.ExpireTime = now.Add(k.ExpireTime.Sub(k.CreateTime))
		}
		if end := now.Add(overlap); k.ExpireTime.IsZero() || end.Before(k.ExpireTime) {
			k.ExpireTime = end
		}
		k.SuccessorID = successor.ID
		r = Rotation{Successor: successor, Text: text, Predecessor: k}
		entry, err := verification.NewAuditEntry(scope, by, verification.AuditKeyRotate, k.ID, map[string]string{
			"successor": successor.ID, "expire_time": k.ExpireTime.UTC().Format(time.RFC3339),
		}, now)
		return successor, entry, err
	})
	return r, err
}

// Revoke ends a key at once. Revoking a revoked one changes nothing.
func (a *Admin) Revoke(ctx context.Context, scope verification.Scope, id string, by verification.Operator) (*Key, error) {
	var revoked *Key
	err := a.Store.ChangeKey(ctx, scope, id, func(k *Key) (*Key, *verification.AuditEntry, error) {
		revoked = k
		if !k.RevokeTime.IsZero() {
			return nil, nil, nil
		}
		k.RevokeTime = a.Now()
		entry, err := verification.NewAuditEntry(scope, by, verification.AuditKeyRevoke, k.ID, nil, k.RevokeTime)
		return nil, entry, err
	})
	return revoked, err
}
