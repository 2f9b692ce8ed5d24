package store

import (
	"context"
	"time"

	"github.com/verigate/verigate/gen/sqlc"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/verification"
)

var _ access.KeyStore = (*Store)(nil)

// AddKey stores an API key.
func (s *Store) AddKey(ctx context.Context, k *access.Key) error {
	return translate(s.queries.APIKeyInsert(ctx, s.pool, sqlc.APIKeyInsertParams{
		ID: k.ID, Project: k.Scope.Project, Environment: string(k.Scope.Environment),
		Name: k.Name, SecretHash: k.SecretHash, CreateTime: k.CreateTime,
	}))
}

// Key implements access.KeyStore.
func (s *Store) Key(ctx context.Context, id string) (*access.Key, error) {
	row, err := s.queries.APIKeyGet(ctx, s.pool, id)
	if err != nil {
		return nil, translate(err)
	}
	return toKey(row), nil
}

// Keys returns all API keys, oldest first.
func (s *Store) Keys(ctx context.Context) ([]*access.Key, error) {
	rows, err := s.queries.APIKeyList(ctx, s.pool)
	keys := make([]*access.Key, 0, len(rows))
	for _, row := range rows {
		keys = append(keys, toKey(row))
	}
	return keys, translate(err)
}

// RevokeKey makes a key useless from now on; it reports whether it was good.
func (s *Store) RevokeKey(ctx context.Context, id string, now time.Time) (bool, error) {
	changed, err := s.queries.APIKeyRevokeIfActive(ctx, s.pool, sqlc.APIKeyRevokeIfActiveParams{ID: id, RevokeTime: &now})
	return changed == 1, translate(err)
}

func toKey(r sqlc.ApiKey) *access.Key {
	return &access.Key{
		ID:    r.ID,
		Scope: verification.Scope{Project: r.Project, Environment: verification.Environment(r.Environment)},
		Name:  r.Name, SecretHash: r.SecretHash, CreateTime: r.CreateTime, RevokeTime: fromNullable(r.RevokeTime),
	}
}
