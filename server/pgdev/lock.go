//go:build linux || darwin

package pgdev

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

const (
	lockMode     = 0o600
	lockPatience = 500 * time.Millisecond
)

// fileLock is an advisory lock that the kernel drops with its process, so a
// lock file left by a killed one is no obstacle. The file is never removed:
// a second process could then lock a file that has no name any more.
type fileLock struct{ file *os.File }

// awaitLock takes the lock and gives a holder that is just being killed a
// moment to be gone.
func awaitLock(ctx context.Context, path string) (*fileLock, error) {
	patience := time.NewTimer(lockPatience)
	defer patience.Stop()
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		lock, err := lockFile(path)
		if !errors.Is(err, ErrInUse) {
			return lock, err
		}
		select {
		case <-tick.C:
		case <-patience.C:
			return nil, err
		case <-ctx.Done():
			return nil, err
		}
	}
}

// lockFile takes the lock, or returns ErrInUse with the holder's process id.
func lockFile(path string) (*fileLock, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, lockMode)
	if err != nil {
		return nil, fmt.Errorf("opening the lock file: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		held := file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("%w%s", ErrInUse, holder(path)), held)
		}
		return nil, errors.Join(fmt.Errorf("locking %s: %w", path, err), held)
	}
	lock := &fileLock{file: file}
	if err := lock.note(); err != nil {
		return nil, errors.Join(err, lock.release())
	}
	return lock, nil
}

// note writes our process id for the error message of the next one.
func (l *fileLock) note() error {
	if err := l.file.Truncate(0); err != nil {
		return fmt.Errorf("writing the lock file: %w", err)
	}
	if _, err := l.file.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0); err != nil {
		return fmt.Errorf("writing the lock file: %w", err)
	}
	return nil
}

// release unlocks explicitly: a child that another goroutine is just starting
// may still hold a copy of the open file, which would keep the lock.
func (l *fileLock) release() error {
	unlockErr := syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN)
	if err := errors.Join(unlockErr, l.file.Close()); err != nil {
		return fmt.Errorf("releasing the lock file: %w", err)
	}
	return nil
}

func holder(path string) string {
	content, err := os.ReadFile(path)
	pid := strings.TrimSpace(string(content))
	if err != nil || pid == "" {
		return ""
	}
	return " (process " + pid + ")"
}
