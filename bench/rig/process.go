package rig

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const (
	// readyTimeout bounds how long a child may take to say that it is ready.
	readyTimeout = 60 * time.Second
	// endTimeout bounds how long a child may take to end when it is asked to.
	endTimeout = 20 * time.Second
	// tailBytes is how much of a dead child's log an error quotes.
	tailBytes = 2000
	logMode   = 0o600
)

// Process is one child: a gateway, a crowd of watchers, a reference.
type Process struct {
	// Ready is the line that it printed when it was ready.
	Ready string

	name  string
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *os.File
	lines *bufio.Reader
	done  chan struct{}
	log   string
}

// Command says what to run.
type Command struct {
	// Name is for messages and for the log's file.
	Name string
	// Program is the path of what runs; empty for the benchmark's own program.
	Program string
	Args    []string
	// Env is added to the environment.
	Env []string
	// Folder takes the log.
	Folder string
}

// StartProcess runs a program, this very one unless another is named, and waits
// for its first line. The child ends with us, however we end.
func StartProcess(ctx context.Context, c Command) (*Process, error) {
	program := c.Program
	if program == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("finding the program that runs: %w", err)
		}
		program = self
	}
	log := filepath.Join(c.Folder, c.Name+".log")
	file, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, logMode)
	if err != nil {
		return nil, fmt.Errorf("opening the log of %s: %w", c.Name, err)
	}
	defer func() { _ = file.Close() }() // the child has its own
	cmd := exec.CommandContext(context.WithoutCancel(ctx), program, c.Args...)
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Stderr = file
	cmd.SysProcAttr = childAttributes()
	p := &Process{name: c.Name, cmd: cmd, log: log, done: make(chan struct{})}
	if p.in, err = cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.Name, err)
	}
	out, theirs, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.Name, err)
	}
	cmd.Stdout, p.out, p.lines = theirs, out, bufio.NewReader(out)
	err = p.launch()
	_ = theirs.Close() // the child has its own
	if err != nil {
		return nil, errors.Join(err, out.Close())
	}
	line, err := p.ReadLine(ctx, readyTimeout)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s did not start: %w\n%s", c.Name, err, p.Tail()), p.Stop())
	}
	p.Ready = line
	return p, nil
}

// launch starts the child from a thread that lives as long as it does: the
// kernel ties a child's life to the thread that made it.
func (p *Process) launch() error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // how it ended is in its log
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	return nil
}

// PID returns the child's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// WriteLine sends a line to the child.
func (p *Process) WriteLine(line string) error {
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		return fmt.Errorf("talking to %s: %w\n%s", p.name, err, p.Tail())
	}
	return nil
}

// ReadLine returns the child's next line, without its end.
func (p *Process) ReadLine(ctx context.Context, patience time.Duration) (string, error) {
	type answer struct {
		line string
		err  error
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answers := make(chan answer, 1)
	go func() {
		line, err := p.lines.ReadString('\n')
		answers <- answer{strings.TrimSuffix(line, "\n"), err}
	}()
	select {
	case a := <-answers:
		if a.err != nil {
			return "", fmt.Errorf("%s ended: %w\n%s", p.name, a.err, p.Tail())
		}
		return a.line, nil
	case <-ctx.Done():
		return "", fmt.Errorf("%s did not answer within %s: %w", p.name, patience, context.Cause(ctx))
	}
}

// Ask sends a line and returns the answer.
func (p *Process) Ask(ctx context.Context, line string, patience time.Duration) (string, error) {
	if err := p.WriteLine(line); err != nil {
		return "", err
	}
	return p.ReadLine(ctx, patience)
}

// Stop asks the child to end and waits until it is gone.
func (p *Process) Stop() error {
	_ = p.in.Close()                          // the child may be gone already
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // likewise
	defer func() { _ = p.out.Close() }()      // nobody reads it any more
	timer := time.NewTimer(endTimeout)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("%s did not end within %s and was killed", p.name, endTimeout)
	}
}

// Tail returns the end of the child's log.
func (p *Process) Tail() string {
	content, err := os.ReadFile(p.log)
	if err != nil {
		return ""
	}
	return string(content[max(0, len(content)-tailBytes):])
}
