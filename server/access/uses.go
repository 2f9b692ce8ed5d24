package access

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Uses remembers when API keys were last used and writes it down now and then:
// a write for each call would cost more than the call.
type Uses struct {
	// Write stores the newest use of each key.
	Write func(ctx context.Context, uses map[string]time.Time) error
	Log   *slog.Logger
	Now   func() time.Time

	mu   sync.Mutex
	uses map[string]time.Time
}

// Note remembers that a key was used now.
func (u *Uses) Note(keyID string) { u.remember(keyID, u.Now()) }

// remember keeps the newest use of a key.
func (u *Uses) remember(keyID string, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.uses == nil {
		u.uses = make(map[string]time.Time)
	}
	if at.After(u.uses[keyID]) {
		u.uses[keyID] = at
	}
}

// Run writes at every interval until ctx ends, and once more then.
func (u *Uses) Run(ctx context.Context, interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			u.flush(context.WithoutCancel(ctx), interval)
			return
		case <-tick.C:
			u.flush(ctx, interval)
		}
	}
}

func (u *Uses) flush(ctx context.Context, patience time.Duration) {
	u.mu.Lock()
	uses := u.uses
	u.uses = nil
	u.mu.Unlock()
	if len(uses) == 0 {
		return
	}
	bounded, cancel := context.WithTimeout(ctx, min(patience, flushTimeout))
	defer cancel()
	err := u.Write(bounded, uses)
	if err == nil {
		return
	}
	// The next write tries again.
	for keyID, at := range uses {
		u.remember(keyID, at)
	}
	if ctx.Err() == nil {
		u.Log.WarnContext(ctx, "could not write when API keys were last used", "error", err)
	}
}

const flushTimeout = 5 * time.Second
