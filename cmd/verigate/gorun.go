package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"
)

// parentCheck is how often a program under `go run` looks for its parent.
const parentCheck = 500 * time.Millisecond

var errParentEnded = errors.New("`go run` was killed, so its program ends too")

// underGoRun reports whether this is a throw-away build of `go run`, which does
// not pass a SIGTERM on: a killed `go run` would leave a gateway and a Postgres
// behind that nobody sees.
func underGoRun() bool {
	path, err := os.Executable()
	return err == nil && strings.Contains(path, string(os.PathSeparator)+"go-build")
}

// stopWithGoRun ends the gateway when the `go run` that started it is gone.
func stopWithGoRun(ctx context.Context, stop context.CancelCauseFunc) {
	if !underGoRun() {
		return
	}
	parent := os.Getppid()
	tick := time.NewTicker(parentCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if os.Getppid() != parent {
				stop(errParentEnded)
				return
			}
		}
	}
}
