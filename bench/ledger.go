package bench

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/verigate/verigate/bench/rig"
)

// ledger remembers which deliveries were acknowledged, one byte a row: each row
// is sent by one goroutine, so nobody else writes its byte.
type ledger struct {
	set          rig.Set
	acknowledged []byte
}

func newLedger(set rig.Set, rows int64) *ledger {
	return &ledger{set: set, acknowledged: make([]byte, rows)}
}

// note is a load.Plan.Answered.
func (l *ledger) note(n int64, _ time.Time) { l.acknowledged[n] = 1 }

// account is what the database says of the acknowledged deliveries.
type account struct {
	Acknowledged, Stored, Lost, Wrong int64
}

// errLost says that a promise was broken; no figure counts any more.
var errLost = errors.New("the gateway acknowledged deliveries that are not applied exactly once")

// audit compares with the database: each acknowledged delivery is stored, and
// its verification approved, by it alone and once.
func (l *ledger) audit(ctx context.Context, pool *pgxpool.Pool) (account, error) {
	var a account
	rows, err := pool.Query(ctx, `
		SELECT v.id, v.state = 'approved' AND v.version = 3, count(d.id)
		FROM verification v LEFT JOIN delivery d ON d.verification_id = v.id AND d.effect = 'applied'
		WHERE v.id >= $1 AND v.id <= $2 AND v.version > 2
		GROUP BY v.id`, l.set.ID(0), l.set.ID(int64(len(l.acknowledged)-1)))
	if err != nil {
		return a, fmt.Errorf("reading what was stored: %w", err)
	}
	defer rows.Close()
	seen := make([]byte, len(l.acknowledged))
	for rows.Next() {
		var id uuid.UUID
		var right bool
		var deliveries int64
		if err := rows.Scan(&id, &right, &deliveries); err != nil {
			return a, fmt.Errorf("reading what was stored: %w", err)
		}
		n, err := rowOf(id)
		if err != nil || n >= int64(len(seen)) {
			return a, fmt.Errorf("the verification %s is none that was generated", id)
		}
		seen[n] = 1
		a.Stored++
		if !right || deliveries != 1 {
			a.Wrong++
		}
	}
	if err := rows.Err(); err != nil {
		return a, fmt.Errorf("reading what was stored: %w", err)
	}
	for n, acknowledged := range l.acknowledged {
		a.Acknowledged += int64(acknowledged)
		if acknowledged == 1 && seen[n] == 0 {
			a.Lost++
		}
	}
	if a.Lost > 0 || a.Wrong > 0 {
		return a, fmt.Errorf("%w: %d of %d are lost, %d are applied wrongly", errLost, a.Lost, a.Acknowledged, a.Wrong)
	}
	return a, nil
}

// rowOf returns the number in a generated id: its last 15 digits.
func rowOf(id uuid.UUID) (int64, error) {
	const digits = 15
	text := hex.EncodeToString(id[:])
	return strconv.ParseInt(text[len(text)-digits:], 16, 64)
}
