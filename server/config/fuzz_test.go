package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/verigate/verigate/server/config"
)

// FuzzParse proves that no file makes Parse panic or print a secret, and that
// it returns either a configuration or problems.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/*.yaml", "testdata/broken/*.yaml", examplePath} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("no seeds at %s: %v", pattern, err)
		}
		for _, path := range files {
			source, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(source, false)
			f.Add(source, true)
		}
	}
	f.Fuzz(func(t *testing.T, source []byte, development bool) {
		if !strings.Contains(string(source), "file:") { // what files hold is not the fuzzer's business
			checkOutcome(t, string(source), development)
		}
	})
}

// TestOneChangedLine does to each line of the example what people do to lines.
// FuzzParse seldom gets that far, because most of what it tries is not YAML.
func TestOneChangedLine(t *testing.T) {
	t.Parallel()
	source := exampleSource(t)
	lines := strings.SplitAfter(source, "\n")
	for name, change := range map[string]func(line string) string{
		"removed":      func(string) string { return "" },
		"doubled":      func(line string) string { return line + line },
		"indented":     func(line string) string { return "  " + line },
		"outdented":    func(line string) string { return strings.TrimLeft(line, " ") },
		"cut in half":  func(line string) string { return line[:len(line)/2] + "\n" },
		"a list entry": func(line string) string { return strings.Replace(line, ": ", ": - ", 1) },
		"a mapping":    func(line string) string { return strings.Replace(line, ": ", ": {a: 1} #", 1) },
		"an alias":     func(line string) string { return strings.Replace(line, ": ", ": &a *a #", 1) },
		"a reference":  func(line string) string { return strings.Replace(line, ": ", ": ${VERIFYHUMAN_API_KEY} #", 1) },
	} {
		t.Run("each line "+name+" gives a configuration or problems", func(t *testing.T) {
			t.Parallel()
			for i, line := range lines {
				if text := strings.TrimSpace(line); text == "" || text[0] == '#' {
					continue
				}
				checkOutcome(t, strings.Join(lines[:i], "")+change(lines[i])+strings.Join(lines[i+1:], ""), false)
			}
		})
	}
}

// checkOutcome parses a file and checks what holds for every file there is.
func checkOutcome(t *testing.T, source string, development bool) {
	t.Helper()
	c, err := config.Parse([]byte(source), "verigate.yaml", registry(), development)
	if (c == nil) == (err == nil) {
		t.Fatalf("got %v and %v", c, err)
	}
	printed := fmt.Sprintf("%+v %v", c, err)
	for name, value := range environment() {
		if value != "" && strings.Contains(printed, value) && !strings.Contains(source, value) {
			t.Errorf("the value of %s is printed", name)
		}
	}
	problems, ok := errors.AsType[config.Errors](err)
	if err != nil && (!ok || len(problems) == 0) {
		t.Errorf("the error is not a list of problems: %v", err)
	}
	for _, problem := range problems {
		if problem.Message == "" || strings.Contains(problem.String(), "\n") {
			t.Errorf("a problem is not one line of text: %+v", problem)
		}
	}
}
