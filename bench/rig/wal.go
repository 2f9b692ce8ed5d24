package rig

import (
	"context"
	"fmt"
)

const (
	// walMessages of walMessageBytes each are half of min_wal_size.
	walMessages     = 128
	walMessageBytes = 8 << 20
)

// fillWAL gives the server files of its write-ahead log to use again, as one that has
// run for a while has them. A new one has none: all who commit wait, each time a file
// is full, while the next 16 MB are made and synchronised, which took some 30 ms
// every three seconds at half load.
// It needs no table: the messages mean nothing and nobody reads them.
func (p *Postgres) fillWAL(ctx context.Context) error {
	_, err := p.Pool.Exec(ctx, `SELECT count(pg_logical_emit_message(false, 'verigate', repeat('x', $1)))
		FROM generate_series(1, $2)`, walMessageBytes, walMessages)
	if err != nil {
		return fmt.Errorf("filling the write-ahead log: %w", err)
	}
	return Checkpoint(ctx, p.Pool)
}
