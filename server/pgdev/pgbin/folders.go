package pgbin

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

const binFolder = "bin"

// usualFolders are where packagers put Postgres: Debian, Red Hat, Homebrew on
// both kinds of Mac, Postgres.app.
func usualFolders() []string {
	return []string{
		"/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin",
		"/opt/homebrew/opt/postgresql*/bin",
		"/usr/local/opt/postgresql*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
	}
}

// NewFinder returns a Finder for this machine.
func NewFinder() Finder {
	return Finder{Explicit: os.Getenv(Variable), Folders: machineFolders, Cache: cacheFolder()}
}

func machineFolders(ctx context.Context) []string {
	var folders []string
	if output, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		folders = append(folders, strings.TrimSpace(string(output)))
	}
	for _, pattern := range usualFolders() {
		// The patterns are constants, and well-formed.
		matches, _ := filepath.Glob(pattern)
		folders = append(folders, matches...)
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		if resolved, err := filepath.EvalSymlinks(path); err == nil {
			folders = append(folders, filepath.Dir(resolved))
		}
	}
	return folders
}

// cacheFolder returns where fetched builds are kept: for root a place that the
// database's unprivileged account can read too. Empty when the user has none.
func cacheFolder() string {
	if os.Geteuid() == 0 {
		if runtime.GOOS == "darwin" {
			return "/Library/Caches/verigate"
		}
		return "/var/cache/verigate"
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "verigate")
}
