// Package pgbin owns the question where the Postgres programs come from: those
// of the machine if there are any, otherwise a published build that is fetched
// once into a cache, checked against a checksum kept here, and unpacked.
//
// It must not import anything of this project, and it never starts a server.
//
//	Find: $VERIGATE_PG_BIN, and nothing else if that is set
//	      → pg_config, the usual folders, PATH, the cache → the newest that fits
//	      → fetch → checksum → unpack aside → rename → the programs answer
package pgbin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	// Variable is the environment variable that names the directory of the
	// Postgres programs.
	Variable = "VERIGATE_PG_BIN"

	// oldestMajor is the oldest Postgres that its makers still keep up.
	oldestMajor = 14
)

// remedy ends every message about missing programs.
const remedy = "install PostgreSQL 14 or newer, set " + Variable + " to the directory of its programs, or give the URL of a server (--database-url)"

// ErrNotFound says that there is no usable Postgres and none can be fetched.
var ErrNotFound = errors.New("no usable Postgres")

// Binaries are the programs of one Postgres.
type Binaries struct {
	// Dir holds initdb and postgres.
	Dir string
	// Version is what postgres itself says, such as 15.18.
	Version string
	// Major is the first number of Version.
	Major int
}

// Path returns the path of one program.
func (b Binaries) Path(program string) string { return filepath.Join(b.Dir, program) }

// Finder looks for Postgres. NewFinder fills all that the machine decides.
type Finder struct {
	// Explicit is the only directory to look in, when not empty.
	Explicit string
	// Folders lists the directories that may hold the programs.
	Folders func(context.Context) []string
	// Cache is the directory for fetched builds; empty forbids fetching.
	Cache string
	// Prepare makes a program run as the account that will use it. Nil means
	// as ourselves.
	Prepare func(*exec.Cmd)
	// Progress is told what takes longer than a moment. Nil discards it.
	Progress io.Writer

	// download replaces the fetch in tests.
	download func(staging string) (archive string, err error)
}

// Find returns the newest usable Postgres, or the newest of the given major
// version when that is not 0: a cluster can be opened only by the version that
// made it. Errors: ErrNotFound with the remedy; a fetch that fails or does not
// match its checksum.
func (f Finder) Find(ctx context.Context, major int) (Binaries, error) {
	if f.Prepare == nil {
		f.Prepare = func(*exec.Cmd) {}
	}
	if f.Progress == nil {
		f.Progress = io.Discard
	}
	if f.Explicit != "" {
		return f.explicit(ctx, major)
	}
	found := f.installed(ctx)
	if best, ok := choose(found, major); ok {
		return best, nil
	}
	// An interrupted search is no answer.
	if err := ctx.Err(); err != nil {
		return Binaries{}, fmt.Errorf("looking for Postgres: %w", err)
	}
	if major != 0 && major != fetchMajor {
		return Binaries{}, fmt.Errorf("%w of version %d, which made this database (%s); install that version, or move the database away to start afresh",
			ErrNotFound, major, listVersions(found))
	}
	return f.fetched(ctx)
}

func (f Finder) explicit(ctx context.Context, major int) (Binaries, error) {
	bins, err := f.inspect(ctx, f.Explicit)
	if err != nil {
		return Binaries{}, fmt.Errorf("%s=%s: %w", Variable, f.Explicit, err)
	}
	if _, ok := choose([]Binaries{bins}, major); !ok {
		return Binaries{}, fmt.Errorf("%s=%s is PostgreSQL %s, which does not fit (wanted: %s)", Variable, f.Explicit, bins.Version, wanted(major))
	}
	return bins, nil
}

func wanted(major int) string {
	if major != 0 {
		return fmt.Sprintf("%d, which made this database", major)
	}
	return fmt.Sprintf("%d or newer", oldestMajor)
}

// installed returns what the usual places hold. A folder that holds nothing
// usable is passed over: the next one may.
func (f Finder) installed(ctx context.Context) []Binaries {
	var folders []string
	if f.Folders != nil {
		folders = f.Folders(ctx)
	}
	if f.Cache != "" {
		folders = append(folders, filepath.Join(f.Cache, fetchFolder, binFolder))
	}
	var found []Binaries
	seen := make(map[string]bool)
	for _, folder := range folders {
		resolved, err := filepath.EvalSymlinks(folder)
		if err != nil || seen[resolved] {
			continue
		}
		seen[resolved] = true
		if bins, err := f.inspect(ctx, resolved); err == nil {
			found = append(found, bins)
		}
	}
	return found
}

// choose returns the newest that fits; the earlier in the list wins a draw.
func choose(found []Binaries, major int) (Binaries, bool) {
	fitting := slices.DeleteFunc(slices.Clone(found), func(b Binaries) bool {
		return b.Major < oldestMajor || (major != 0 && b.Major != major)
	})
	if len(fitting) == 0 {
		return Binaries{}, false
	}
	slices.SortStableFunc(fitting, func(a, b Binaries) int { return b.Major - a.Major })
	return fitting[0], true
}

func listVersions(found []Binaries) string {
	if len(found) == 0 {
		return "none is installed"
	}
	versions := make([]string, 0, len(found))
	for _, bins := range found {
		versions = append(versions, bins.Version)
	}
	return "installed: " + strings.Join(versions, ", ")
}

var versionText = regexp.MustCompile(`\(PostgreSQL\) ((\d+)[0-9A-Za-z.]*)`)

// inspect checks that a directory holds the programs and that they run.
func (f Finder) inspect(ctx context.Context, dir string) (Binaries, error) {
	for _, program := range []string{"initdb", "postgres"} {
		if info, err := os.Stat(filepath.Join(dir, program)); err != nil || info.IsDir() {
			return Binaries{}, fmt.Errorf("no program %s there; %s", program, remedy)
		}
	}
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version")
	f.Prepare(cmd)
	output, err := cmd.Output()
	if err != nil {
		return Binaries{}, fmt.Errorf("postgres does not run there: %w (as root the database runs as another account, which must be able to read the programs)", err)
	}
	match := versionText.FindStringSubmatch(string(output))
	if match == nil {
		return Binaries{}, fmt.Errorf("postgres there answers %q instead of its version", strings.TrimSpace(string(output)))
	}
	major, err := strconv.Atoi(match[2])
	if err != nil {
		return Binaries{}, fmt.Errorf("reading the version of postgres: %w", err)
	}
	return Binaries{Dir: dir, Version: match[1], Major: major}, nil
}
