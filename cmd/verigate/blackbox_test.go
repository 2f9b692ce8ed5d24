package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for the binary. Nothing waits for it to pass.
const patience = 60 * time.Second

// binary builds the command once per test process.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "verigate-bin-")
	if err != nil {
		return "", err
	}
	binaryDir = dir
	path := filepath.Join(dir, "verigate")
	if output, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, output)
	}
	return path, nil
})

func binaryPath(t *testing.T) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// process is one running binary.
type process struct {
	cmd    *exec.Cmd
	stdout *lineWatcher
	stderr *lineWatcher
	exited chan struct{}
	err    error
}

// launch starts the binary in a process group of its own, as a shell would.
func launch(t *testing.T, dir string, env []string, args ...string) *process {
	t.Helper()
	return launchReading(t, dir, env, nil, args...)
}

// launchReading is launch with a standard input.
func launchReading(t *testing.T, dir string, env []string, stdin io.Reader, args ...string) *process {
	t.Helper()
	p := &process{
		cmd:    exec.Command(binaryPath(t), args...),
		stdout: newLineWatcher(), stderr: newLineWatcher(), exited: make(chan struct{}),
	}
	p.cmd.Dir, p.cmd.Env = dir, append(os.Environ(), env...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = stdin, p.stdout, p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		p.wait(t)
	})
	return p
}

// wait returns the exit code.
func (p *process) wait(t *testing.T) int {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		t.Fatalf("the process did not end within %s\n%s%s", patience, p.stdout, p.stderr)
	}
	return p.cmd.ProcessState.ExitCode()
}

// until waits for a text on one of the outputs.
func (p *process) until(t *testing.T, w *lineWatcher, text string) {
	t.Helper()
	select {
	case <-w.saw(text):
	case <-p.exited:
		t.Fatalf("the process ended before it said %q: %v\n%s%s", text, p.err, p.stdout, p.stderr)
	case <-time.After(patience):
		t.Fatalf("no %q within %s\n%s%s", text, patience, p.stdout, p.stderr)
	}
}

// lineWatcher keeps an output and tells when a text has appeared in it.
type lineWatcher struct {
	mu      sync.Mutex
	text    bytes.Buffer
	waiting map[string]chan struct{}
}

func newLineWatcher() *lineWatcher { return &lineWatcher{waiting: map[string]chan struct{}{}} }

func (w *lineWatcher) Write(chunk []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text.Write(chunk)
	for text, found := range w.waiting {
		if strings.Contains(w.text.String(), text) {
			close(found)
			delete(w.waiting, text)
		}
	}
	return len(chunk), nil
}

func (w *lineWatcher) saw(text string) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	found := make(chan struct{})
	if strings.Contains(w.text.String(), text) {
		close(found)
		return found
	}
	w.waiting[text] = found
	return found
}

func (w *lineWatcher) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// devGateway is a running `verigate dev`.
type runningDev struct {
	*process
	dir, url, key string
}

func launchDev(t *testing.T, args ...string) *runningDev {
	t.Helper()
	dir := t.TempDir()
	data := filepath.Join(dir, ".verigate")
	args = append([]string{"dev", "--ephemeral", "--listen", "127.0.0.1:0", "--data-dir", data}, args...)
	d := &runningDev{process: launch(t, dir, nil, args...), dir: dir}
	d.until(t, d.stdout, "Stop with ctrl-C")
	env := readEnvFile(filepath.Join(data, envFile))
	d.url, d.key = env["VERIGATE_URL"], env["VERIGATE_API_KEY"]
	if d.url == "" || d.key == "" {
		t.Fatalf("dev.env lacks something: %v", env)
	}
	return d
}

// cli runs a client command beside dev.env and returns its output and code.
func (d *runningDev) cli(t *testing.T, args ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binaryPath(t), args...)
	cmd.Dir = d.dir
	output, err := cmd.Output()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatal(err)
	}
	return string(output), cmd.ProcessState.ExitCode()
}

// post makes one JSON call as curl would.
func (d *runningDev) post(t *testing.T, credential, rpc, body string) (int, map[string]any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.url+"/verigate.v1.VerificationService/"+rpc, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+credential)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var answer map[string]any
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, answer
}

// streamMessage is one message of a Connect stream in JSON.
type streamMessage struct {
	end  bool
	body map[string]any
}

// watch opens WatchStatus by hand: envelopes of a flag byte, a length in four
// bytes, and JSON. The channel is closed at the end of the body.
func (d *runningDev) watch(t *testing.T, token, id string) <-chan streamMessage {
	t.Helper()
	message := fmt.Sprintf(`{"id":%q}`, id)
	body := append([]byte{0, 0, 0, 0, byte(len(message))}, message...)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
		d.url+"/verigate.v1.VerificationService/WatchStatus", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/connect+json")
	request.Header.Set("Connect-Protocol-Version", "1")
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	messages := make(chan streamMessage)
	go func() {
		defer close(messages)
		defer func() { _ = response.Body.Close() }()
		reader := bufio.NewReader(response.Body)
		for {
			m, err := readEnvelope(reader)
			if err != nil {
				return
			}
			select {
			case messages <- m:
			case <-t.Context().Done():
				return
			}
		}
	}()
	return messages
}

func readEnvelope(r io.Reader) (streamMessage, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return streamMessage{}, err
	}
	body := make([]byte, int(head[1])<<24|int(head[2])<<16|int(head[3])<<8|int(head[4]))
	if _, err := io.ReadFull(r, body); err != nil {
		return streamMessage{}, err
	}
	m := streamMessage{end: head[0]&2 != 0}
	return m, json.Unmarshal(body, &m.body)
}

// next waits for one message.
func next(t *testing.T, messages <-chan streamMessage) streamMessage {
	t.Helper()
	select {
	case m, open := <-messages:
		if !open {
			t.Fatal("the stream was cut")
		}
		return m
	case <-time.After(patience):
		t.Fatal("the stream is silent")
	}
	return streamMessage{}
}
