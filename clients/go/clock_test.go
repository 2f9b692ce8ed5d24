package verigate_test

import (
	"context"
	"sync"
	"time"

	verigate "github.com/verigate/verigate/clients/go"
)

// clock is the system's, but it can be put forward, it can skip pauses, and its
// jitter is known.
type clock struct {
	// skips: pauses take no time. whole: the jitter is its limit, else nothing.
	skips, whole bool

	mu   sync.Mutex
	skew time.Duration
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.skew += d
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.skew)
}

func (c *clock) Pause(ctx context.Context, d time.Duration) error {
	if c.skips {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *clock) Alarm(d time.Duration, ring func()) verigate.Alarm { return time.AfterFunc(d, ring) }

func (c *clock) Jitter(limit time.Duration) time.Duration {
	if c.whole {
		return limit
	}
	return 0
}
