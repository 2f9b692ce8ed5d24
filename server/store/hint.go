package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/verigate/verigate/gen/sqlc"
)

// identityBytes is how much of a digest tells databases apart.
const identityBytes = 8

// Notify notifies a channel with each message, in a transaction that does
// nothing else: never call it from inside another. Postgres refuses messages of
// 8000 bytes and more.
func (s *Store) Notify(ctx context.Context, channel string, messages []string) error {
	return translate(s.queries.HintNotify(ctx, s.pool, sqlc.HintNotifyParams{Channel: channel, Messages: messages}))
}

// Identity returns 16 hexadecimal digits that are the same for whoever uses this
// database, through whatever address, and differ from those of others. A copy of
// the database's files has them too.
func (s *Store) Identity(ctx context.Context) (string, error) {
	row, err := s.queries.DatabaseIdentity(ctx, s.pool)
	if err != nil {
		return "", translate(err)
	}
	digest := sha256.Sum256(fmt.Appendf(nil, "%d/%s", row.Cluster, row.Database))
	return hex.EncodeToString(digest[:identityBytes]), nil
}
