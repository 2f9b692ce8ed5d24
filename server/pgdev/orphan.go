//go:build linux || darwin

package pgdev

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// stopOrphan ends a database that outlived a killed gateway. The lock on the
// data directory says that no gateway owns it; the process itself has to prove
// that it is a Postgres on this cluster, because process ids are used again.
func stopOrphan(ctx context.Context, cluster string, log *slog.Logger) error {
	lines := pidFile(cluster)
	if len(lines) == 0 {
		return nil
	}
	pid, err := strconv.Atoi(lines[pidLine])
	if err != nil || pid <= 0 || !isPostgresOn(pid, cluster) {
		return removeStalePid(cluster)
	}
	log.Warn("pgdev: stopping a database that outlived its gateway",
		slog.String("directory", cluster), slog.Int("pid", pid))
	for _, step := range []struct {
		signal syscall.Signal
		bound  time.Duration
	}{{syscall.SIGINT, fastBound}, {syscall.SIGQUIT, immediateBound}} {
		if err := syscall.Kill(pid, step.signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("the database in %s still runs as process %d, which cannot be signaled; stop it first: %w", cluster, pid, err)
		}
		gone, err := waitGone(ctx, pid, cluster, step.bound)
		if gone || err != nil {
			return err
		}
	}
	return fmt.Errorf("the database in %s still runs as process %d and does not stop; end that process first", cluster, pid)
}

// removeStalePid removes the note of a process that is gone. Postgres would
// refuse to start if the number belonged to somebody else by now.
func removeStalePid(cluster string) error {
	if err := os.Remove(filepath.Join(cluster, pidName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing the note of a database that is gone: %w", err)
	}
	return nil
}

func waitGone(ctx context.Context, pid int, cluster string, bound time.Duration) (bool, error) {
	timer := time.NewTimer(bound)
	defer timer.Stop()
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for isPostgresOn(pid, cluster) {
		select {
		case <-tick.C:
		case <-timer.C:
			return false, nil
		case <-ctx.Done():
			return false, fmt.Errorf("waiting for an older database to stop: %w", context.Cause(ctx))
		}
	}
	return true, nil
}
