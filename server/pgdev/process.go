//go:build linux || darwin

package pgdev

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/verigate/verigate/server/pgdev/pgbin"
)

const (
	// How long a database may take to come up: a crash recovery included.
	startBound = time.Minute
	// How long a fast shutdown may take, and then an immediate one.
	fastBound      = 10 * time.Second
	immediateBound = 5 * time.Second
	// How often files and processes that cannot be waited for are looked at.
	lookAgain = 10 * time.Millisecond

	pidName = "postmaster.pid"
	// Lines of postmaster.pid (Postgres documentation, database file layout;
	// the state line is what pg_ctl waits for).
	pidLine   = 0
	stateLine = 7
	readyMark = "ready"

	logMode  = 0o600
	logLines = 15
)

// process is one child. done is closed when it has ended; err is set before.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// launch starts cmd and owns the wait for it. The kernel ties "dies with its
// parent" to the thread that started the child, so one thread is kept for it
// as long as it lives.
func launch(cmd *exec.Cmd) (*process, error) {
	proc := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			proc.err = cmd.Wait()
			close(proc.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	return proc, nil
}

// signalGroup sends a signal to the child and all that it started. The only
// failure is that they are gone, which is what the caller wants.
func (p *process) signalGroup(signal syscall.Signal) {
	_ = syscall.Kill(-p.cmd.Process.Pid, signal)
}

// interrupted reports whether somebody wanted the ended child to end. Ctrl-C
// can reach a child in the instant before it has a process group of its own,
// and so before we hear of it ourselves.
func (p *process) interrupted(ctx context.Context) bool {
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ctx.Err() != nil || (ok && status.Signaled() && status.Signal() == syscall.SIGINT)
}

// run starts the database and waits until it takes connections.
func run(ctx context.Context, place *home, bins pgbin.Binaries, settings []string) (*process, error) {
	log, err := openLog(place)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(bins.Path("postgres"), append([]string{"-D", place.cluster}, settings...)...)
	place.account.prepare(cmd)
	cmd.Stdout = log
	cmd.Stderr = log
	dieWithParent(cmd, syscall.SIGINT)
	proc, err := launch(cmd)
	closeErr := log.Close()
	if err != nil {
		return nil, err
	}
	if err := errors.Join(closeErr, proc.waitReady(ctx, place.cluster)); err != nil {
		return nil, errors.Join(err, proc.stop(context.WithoutCancel(ctx)))
	}
	return proc, nil
}

// openLog starts a new log and keeps the last one: the reason of a crash is
// usually there.
func openLog(place *home) (*os.File, error) {
	path := filepath.Join(place.cluster, logName)
	if err := os.Rename(path, path+".1"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("keeping the last database log: %w", err)
	}
	log, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, logMode)
	if err != nil {
		return nil, fmt.Errorf("opening the database log: %w", err)
	}
	if err := place.account.own(path); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return log, nil
}

// settings are given on the command line: they depend on how the server is
// started, not on the cluster. Terse messages leave out the lines that quote
// rows.
func settings(sockets string, opts Options) []string {
	args := []string{
		"-c", "listen_addresses=",
		"-c", "unix_socket_directories=" + sockets,
		"-c", "unix_socket_permissions=0700",
		"-c", "port=" + socketPort,
		// Tests run many gateways on one server.
		"-c", "max_connections=300",
		"-c", "shared_buffers=64MB",
		"-c", "log_destination=stderr",
		"-c", "logging_collector=off",
		"-c", "log_error_verbosity=terse",
		"-c", "log_timezone=UTC",
		"-c", "timezone=UTC",
	}
	args = append(args, durability(opts.Durable)...)
	for _, setting := range opts.Settings {
		args = append(args, "-c", setting)
	}
	return args
}

func durability(durable bool) []string {
	if durable {
		return []string{"-c", "fsync=on", "-c", "synchronous_commit=on"}
	}
	return []string{"-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"}
}

func (p *process) waitReady(ctx context.Context, cluster string) error {
	bound := time.NewTimer(startBound)
	defer bound.Stop()
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		lines := pidFile(cluster)
		if len(lines) > stateLine && lines[pidLine] == strconv.Itoa(p.cmd.Process.Pid) && lines[stateLine] == readyMark {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.done:
			if p.interrupted(ctx) {
				return fmt.Errorf("starting the database was interrupted: %w", errors.Join(context.Cause(ctx), p.err))
			}
			return fmt.Errorf("the database ended while starting (%w); its log %s ends with:\n%s",
				errors.Join(errEnded, p.err), filepath.Join(cluster, logName), logTail(cluster))
		case <-bound.C:
			return fmt.Errorf("the database did not come up within %s; its log %s ends with:\n%s",
				startBound, filepath.Join(cluster, logName), logTail(cluster))
		case <-ctx.Done():
			return fmt.Errorf("starting the database was interrupted: %w", context.Cause(ctx))
		}
	}
}

var errEnded = errors.New("exit before it was ready")

// pidFile returns the trimmed lines of postmaster.pid, none when there is no
// such file.
func pidFile(cluster string) []string {
	content, err := os.ReadFile(filepath.Join(cluster, pidName))
	if err != nil {
		return nil
	}
	lines := strings.Split(string(content), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return lines
}

func logTail(cluster string) string {
	content, err := os.ReadFile(filepath.Join(cluster, logName))
	if err != nil {
		return "(unreadable: " + err.Error() + ")"
	}
	return lastLines(string(content))
}

func lastLines(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-logLines):], "\n")
}

// stop ends the database and waits for it: fast (clients are cut off, data is
// written), then immediate, then by force.
func (p *process) stop(ctx context.Context) error {
	_ = p.cmd.Process.Signal(syscall.SIGINT)
	if p.ended(ctx, fastBound) {
		return nil
	}
	_ = p.cmd.Process.Signal(syscall.SIGQUIT)
	if p.ended(context.WithoutCancel(ctx), immediateBound) {
		return nil
	}
	p.signalGroup(syscall.SIGKILL)
	<-p.done
	return errors.New("the database did not shut down and had to be killed; it recovers at its next start")
}

// ended waits for the end, at most for the bound and no longer than ctx.
func (p *process) ended(ctx context.Context, bound time.Duration) bool {
	timer := time.NewTimer(bound)
	defer timer.Stop()
	select {
	case <-p.done:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}
