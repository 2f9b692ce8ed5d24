package deploy_test

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is one running program.
type process struct {
	cmd    *exec.Cmd
	output *output
	exited chan struct{}
}

// launch starts a program in a process group of its own. It gets SIGTERM when
// the test ends.
func launch(t *testing.T, dir string, env []string, name string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(name, args...), output: newOutput(), exited: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env = dir, append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	go func() {
		defer close(p.exited)
		_ = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		p.signal(syscall.SIGTERM)
		p.wait(t)
	})
	return p
}

// signal reaches a process that lives; one that ended needs none.
func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// wait waits for the end of the process and ends what is left of its group.
func (p *process) wait(t *testing.T) int {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		t.Errorf("%s did not end within %s\n%s", p.cmd.Path, patience, p.output)
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.exited
	return p.cmd.ProcessState.ExitCode()
}

// until waits for a text in what the process prints.
func (p *process) until(t *testing.T, text string) {
	t.Helper()
	select {
	case <-p.output.saw(text):
	case <-p.exited:
		t.Fatalf("%s ended before it said %q\n%s", p.cmd.Path, text, p.output)
	case <-time.After(patience):
		t.Fatalf("%s did not say %q within %s\n%s", p.cmd.Path, text, patience, p.output)
	}
}

// run runs the gateway's binary to its end and returns what it printed.
func run(t *testing.T, dir string, env []string, args ...string) string {
	t.Helper()
	p := launch(t, dir, env, binary, args...)
	if code := p.wait(t); code != 0 {
		t.Fatalf("verigate %s ended with %d\n%s", strings.Join(args, " "), code, p.output)
	}
	return p.output.String()
}

// output keeps what a process prints and tells when a text has appeared in it.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	waiting map[string]chan struct{}
}

func newOutput() *output { return &output{waiting: map[string]chan struct{}{}} }

// Write implements io.Writer.
func (o *output) Write(chunk []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(chunk)
	for text, found := range o.waiting {
		if strings.Contains(o.text.String(), text) {
			close(found)
			delete(o.waiting, text)
		}
	}
	return len(chunk), nil
}

func (o *output) saw(text string) <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if found, ok := o.waiting[text]; ok {
		return found
	}
	found := make(chan struct{})
	if strings.Contains(o.text.String(), text) {
		close(found)
		return found
	}
	o.waiting[text] = found
	return found
}

// String returns all that was printed so far.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
