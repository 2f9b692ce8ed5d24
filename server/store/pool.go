package store

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	pgxuuid "github.com/vgarvardt/pgx-google-uuid/v5"

	"github.com/verigate/verigate/gen/sqlc"
	"github.com/verigate/verigate/server/secret"
)

const (
	// connectTimeout bounds one connection attempt.
	connectTimeout = 5 * time.Second
	// poolSize is how many connections a node opens at most, beside those of batches
	// and of the bus. Postgres allows 100 by default (its manual, max_connections),
	// which is five nodes.
	poolSize = 16
	// poolSizeSetting is pgx's name for the size of the pool in a DSN.
	poolSizeSetting = "pool_max_conns"
)

// sessionLimits keep one stuck statement from holding rows or vacuum for ever.
func sessionLimits() map[string]string {
	return map[string]string{
		"application_name":                    "verigate",
		"timezone":                            "UTC",
		"statement_timeout":                   "5000",
		"lock_timeout":                        "3000",
		"idle_in_transaction_session_timeout": "10000",
	}
}

// errBadDSN is all that is said: pgx's own text may repeat parts of the DSN.
var errBadDSN = errors.New("database_url: not a valid Postgres URL; write postgres://user:password@host:5432/name")

// poolConfig reads a DSN; what it does not say is ours to choose.
func poolConfig(dsn secret.Value) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(dsn.Reveal())
	if err != nil {
		return nil, errBadDSN
	}
	// The pool's own reading takes its settings out of the parameters.
	said, err := pgx.ParseConfig(dsn.Reveal())
	if err != nil {
		return nil, errBadDSN
	}
	if _, set := said.RuntimeParams[poolSizeSetting]; !set {
		config.MaxConns = poolSize
	}
	for key, value := range sessionLimits() {
		if _, set := config.ConnConfig.RuntimeParams[key]; !set {
			config.ConnConfig.RuntimeParams[key] = value
		}
	}
	config.ConnConfig.ConnectTimeout = connectTimeout
	// Ids go over the wire as they are, not by way of their text.
	config.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		pgxuuid.Register(conn.TypeMap())
		return nil
	}
	return config, nil
}

// batchConnections is how many connections a node has for deliveries that arrive
// together: as many as package intake has workers.
const batchConnections = 2

// batchSettings have the batch statements planned once: left to itself Postgres
// plans each anew, because it sees that the lists at hand are shorter than it would
// guess, and planning them costs more than running them. And a batch waits for
// nobody's mark or ref for long: others wait for it.
func batchSettings() map[string]string {
	return map[string]string{"plan_cache_mode": "force_generic_plan", "lock_timeout": "250"}
}

// batchPoolConfig is that of the connections for batches. They are others, because
// their settings are: to set them in each transaction would cost as much as one of
// its statements.
func batchPoolConfig(config *pgxpool.Config) *pgxpool.Config {
	config = config.Copy()
	config.MaxConns, config.MinConns, config.MinIdleConns = min(batchConnections, config.MaxConns), 0, 0
	maps.Copy(config.ConnConfig.RuntimeParams, batchSettings())
	return config
}

// listTurns is how many lists may run at once on a pool of that size. A list
// whose filter meets little reads all that its tenant has: however many are
// asked for, the other half is left to streams, webhooks, single reads and
// readiness. A pool of one connection has no half to spare.
func listTurns(connections int32) int32 { return max(1, connections/2) }

// streamShare is the share of a pool that event streams may read with at once:
// together with the lists they leave the last quarter to the rest.
const streamShare = 4

// streamTurns is how many event streams may read at once on a pool of that size.
func streamTurns(connections int32) int32 { return max(1, connections/streamShare) }

// takeListTurn waits until another list may run, as takeTurn does.
func (s *Store) takeListTurn(ctx context.Context) (done func(), err error) {
	return takeTurn(ctx, s.lists)
}

// takeTurn waits for one of the turns, or for the end of ctx, whose error it
// returns then. Whoever got a turn calls done once.
func takeTurn(ctx context.Context, turns chan struct{}) (done func(), err error) {
	select {
	case turns <- struct{}{}:
		return func() { <-turns }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// valued is the pool for statements whose best plan depends on their values. A
// prepared statement is soon planned without them, and a list then walks the
// primary key through all tenants, as if every project and flow were alike.
func (s *Store) valued() sqlc.DBTX { return planned{s.pool} }

type planned struct{ *pgxpool.Pool }

// Query has the statement planned for its arguments, each time: it is sent
// without a name, and only its description is kept.
func (p planned) Query(ctx context.Context, statement string, args ...any) (pgx.Rows, error) {
	return p.Pool.Query(ctx, statement, append([]any{pgx.QueryExecModeCacheDescribe}, args...)...)
}
