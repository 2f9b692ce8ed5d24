package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/verigate/verigate/gen/sqlc"
	"github.com/verigate/verigate/server/seal"
	"github.com/verigate/verigate/server/verification"
)

const (
	// walkStep is how many deliveries one statement of a walk over all looks at.
	walkStep = 500
	// countPatience is how long counting all deliveries may take: it reads every
	// one that is not purged, and only an operator asks for it.
	countPatience = 5 * time.Minute
)

// PurgeDeliveries removes headers, body, keys, refs and named id of up to limit
// deliveries of all scopes that arrived before the given time, oldest first, and
// returns how many those were. Late repeats are still recognised, by the hashes
// in seen. One that waits is never applied after that; its refs stay as hashes,
// so that what comes later of the same run is not taken for another. Nodes that
// purge at the same time take different ones.
func (s *Store) PurgeDeliveries(ctx context.Context, before time.Time, limit int) (int64, error) {
	purged, err := s.queries.DeliveryPurge(ctx, s.pool, sqlc.DeliveryPurgeParams{Before: before, RowLimit: int32(limit)})
	return purged, translate(err)
}

// SealingKeys returns the ids of the keys that stored deliveries are sealed
// under; an empty one if some are from before deliveries were sealed. It counts
// nothing: its price is that of the keys.
func (s *Store) SealingKeys(ctx context.Context) ([]string, error) {
	ids, err := s.queries.DeliveryKeysInUse(ctx, s.pool)
	return ids, translate(err)
}

// KeysInUse returns how many deliveries of all scopes are sealed under each key
// id; those under the empty one are from before deliveries were sealed.
func (s *Store) KeysInUse(ctx context.Context) (map[string]int64, error) {
	uses := make(map[string]int64)
	err := s.inTx(ctx, func(t *tx) error {
		clear(uses)
		milliseconds := strconv.FormatInt(countPatience.Milliseconds(), 10)
		if err := t.queries.TransactionAllowTime(ctx, t.db, milliseconds); err != nil {
			return err
		}
		rows, err := t.queries.DeliveryCountByKey(ctx, t.db)
		for _, r := range rows {
			uses[r.KeyID] = r.Deliveries
		}
		return err
	})
	return uses, err
}

// Reencrypt seals anew up to limit deliveries of all scopes that are sealed
// under another key than the keyring's first, or not at all, in the order of
// their ids from after on. It returns how many it changed and the id to go on
// from, which is zero when there are none left. Whoever purges or erases a
// delivery at the same moment wins.
//
// A delivery that does not open is passed over; when the others are done the
// call fails with KindInternal and a cause that names each key that is missing.
func (s *Store) Reencrypt(ctx context.Context, after uuid.UUID, limit int) (changed int64, last uuid.UUID, err error) {
	ring, err := s.sealer.ring()
	if err != nil {
		return 0, after, err
	}
	w := walk{last: after, left: limit}
	for more := true; more && w.left > 0; {
		if more, err = s.resealStep(ctx, ring.KeyID(), &w); err != nil {
			return w.changed, w.last, err
		}
		if !more {
			w.last = uuid.Nil
		}
	}
	return w.changed, w.last, w.broken.err()
}

// walk is how far one call came.
type walk struct {
	last    uuid.UUID
	left    int
	changed int64
	broken  failures
}

// resealStep looks at some deliveries and reports whether there may be more.
func (s *Store) resealStep(ctx context.Context, current string, w *walk) (bool, error) {
	rows, err := s.queries.DeliveryWalk(ctx, s.pool, sqlc.DeliveryWalkParams{After: w.last, RowLimit: walkStep})
	if err != nil {
		return false, translate(err)
	}
	for _, r := range rows {
		if w.left == 0 {
			return true, nil
		}
		if r.Kept && r.KeyID != current {
			changed, err := s.reseal(ctx, place(r.ID, r.Project, r.Environment))
			if err != nil && !w.broken.take(r.KeyID, err) {
				return false, err
			}
			w.changed += changed
			w.left -= int(changed)
		}
		w.last = r.ID
	}
	return len(rows) == walkStep, nil
}

// reseal returns how many rows it changed: none if somebody else was faster.
func (s *Store) reseal(ctx context.Context, at verification.Place) (int64, error) {
	row, err := s.queries.DeliveryGet(ctx, s.pool, sqlc.DeliveryGetParams{
		ID: at.ID, Project: at.Scope.Project, Environment: string(at.Scope.Environment),
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, translate(err)
	}
	if row.PurgeTime != nil {
		return 0, nil
	}
	headers, body, err := s.sealer.open(row)
	if err != nil {
		return 0, err
	}
	anew, err := s.sealer.seal(at, headers, body)
	if err != nil {
		return 0, err
	}
	changed, err := s.queries.DeliveryResealIfUnder(ctx, s.pool, sqlc.DeliveryResealIfUnderParams{
		ID: row.ID, Project: row.Project, Environment: row.Environment, OldKeyID: row.KeyID,
		KeyID: anew.keyID, Headers: anew.headers, Body: anew.body,
	})
	return changed, translate(err)
}

// failures keeps one error for each key: a lost key fails many deliveries.
type failures struct {
	keys []string
	errs []error
}

// take keeps what is wrong with one delivery; it reports false for an error that
// concerns all of them.
func (f *failures) take(keyID string, err error) bool {
	known := errors.Is(err, seal.ErrUnknownKey) || errors.Is(err, seal.ErrDamaged) || errors.Is(err, errUnreadableRow)
	if known && !slices.Contains(f.keys, keyID) {
		f.keys = append(f.keys, keyID)
		f.errs = append(f.errs, fmt.Errorf("sealed under key %q: %w", keyID, errors.Unwrap(err)))
	}
	return known
}

func (f *failures) err() error {
	if len(f.errs) == 0 {
		return nil
	}
	return internal(errors.Join(f.errs...))
}
