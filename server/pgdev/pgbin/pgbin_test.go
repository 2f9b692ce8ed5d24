package pgbin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// TestMain makes the test binary answer as postgres when it is called by that
// name: with the text of the file VERSION beside it.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "postgres" {
		text, err := os.ReadFile(filepath.Join(filepath.Dir(os.Args[0]), "VERSION"))
		if err != nil {
			os.Exit(1)
		}
		_, _ = fmt.Fprintln(os.Stdout, string(text))
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// fake makes a directory with programs that claim a version.
func fake(t *testing.T, dir, version string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(
		os.MkdirAll(dir, folderMode),
		os.Symlink(self, filepath.Join(dir, "initdb")),
		os.Symlink(self, filepath.Join(dir, "postgres")),
		os.WriteFile(filepath.Join(dir, "VERSION"), []byte(version), dataMode))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func in(folders ...string) func(context.Context) []string {
	return func(context.Context) []string { return folders }
}

func TestFind(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	old := fake(t, filepath.Join(base, "13"), "postgres (PostgreSQL) 13.9")
	middle := fake(t, filepath.Join(base, "15"), "postgres (PostgreSQL) 15.18 (Debian 15.18-1)")
	newest := fake(t, filepath.Join(base, "17"), "postgres (PostgreSQL) 17.2")
	odd := fake(t, filepath.Join(base, "odd"), "something else")
	empty := filepath.Join(base, "empty")

	for _, c := range []struct {
		name   string
		finder Finder
		major  int
		want   string
		says   string
	}{
		{"the newest wins", Finder{Folders: in(old, middle, newest)}, 0, "17.2", ""},
		{"unusable folders are passed over", Finder{Folders: in(empty, odd, middle)}, 0, "15.18", ""},
		{"a cluster gets the version that made it", Finder{Folders: in(newest, middle)}, 15, "15.18", ""},
		{"the explicit folder beats all others", Finder{Explicit: middle, Folders: in(newest)}, 0, "15.18", ""},
		{"a version that is too old is not used", Finder{Folders: in(old)}, 0, "", "install PostgreSQL 14"},
		{"a cluster of a missing version names it", Finder{Folders: in(newest)}, 15, "", "version 15, which made this database (installed: 17.2)"},
		{"an explicit folder without programs is named", Finder{Explicit: empty}, 0, "", Variable + "=" + empty},
		{"an explicit folder of the wrong version is refused", Finder{Explicit: newest}, 15, "", "is PostgreSQL 17.2, which does not fit (wanted: 15"},
		{"an explicit folder with something else is refused", Finder{Explicit: odd}, 0, "", "instead of its version"},
		{"no folder and no cache say what to do", Finder{}, 0, "", "--database-url"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := c.finder.Find(t.Context(), c.major)
			if got.Version != c.want {
				t.Errorf("found %q (%v), want %q", got.Version, err, c.want)
			}
			if c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("the error is %v, want it to say %q", err, c.says)
			}
		})
	}
}

func TestEveryPinIsASHA256(t *testing.T) {
	t.Parallel()
	const hexDigits = 64
	seen := make(map[string]string)
	for name, pin := range pins() {
		if len(pin) != hexDigits || strings.Trim(pin, "0123456789abcdef") != "" {
			t.Errorf("the pin of %s is %q", name, pin)
		}
		if other, twice := seen[pin]; twice {
			t.Errorf("%s and %s have the same pin", name, other)
		}
		seen[pin] = name
	}
}
