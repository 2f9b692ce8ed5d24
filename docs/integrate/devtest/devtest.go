// Package devtest runs `verigate dev` for the tests of docs/integrate: the real
// binary, with its own Postgres and sandboxes, on a free port. It is for tests.
package devtest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Patience bounds every wait. Nothing waits for it to pass.
const Patience = 60 * time.Second

// Gateway is a running `verigate dev`.
type Gateway struct {
	// URL, Key and CallbackSecret are what dev.env says.
	URL, Key, CallbackSecret string
	// Dir holds the data directory: client commands that run in it find dev.env.
	Dir    string
	binary string
}

// Start runs a gateway until the test ends.
func Start(t *testing.T) *Gateway {
	t.Helper()
	g := &Gateway{Dir: t.TempDir(), binary: Binary(t)}
	data := filepath.Join(g.Dir, ".verigate")
	ready := Launch(t, g.Dir, nil, g.binary, "dev", "--json", "--ephemeral", "--listen", "127.0.0.1:0", "--data-dir", data)
	var said struct {
		EnvFile string `json:"env_file"`
	}
	if err := json.Unmarshal([]byte(ready), &said); err != nil {
		t.Fatalf("the gateway said %q: %v", ready, err)
	}
	env := readEnv(t, said.EnvFile)
	g.URL, g.Key, g.CallbackSecret = env["VERIGATE_URL"], env["VERIGATE_API_KEY"], env["VERIGATE_CALLBACK_SECRET"]
	if g.URL == "" || g.Key == "" || g.CallbackSecret == "" {
		t.Fatalf("%s lacks something", said.EnvFile)
	}
	return g
}

// Env is the environment of somebody who loaded dev.env, with the command
// verigate on the path.
func (g *Gateway) Env() []string {
	return append(os.Environ(), "VERIGATE_URL="+g.URL, "VERIGATE_API_KEY="+g.Key, "VERIGATE_CALLBACK_SECRET="+g.CallbackSecret,
		"PATH="+filepath.Dir(g.binary)+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// Run runs a command of verigate beside dev.env and returns what it printed.
func (g *Gateway) Run(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	command := exec.CommandContext(ctx, g.binary, args...)
	command.Dir, command.Env = g.Dir, g.Env()
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("verigate %s: %v\n%s", strings.Join(args, " "), err, output)
	}
	return string(output)
}

// Root is the top folder of the repository.
func Root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
}

// Binary is the compiled gateway.
func Binary(t *testing.T) string {
	t.Helper()
	path := os.Getenv("VERIGATE_BINARY")
	if path == "" {
		path = filepath.Join(Root(t), ".tmp", "verigate")
	}
	if _, err := exec.LookPath(path); err != nil {
		t.Fatalf("missing %s: run `make build`", path)
	}
	return path
}

// Launch runs a program until the test ends, and returns the first line that it
// prints. The end is SIGTERM, and a while later SIGKILL.
func Launch(t *testing.T, dir string, env []string, program string, args ...string) string {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	command := exec.CommandContext(ctx, program, args...)
	command.Dir, command.Env = dir, env
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = Patience
	var complaints bytes.Buffer
	command.Stderr = &complaints
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		if err := command.Wait(); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("%s ended badly: %v\n%s", program, err, complaints.String())
		}
	})
	// A program that says nothing is ended, so that the wait for its line ends.
	silence := time.AfterFunc(Patience, stop)
	defer silence.Stop()
	lines := bufio.NewScanner(output)
	if !lines.Scan() {
		t.Fatalf("%s did not say that it is ready", program)
	}
	return lines.Text()
}

func readEnv(t *testing.T, path string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), "="); found {
			env[name] = value
		}
	}
	return env
}
