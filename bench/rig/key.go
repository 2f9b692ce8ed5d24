package rig

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/verigate/verigate/gen/sqlc"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/verification"
)

// NewAPIKey makes a backend's key in the database and returns its text.
func NewAPIKey(ctx context.Context, pool *pgxpool.Pool, project string) (string, error) {
	scope := verification.Scope{Project: project, Environment: Environment}
	key, text, err := access.NewKey(scope, "bench", access.BackendScopes(), rand.Reader, time.Now())
	if err != nil {
		return "", fmt.Errorf("making an API key: %w", err)
	}
	scopes := make([]string, 0, len(key.Scopes))
	for _, s := range key.Scopes {
		scopes = append(scopes, string(s))
	}
	err = sqlc.New().APIKeyInsert(ctx, pool, sqlc.APIKeyInsertParams{
		ID: key.ID, Project: project, Environment: Environment, Name: key.Name,
		SecretHash: key.SecretHash, Scopes: scopes, CreateTime: key.CreateTime,
	})
	if err != nil {
		return "", fmt.Errorf("storing an API key: %w", err)
	}
	return text.Reveal(), nil
}
