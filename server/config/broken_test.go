package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/verigate/verigate/server/config"
)

// TestBroken compares everything that is said about each broken file with the
// golden file beside it.
func TestBroken(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/broken/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no broken files: %v", err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path)+" is refused with every problem", func(t *testing.T) {
			t.Parallel()
			got := problemsOf(t, readTestFile(t, path), "verigate.yaml")
			golden := strings.TrimSuffix(path, ".yaml") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if want := string(readTestFile(t, golden)); got != want {
				t.Errorf("problems differ; got:\n%s\nwant:\n%s", got, want)
			}
			if strings.Contains(got, "LEAK") {
				t.Error("a problem repeats a secret")
			}
		})
	}
}

func TestBrokenAsAWhole(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ source, want string }{
		"a file that is too large": {
			strings.Repeat("# a comment\n", 1<<17),
			"f.yaml: the file is larger than 1 MiB; a configuration is a few hundred lines, so this is probably another file\n",
		},
		"a file that is not text": {
			"public_url: \xff\xfe\x00",
			"f.yaml: the YAML cannot be read: invalid leading UTF-8 octet; check indentation, quotes and brackets around here\n",
		},
		"a tree that is too deep": {
			"connections: " + strings.Repeat("[", 500) + strings.Repeat("]", 500),
			"f.yaml:1: connections" + strings.Repeat("[0]", 32) + ": is nested too deeply; check the indentation\n",
		},
	} {
		t.Run(name+" is refused", func(t *testing.T) {
			t.Parallel()
			if got := problemsOf(t, []byte(test.source), "f.yaml"); !strings.Contains(got, test.want) {
				t.Errorf("got:\n%s\nwant it to hold:\n%s", got, test.want)
			}
		})
	}
}

func TestErrorsAreSortedAndTyped(t *testing.T) {
	t.Parallel()
	_, err := config.Parse(readTestFile(t, "testdata/broken/secrets.yaml"), "verigate.yaml", registry(), false)
	problems, ok := errors.AsType[config.Errors](err)
	if !ok {
		t.Fatalf("the error is %T, not Errors", err)
	}
	for i := 1; i < len(problems); i++ {
		if problems[i].Line < problems[i-1].Line {
			t.Errorf("line %d comes after line %d", problems[i].Line, problems[i-1].Line)
		}
	}
	if first := problems[0]; first.File != "verigate.yaml" || first.Line != 3 || first.Path != "database_url" || first.Message == "" {
		t.Errorf("the first problem is %+v", first)
	}
}

func problemsOf(t *testing.T, source []byte, name string) string {
	t.Helper()
	c, err := config.Parse(source, name, registry(), false)
	if err == nil || c != nil {
		t.Fatalf("Parse returned %v, %v; want no configuration and an error", c, err)
	}
	return err.Error() + "\n"
}

func readTestFile(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
