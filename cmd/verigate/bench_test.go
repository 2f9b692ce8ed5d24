package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	benchmark "github.com/verigate/verigate/bench"
	"github.com/verigate/verigate/bench/report"
)

// benchPatience is how long a quick run may take on a machine that also does
// other things.
const benchPatience = 8 * time.Minute

// benchFolder is where a run puts its temporary files, so that a test sees what is
// left of them. The account that runs Postgres for root must be able to enter it.
func benchFolder(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "vgb-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	if err := os.Chmod(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	return folder
}

func wantEmpty(t *testing.T, folder string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(folder, "verigate-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("the benchmark left %v (%v)", left, err)
	}
}

func TestBenchRefusesWhatItCannotMeasureAsMisuse(t *testing.T) {
	t.Parallel()
	for _, arguments := range [][]string{{"--only", "ingets"}, {"--sizes", "0"}} {
		p := launch(t, "", nil, append([]string{"bench"}, arguments...)...)
		if code := p.wait(t); code != exitUsage {
			t.Errorf("%v: exit code %d, want %d", arguments, code, exitUsage)
		}
	}
}

func TestBenchQuickMeasuresEveryTableOnRealParts(t *testing.T) {
	t.Parallel()
	folder := benchFolder(t)
	cmd := exec.Command(binaryPath(t), "bench", "--quick", "--json", "-")
	cmd.Env = append(os.Environ(), "TMPDIR="+folder)
	var out, said strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &said
	late := time.AfterFunc(benchPatience, func() { _ = cmd.Process.Signal(syscall.SIGINT) })
	defer late.Stop()
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	var got report.Report
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatalf("%v in %s", err, out.String())
	}
	var names []string
	for _, table := range got.Tables {
		names = append(names, table.Name)
		for _, f := range table.Figures {
			if f.Name == "" || f.Unit == "" || f.Value.Rounds == 0 {
				t.Errorf("%s: the figure %+v says nothing", table.Name, f)
			}
			if f.Bar != nil && strings.Contains(f.Name, "applied exactly once") && !f.Bar.Passed {
				t.Errorf("%s: %+v", f.Name, f.Value)
			}
		}
	}
	if !slices.Equal(names, benchmark.Names()) || !got.Quick || got.Machine.Postgres == "" || got.Machine.Cores == 0 {
		t.Errorf("tables %v, quick %t, machine %+v", names, got.Quick, got.Machine)
	}
	wantEmpty(t, folder)
}

// The bus nats needs the sources of its server, which are in no other folder.
func TestABenchThatFailsPrintsWhatItHasMeasured(t *testing.T) {
	t.Parallel()
	folder := benchFolder(t)
	cmd := exec.Command(binaryPath(t), "bench", "--quick", "--only", "start,nodes")
	cmd.Dir, cmd.Env = t.TempDir(), append(os.Environ(), "TMPDIR="+folder)
	var out, said strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &said
	late := time.AfterFunc(benchPatience, func() { _ = cmd.Process.Signal(syscall.SIGINT) })
	defer late.Stop()
	if err := cmd.Run(); err == nil || !strings.Contains(said.String(), "nodes: ") {
		t.Errorf("%v\n%s", err, said.String())
	}
	if text := out.String(); !strings.Contains(text, "start, p50") || !strings.Contains(text, "ended early: nodes: ") {
		t.Errorf("it printed\n%s", text)
	}
	wantEmpty(t, folder)
}

func TestAnInterruptedBenchLeavesNothing(t *testing.T) {
	t.Parallel()
	folder := benchFolder(t)
	p := launch(t, "", []string{"TMPDIR=" + folder}, "bench", "--only", "ingest")
	// Postgres runs, and the first rows are there.
	p.until(t, p.stderr, "verifications …")
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(t); code != exitInterrupted {
		t.Errorf("exit code %d, want %d\n%s", code, exitInterrupted, p.stderr)
	}
	wantEmpty(t, folder)
}
