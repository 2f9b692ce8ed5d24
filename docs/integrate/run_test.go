// Package integrate_test keeps what the pages of this folder promise: their
// commands run as they stand, their code is that of files which are tested, and
// what they name exists.
package integrate_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/verigate/verigate/docs/integrate/devtest"
)

// said is what the marked blocks of a page must print, by the blocks' names.
var said = map[string]map[string][]string{
	"README.md": {"first": {"The app would be opened at myapp://verify-complete", "approved    pass"}},
	"backend.md": {
		"start":    {`"hostedUrl":"http://127.0.0.1:`, `"clientToken":"`, `"reference":"first"`},
		"end-user": {`"subject":"user-1"`, `"clientToken":"`},
		"decide":   {`{"user":"ada","verified":true}`, `{"user":"ada","verified":false}`},
	},
	"web.md": {
		"web":  {"The app would be opened at http://localhost:5173/verified", "approved    pass", `{"user":"grace","verified":true}`},
		"cors": {"Access-Control-Allow-Origin: http://localhost:5173", "Access-Control-Allow-Headers: "},
	},
	"ios.md": {
		"begin": {`"hostedUrl":"http://127.0.0.1:`, `"clientToken":"`},
		"wait":  {`"state":"VERIFICATION_STATE_PENDING"`, `"version":"2"`, `"result":"VERIFICATION_RESULT_PASS"`},
		"me":    {`{"user":"hedy","verified":true}`},
	},
	"android.md": {"android": {"The app would be opened at myapp://verify-complete", "approved    pass", `{"user":"mary","verified":true}`}},
	"react-native.md": {
		"poll": {"declined    fail", "failed, with exit code 1", `"result":"VERIFICATION_RESULT_FAIL"`},
	},
}

var runnable = regexp.MustCompile("(?s)<!-- runs in the tests: ([a-z-]+) -->\n```sh\n(.*?)```")

// The commands of each page, one after the other, against a real gateway and the
// example backend.
func TestTheCommandsOfThePagesRun(t *testing.T) {
	t.Parallel()
	g := devtest.Start(t)
	backend := startBackend(t, g)
	for name, text := range pages(t) {
		blocks := runnable.FindAllStringSubmatch(text, -1)
		if len(blocks) != len(said[name]) || strings.Count(text, "<!-- runs in the tests") != len(blocks) {
			t.Errorf("%s: found %d blocks that run, want %d", name, len(blocks), len(said[name]))
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			script := "set -euo pipefail\n"
			for _, block := range blocks {
				script += "printf '\\n== %s\\n' " + block[1] + "\n" + block[2]
			}
			printed := sections(runScript(t, g, backend, script))
			for block, wants := range said[name] {
				for _, want := range wants {
					if !strings.Contains(printed[block], want) {
						t.Errorf("the block %s does not print %q:\n%s", block, want, printed[block])
					}
				}
			}
		})
	}
}

// startBackend builds and runs the example backend, and returns where it is.
func startBackend(t *testing.T, g *devtest.Gateway) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "backend")
	if output, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./backend").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, output)
	}
	ready := devtest.Launch(t, g.Dir, g.Env(), program, "--listen", "127.0.0.1:0")
	_, url, found := strings.Cut(ready, " at ")
	if !found {
		t.Fatalf("the backend said %q", ready)
	}
	return url
}

func runScript(t *testing.T, g *devtest.Gateway, backend, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*devtest.Patience)
	defer cancel()
	shell := exec.CommandContext(ctx, "bash", "-c", script)
	shell.Dir, shell.Env = t.TempDir(), append(g.Env(), "BACKEND="+backend)
	output, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return string(output)
}

// sections are the output of each block by its name.
func sections(output string) map[string]string {
	found := map[string]string{}
	for _, part := range strings.Split("\n"+output, "\n== ")[1:] {
		name, printed, _ := strings.Cut(part, "\n")
		found[name] = strings.ReplaceAll(printed, "\r", "")
	}
	return found
}

// pages are the texts of this folder, by their names.
func pages(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob("*.md")
	if err != nil || len(names) != len(said) {
		t.Fatalf("found the pages %v, %v; each needs its row in said", names, err)
	}
	texts := map[string]string{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = string(text)
	}
	return texts
}
