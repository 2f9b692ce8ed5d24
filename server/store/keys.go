package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/verigate/verigate/gen/sqlc"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/verification"
)

var (
	_ access.KeyStore   = (*Store)(nil)
	_ access.AdminStore = (*Store)(nil)
)

// Key implements access.KeyStore.
func (s *Store) Key(ctx context.Context, id string) (*access.Key, error) {
	row, err := s.queries.APIKeyGet(ctx, s.pool, id)
	if err != nil {
		return nil, translate(err)
	}
	return toKey(row), nil
}

// AddKey implements access.AdminStore.
func (s *Store) AddKey(ctx context.Context, k *access.Key, entry *verification.AuditEntry) error {
	return s.inTx(ctx, func(t *tx) error {
		if err := t.insertKey(ctx, k); err != nil {
			return err
		}
		return t.AddAudit(ctx, entry)
	})
}

// KeysOf implements access.AdminStore.
func (s *Store) KeysOf(ctx context.Context, scope verification.Scope) ([]*access.Key, error) {
	rows, err := s.queries.APIKeyList(ctx, s.pool, sqlc.APIKeyListParams{
		Project: scope.Project, Environment: string(scope.Environment),
	})
	keys := make([]*access.Key, 0, len(rows))
	for _, row := range rows {
		keys = append(keys, toKey(row))
	}
	return keys, translate(err)
}

// ChangeKey implements access.AdminStore. change runs again, on the row as it is
// then, when the database asks for a retry.
func (s *Store) ChangeKey(ctx context.Context, scope verification.Scope, id string, change func(k *access.Key) (*access.Key, *verification.AuditEntry, error)) error {
	return s.inTx(ctx, func(t *tx) error {
		row, err := t.queries.APIKeyLock(ctx, t.db, sqlc.APIKeyLockParams{
			ID: id, Project: scope.Project, Environment: string(scope.Environment),
		})
		if errors.Is(err, pgx.ErrNoRows) {
			return access.ErrKeyNotFound
		}
		if err != nil {
			return err
		}
		key := toKey(row)
		successor, entry, err := change(key)
		if err != nil || entry == nil {
			return err
		}
		return t.saveKey(ctx, key, successor, entry)
	})
}

func (t *tx) saveKey(ctx context.Context, k, successor *access.Key, entry *verification.AuditEntry) error {
	err := t.queries.APIKeyUpdate(ctx, t.db, sqlc.APIKeyUpdateParams{
		ID: k.ID, Project: k.Scope.Project, Environment: string(k.Scope.Environment),
		ExpireTime: nullable(k.ExpireTime), RevokeTime: nullable(k.RevokeTime), SuccessorID: k.SuccessorID,
	})
	if err == nil && successor != nil {
		err = t.insertKey(ctx, successor)
	}
	if err != nil {
		return err
	}
	return t.AddAudit(ctx, entry)
}

func (t *tx) insertKey(ctx context.Context, k *access.Key) error {
	scopes := make([]string, 0, len(k.Scopes))
	for _, s := range k.Scopes {
		scopes = append(scopes, string(s))
	}
	return t.queries.APIKeyInsert(ctx, t.db, sqlc.APIKeyInsertParams{
		ID: k.ID, Project: k.Scope.Project, Environment: string(k.Scope.Environment),
		Name: k.Name, Scopes: scopes, SecretHash: k.SecretHash,
		CreateTime: k.CreateTime, ExpireTime: nullable(k.ExpireTime),
	})
}

// UseKeys remembers when keys, by their public ids, were last used. An older
// time than the one that is known changes nothing, and neither does a key that
// is not there.
func (s *Store) UseKeys(ctx context.Context, uses map[string]time.Time) error {
	params := sqlc.APIKeyUseParams{Ids: make([]string, 0, len(uses)), UseTimes: make([]time.Time, 0, len(uses))}
	for id, at := range uses {
		params.Ids, params.UseTimes = append(params.Ids, id), append(params.UseTimes, at)
	}
	return translate(s.queries.APIKeyUse(ctx, s.pool, params))
}

func toKey(r sqlc.ApiKey) *access.Key {
	scopes := make([]access.KeyScope, 0, len(r.Scopes))
	for _, s := range r.Scopes {
		scopes = append(scopes, access.KeyScope(s))
	}
	return &access.Key{
		ID:    r.ID,
		Scope: verification.Scope{Project: r.Project, Environment: verification.Environment(r.Environment)},
		Name:  r.Name, Scopes: scopes, SecretHash: r.SecretHash, CreateTime: r.CreateTime,
		ExpireTime: fromNullable(r.ExpireTime), RevokeTime: fromNullable(r.RevokeTime),
		LastUseTime: fromNullable(r.LastUseTime), SuccessorID: r.SuccessorID,
	}
}
