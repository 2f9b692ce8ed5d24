//go:build unix

package bench

import (
	"fmt"
	"syscall"
)

// fileLimit is how many files a process of ours may have open: Go raises the soft
// limit to the hard one when a program starts.
func fileLimit() (int64, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("reading the limit of open files: %w", err)
	}
	return int64(min(limit.Cur, 1<<30)), nil
}
