package verigate

import (
	"context"
	"math/rand/v2"
	"time"
)

// Clock is time and chance as a watch sees them. Programs leave it alone; tests
// bring their own.
type Clock interface {
	// Now is the time.
	Now() time.Time
	// Pause waits, or returns ctx's error when that ends first.
	Pause(ctx context.Context, d time.Duration) error
	// Alarm calls ring after d, in a goroutine of its own.
	Alarm(d time.Duration, ring func()) Alarm
	// Jitter returns a random duration from 0 to limit.
	Jitter(limit time.Duration) time.Duration
}

// Alarm rings once unless it is stopped or set anew, like a time.Timer.
type Alarm interface {
	Reset(d time.Duration) bool
	Stop() bool
}

// WithClock replaces the system's clock, in tests.
func WithClock(c Clock) Option { return func(s *settings) { s.clock = c } }

// SystemClock is the real one, which Watch and Events use unless told otherwise.
func SystemClock() Clock { return systemClock{} }

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func (systemClock) Pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (systemClock) Alarm(d time.Duration, ring func()) Alarm { return time.AfterFunc(d, ring) }

// Jitter spreads load and guards nothing.
func (systemClock) Jitter(limit time.Duration) time.Duration { return rand.N(limit + 1) }
