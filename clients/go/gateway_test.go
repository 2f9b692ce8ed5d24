package verigate_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait. Nothing waits for it to pass.
const patience = 30 * time.Second

// gateway is a real one, in a process of its own.
type gateway struct {
	dir     string
	options []string
	url     string
	key     string

	cmd    *exec.Cmd
	stderr bytes.Buffer
	exited chan struct{}
}

// startGateway starts one with a database of its own.
func startGateway(t *testing.T, options ...string) *gateway {
	t.Helper()
	g := &gateway{dir: filepath.Join(t.TempDir(), "data"), options: options}
	t.Cleanup(func() {
		g.stop(t)
		g.removeDatabase(t)
	})
	g.launch(t, "127.0.0.1:0")
	g.key = g.readKey(t)
	return g
}

// launch starts the process and waits until it serves.
func (g *gateway) launch(t *testing.T, listen string) {
	t.Helper()
	arguments := append([]string{"dev", "--json", "--data-dir", g.dir, "--listen", listen, "--heartbeat", heartbeat.String()}, g.options...)
	g.cmd = exec.Command(filepath.Join(built, "verigate"), arguments...)
	g.stderr.Reset()
	g.cmd.Stderr = &g.stderr
	stdout, err := g.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, readErr := bufio.NewReader(stdout).ReadBytes('\n')
	g.exited = make(chan struct{})
	go func() {
		_ = g.cmd.Wait()
		close(g.exited)
	}()
	var ready struct{ URL string }
	if err := json.Unmarshal(line, &ready); err != nil || ready.URL == "" {
		g.stop(t)
		t.Fatalf("the gateway did not start: %v %v\n%s%s", readErr, err, line, g.stderr.String())
	}
	g.url = ready.URL
}

// stop ends the process as a deploy does.
func (g *gateway) stop(t *testing.T) {
	t.Helper()
	_ = g.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-g.exited:
	case <-time.After(patience):
		_ = g.cmd.Process.Kill()
		t.Errorf("the gateway did not end within %s", patience)
	}
}

// restart is a deploy: the same place and database, another process.
func (g *gateway) restart(t *testing.T) {
	t.Helper()
	u, err := url.Parse(g.url)
	if err != nil {
		t.Fatal(err)
	}
	g.stop(t)
	g.launch(t, u.Host)
}

// removeDatabase removes what root's gateway keeps elsewhere.
func (g *gateway) removeDatabase(t *testing.T) {
	t.Helper()
	note, err := os.ReadFile(filepath.Join(g.dir, "postgres-location.txt"))
	if err != nil {
		return // it is in the data directory
	}
	for line := range strings.Lines(string(note)) {
		if place := strings.TrimSpace(line); filepath.IsAbs(place) {
			if err := os.RemoveAll(filepath.Dir(place)); err != nil {
				t.Error(err)
			}
		}
	}
}

func (g *gateway) readKey(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(g.dir, "dev.env"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		if key, ok := strings.CutPrefix(strings.TrimSpace(line), "VERIGATE_API_KEY="); ok {
			return key
		}
	}
	t.Fatal("dev.env has no key")
	return ""
}

// sandbox plays a person or a reviewer at the provider.
func (g *gateway) sandbox(t *testing.T, arguments ...string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(built, "verigate"), append([]string{"sandbox"}, arguments...)...)
	cmd.Env = append(os.Environ(), "VERIGATE_URL="+g.url, "VERIGATE_API_KEY="+g.key)
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("verigate sandbox %v: %v\n%s", arguments, err, output)
	}
}
