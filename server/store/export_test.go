package store

import "context"

// PoolSize returns how many connections the pool may have.
func (s *Store) PoolSize() int32 { return s.pool.Config().MaxConns }

// BatchPoolSize returns how many connections batches may have.
func (s *Store) BatchPoolSize() int32 { return s.batches.Config().MaxConns }

// BatchSetting returns a setting of the connections of batches.
func (s *Store) BatchSetting(ctx context.Context, name string) (value string, err error) {
	err = s.batches.QueryRow(ctx, "SELECT current_setting($1)", name).Scan(&value)
	return value, err
}

// Prepared counts the prepared statements of the pool's next connection whose
// text begins with the name of a query.
func (s *Store) Prepared(ctx context.Context, query string) (n int64, err error) {
	err = s.pool.QueryRow(ctx, "SELECT count(*) FROM pg_prepared_statements WHERE starts_with(statement, $1)", "-- name: "+query+" ").Scan(&n)
	return n, err
}
