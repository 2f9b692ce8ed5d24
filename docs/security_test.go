// Package docs_test keeps the promises that the documents make about tests.
package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var testName = regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9_]+)`")

// tests returns the names of all Go tests and fuzz targets of the repository.
func tests(t *testing.T) map[string]bool {
	t.Helper()
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9_]+)\(`)
	names := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == ".tmp" || entry.Name() == "third_party") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(path)
		for _, match := range declared.FindAllSubmatch(source, -1) {
			names[string(match[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestEveryTestThatADocumentNamesExists(t *testing.T) {
	t.Parallel()
	known := tests(t)
	for _, page := range []string{"security.md", "privacy.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		named := testName.FindAllSubmatch(text, -1)
		if len(named) == 0 {
			t.Errorf("%s names no test at all", page)
		}
		for _, match := range named {
			if !known[string(match[1])] {
				t.Errorf("%s names %s, which is no test of this repository", page, match[1])
			}
		}
	}
}

func TestEveryThreatNamesItsTest(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("security.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\| \d+ \|.*$`).FindAll(text, -1)
	if len(rows) < 15 {
		t.Fatalf("found %d threats", len(rows))
	}
	for _, row := range rows {
		if !testName.Match(row) {
			t.Errorf("no test: %s", row)
		}
	}
}
