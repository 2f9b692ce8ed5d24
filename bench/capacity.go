package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/verigate/verigate/bench/hook"
	"github.com/verigate/verigate/bench/load"
	"github.com/verigate/verigate/bench/rig"
)

// capacity returns how many deliveries a second one gateway acknowledges here:
// what the table ingest found, or what a short look of its own finds.
func (s *session) capacity(ctx context.Context) (_ float64, err error) {
	if s.peak > 0 {
		return s.peak, nil
	}
	rows := size(s, int64(40_000), 3000)
	set := s.newSet()
	if err := s.seed(ctx, map[rig.Set]int64{set: rows}); err != nil {
		return 0, err
	}
	gateway, err := s.gateway(ctx, rig.GatewayOptions{Name: "gateway"})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, gateway.Stop()) }()
	plan := s.webhooks(gateway, set, rows)
	plan.Connections = barConnections
	for range size(s, 2, 1) { // the first one warms up
		plan.Duration = size(s, 3*time.Second/2, time.Second)
		outcome, err := load.Closed(ctx, plan)
		if err != nil {
			return 0, err
		}
		if outcome.Codes[http.StatusTooManyRequests] > 0 {
			return 0, unacknowledged(outcome, gateway.Tail())
		}
		plan.First, s.peak = outcome.Next, outcome.PerSecond()
	}
	if s.peak <= 0 {
		return 0, fmt.Errorf("the gateway acknowledged nothing:\n%s", gateway.Tail())
	}
	return s.peak, nil
}

// gateway starts one on the gateways' database, or returns the target, whose
// options are its own.
func (s *session) gateway(ctx context.Context, o rig.GatewayOptions) (*rig.Gateway, error) {
	if target := s.options.Target; target != nil {
		return rig.Running(target.Public, target.Webhooks, target.PID), nil
	}
	o.DSN, o.Secrets, o.Folder = s.pg.DSN, s.secrets, s.folder
	return rig.StartGateway(ctx, o)
}

// seed makes as many rows of each set in the gateways' database. No gateway of our
// own may run.
func (s *session) seed(ctx context.Context, sets map[rig.Set]int64) error {
	for set, rows := range sets {
		seed := rig.Seed
		if s.options.Target != nil {
			s.seeded[set] = rows
			seed = rig.SeedBeside
		}
		if err := seed(ctx, s.pg.Pool, set, 0, rows); err != nil {
			return err
		}
	}
	if s.options.Target != nil {
		return nil
	}
	return errors.Join(rig.Settle(ctx, s.pg.Pool), rig.Checkpoint(ctx, s.pg.Pool))
}

// unacknowledged says that the gateway did not take everything.
func unacknowledged(outcome *load.Outcome, log string) error {
	hint := ""
	if outcome.Codes[http.StatusTooManyRequests] > 0 {
		hint = "; limits.webhooks_per_address of its configuration is in the way: raise it for the benchmark"
	}
	return fmt.Errorf("not every webhook was acknowledged: answers %v, broken lines %d%s\n%s", outcome.Codes, outcome.Broken, hint, log)
}

// webhooks is a plan that decides the rows of a set.
func (s *session) webhooks(gateway *rig.Gateway, set rig.Set, rows int64) load.Plan {
	return load.Plan{
		Address: gateway.Webhooks, Until: rows,
		NewSource: func() load.Source { return hook.NewMaker(set, gateway.Webhooks, s.secrets.Webhooks) },
	}
}

// load replaces everything in the gateways' database by the rows of a set, still
// pending. It is much faster than seed. No gateway may run. A target's database is
// never emptied: there it is seed.
func (s *session) load(ctx context.Context, set rig.Set, rows int64) error {
	if s.options.Target != nil {
		return s.seed(ctx, map[rig.Set]int64{set: rows})
	}
	return errors.Join(rig.Bulk{Set: set, Rows: rows}.Load(ctx, s.pg.Pool), rig.Checkpoint(ctx, s.pg.Pool))
}
