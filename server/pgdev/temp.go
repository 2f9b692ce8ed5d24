//go:build linux || darwin

package pgdev

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	tempPrefix = "verigate-pg-"
	// A temporary directory older than this is either locked or left behind; a
	// younger one may be about to be locked.
	staleAfter = time.Hour
)

// reachableTemp makes a short temporary directory below one that the account
// can enter.
func reachableTemp(ctx context.Context, who account, mode fs.FileMode) (string, error) {
	const room = len("/" + tempPrefix + "0123456789/" + clusterName + "/" + socketName)
	for _, base := range []string{os.TempDir(), "/tmp"} {
		base, err := filepath.Abs(base)
		if err != nil || len(base)+room > maxSocketPath || !who.reaches(ctx, base) {
			continue
		}
		dir, err := os.MkdirTemp(base, tempPrefix)
		if err != nil {
			continue
		}
		if err := os.Chmod(dir, mode); err != nil {
			return "", errors.Join(fmt.Errorf("opening %s: %w", dir, err), os.Remove(dir))
		}
		return dir, nil
	}
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("making a temporary directory: %w", err)
	}
	return "", fmt.Errorf("no temporary directory with a short path that the account %s can enter; set TMPDIR to one", who.name)
}

// removeStaleTemps removes what killed processes of ours left beside the new
// temporary directory fresh, whose age is the clock. It is a courtesy to the
// disk: whatever does not work stays for the next time.
func removeStaleTemps(fresh string) {
	now, err := os.Stat(fresh)
	if err != nil {
		return
	}
	// The pattern has nothing to escape but what a temporary directory's own
	// path holds.
	left, _ := filepath.Glob(filepath.Join(escapeGlob(filepath.Dir(fresh)), tempPrefix+"*"))
	for _, dir := range left {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() || now.ModTime().Sub(info.ModTime()) < staleAfter || !isOurs(info) {
			continue
		}
		lock, err := lockFile(filepath.Join(dir, lockName))
		if err != nil {
			continue
		}
		_ = os.RemoveAll(dir)
		_ = lock.release()
	}
}

func isOurs(info fs.FileInfo) bool {
	owner, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(owner.Uid) == os.Geteuid()
}
