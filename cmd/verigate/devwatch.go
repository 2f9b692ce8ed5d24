package main

import (
	"time"

	"github.com/spf13/pflag"
)

const (
	defaultHeartbeat    = 15 * time.Second
	shortestHeartbeat   = 100 * time.Millisecond
	longestHeartbeat    = 30 * time.Second
	defaultMaxStreamAge = 10 * time.Minute
)

// devWatch is how streams live, short to see what an app does when they end.
type devWatch struct {
	heartbeat, maxAge time.Duration
}

func (w *devWatch) flags(f *pflag.FlagSet) {
	f.DurationVar(&w.heartbeat, "heartbeat", defaultHeartbeat, "mean time between the heartbeats of a stream, 100ms to 30s")
	f.DurationVar(&w.maxAge, "max-stream-age", defaultMaxStreamAge,
		"streams end with a drain message at an age between half of this and this, at least twice --heartbeat")
}

// check says which flag is wrong. The bounds are those of the configuration.
func (w *devWatch) check() error {
	if w.heartbeat < shortestHeartbeat || w.heartbeat > longestHeartbeat {
		return usageError("--heartbeat: must be from 100ms to 30s; clients miss a stream after 45s")
	}
	if w.maxAge < 2*w.heartbeat || w.maxAge > time.Hour {
		return usageError("--max-stream-age: must be from twice --heartbeat to 1h")
	}
	return nil
}
