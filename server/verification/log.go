package verification

import (
	"context"

	"github.com/google/uuid"
)

// Cursor is a position in the transition log. It is exact however late a
// transaction commits.
type Cursor string

// Change says that a verification has reached at least this version.
type Change struct {
	ID      uuid.UUID
	Version int64
}

// Log is the transition log, read from its tail.
type Log interface {
	// TailStart returns a cursor at the end of the log.
	TailStart(ctx context.Context) (Cursor, error)
	// Tail returns what changed since the cursor, once per verification, and
	// the cursor to continue from. It misses nothing and may repeat.
	Tail(ctx context.Context, since Cursor) ([]Change, Cursor, error)
}
