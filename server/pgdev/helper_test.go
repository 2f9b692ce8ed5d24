//go:build linux || darwin

package pgdev

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
)

// helperVariable makes the test binary a gateway that runs a database in the
// named directory until it is interrupted: tests do to it what must not be
// done to themselves.
const helperVariable = "PGDEV_HELPER_DIR"

const (
	readyPrefix = "ready "
	errorPrefix = "error "
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperVariable); dir != "" {
		os.Exit(helper(dir, os.Stdout))
	}
	goleak.VerifyTestMain(m)
}

func helper(dir string, out io.Writer) int {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT)
	defer cancel()
	server, err := Start(ctx, Options{DataDir: dir, Durable: true, Progress: out})
	if err != nil {
		_, _ = fmt.Fprintf(out, "%s%q\n", errorPrefix, err)
		return 1
	}
	_, _ = fmt.Fprintln(out, readyPrefix+server.DSN())
	<-ctx.Done()
	if err := server.Stop(context.Background()); err != nil {
		_, _ = fmt.Fprintf(out, "%s%q\n", errorPrefix, err)
		return 1
	}
	return 0
}

// gateway is a running helper.
type gateway struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
}

// startGateway runs the helper in a process group of its own, as an account if
// there is one to change to.
func startGateway(t *testing.T, dir string, who account) *gateway {
	t.Helper()
	cmd := exec.Command(copyOfTestBinary(t))
	who.prepare(cmd)
	cmd.Env = append(os.Environ(), helperVariable+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return &gateway{cmd: cmd, lines: bufio.NewScanner(out)}
}

// await returns the rest of the first line with the prefix.
func (g *gateway) await(t *testing.T, prefix string) string {
	t.Helper()
	for g.lines.Scan() {
		line := g.lines.Text()
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			return rest
		}
		if strings.HasPrefix(line, errorPrefix) {
			t.Fatalf("waiting for %q, the gateway says %s", prefix, line)
		}
	}
	t.Fatalf("the gateway ended without saying %q", prefix)
	return ""
}

// signalGroup does what ctrl-C in a terminal does.
func (g *gateway) signalGroup(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(-g.cmd.Process.Pid, signal); err != nil {
		t.Fatal(err)
	}
}

// copyOfTestBinary puts the binary where every account can run it.
func copyOfTestBinary(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(openDir(t), "gateway")
	if err := os.WriteFile(copied, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(copied, 0o755); err != nil {
		t.Fatal(err)
	}
	return copied
}

// openDir returns a new directory that every account can enter.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "pgdev-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, openMode); err != nil {
		t.Fatal(err)
	}
	return dir
}

func startServer(t *testing.T, opts Options) *Server {
	t.Helper()
	server, err := Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return server
}

func stopServer(t *testing.T, server *Server) {
	t.Helper()
	if err := server.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.PgConn().Conn().Close() })
	return conn
}

func execute(t *testing.T, conn *pgx.Conn, statement string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// mustKeep fails unless the note of an earlier run is there.
func mustKeep(t *testing.T, dsn, want string) {
	t.Helper()
	var text string
	if err := open(t, dsn).QueryRow(t.Context(), "SELECT text FROM note").Scan(&text); err != nil || text != want {
		t.Errorf("the database kept %q (%v), want %q", text, err, want)
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
