package store

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/verigate/verigate/gen/sqlc"
)

// Deliveries and transitions lie in partitions of four weeks, by the time that
// their ids begin with: a delivery's own, a transition's verification's. What
// has no partition of its time is in the default one.
const (
	// partitionsAhead is for how long there are partitions: two of them, so that
	// weeks of failures to make another one cost nothing.
	partitionsAhead = 8 * 7 * 24 * time.Hour
	// partitionTries is how often one call asks for a table that others hold; each
	// time waits for a moment only, because whoever comes later waits behind it.
	partitionTries = 5
	// partitionPatience is how long one try may take: it moves rows, few of them.
	partitionPatience = time.Minute
)

// MakePartitions makes the partitions that are missing from now on, and returns
// how many those were. Nodes may do it at the same time: one is at it, and the
// others return 0. What is written until then goes to the default partition, and
// moves.
func (s *Store) MakePartitions(ctx context.Context, now time.Time) (made int, err error) {
	err = s.repartition(ctx, func(t *tx) error {
		n, err := t.queries.PartitionMake(ctx, t.db, sqlc.PartitionMakeParams{FromTime: now, UntilTime: now.Add(partitionsAhead)})
		made = int(n)
		return err
	})
	return made, err
}

// DropPartitions drops the partitions that lie wholly before the given time and
// returns their names. Some wait for a later call: those with deliveries that
// have their content, and all while a verification from their time is open. What
// events and callbacks still tell of is kept.
func (s *Store) DropPartitions(ctx context.Context, before time.Time) (dropped []string, err error) {
	for {
		var name string
		err := s.repartition(ctx, func(t *tx) (err error) {
			name, err = t.queries.PartitionDrop(ctx, t.db, before)
			return err
		})
		if err != nil || name == "" {
			return dropped, err
		}
		dropped = append(dropped, name)
	}
}

// PurgeStrays removes up to limit deliveries and as many transitions from before
// the given time that no partition of their time has, and returns how many those
// were. It leaves what DropPartitions would.
func (s *Store) PurgeStrays(ctx context.Context, before time.Time, limit int) (int64, error) {
	deliveries, err := s.queries.PartitionPurgeDeliveries(ctx, s.pool, sqlc.PartitionPurgeDeliveriesParams{
		Before: before, RowLimit: int32(limit),
	})
	if err != nil {
		return 0, translate(err)
	}
	transitions, err := s.queries.PartitionPurgeTransitions(ctx, s.pool, sqlc.PartitionPurgeTransitionsParams{
		Before: before, RowLimit: int32(limit),
	})
	return deliveries + transitions, translate(err)
}

// repartition runs do in a transaction of its own, and again while others hold
// what it needs.
func (s *Store) repartition(ctx context.Context, do func(t *tx) error) error {
	var err error
	for range partitionTries {
		err = s.inTx(ctx, func(t *tx) error {
			milliseconds := strconv.FormatInt(partitionPatience.Milliseconds(), 10)
			if err := t.queries.TransactionAllowTime(ctx, t.db, milliseconds); err != nil {
				return err
			}
			return do(t)
		})
		if !isHeld(err) {
			break
		}
	}
	return err
}

// isHeld is whether the database gave up waiting for what somebody else holds.
func isHeld(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == codeLockNotAvailable
}
