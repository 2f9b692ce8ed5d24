//go:build linux || darwin

package pgdev

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/pgdev/pgbin"
)

func TestStart(t *testing.T) {
	t.Parallel()

	t.Run("data survives a stop and a start", func(t *testing.T) {
		t.Parallel()
		opts := Options{DataDir: filepath.Join(openDir(t), "data"), Durable: true}
		server := startServer(t, opts)
		conn := open(t, server.DSN())
		execute(t, conn, "CREATE TABLE note (text text)")
		execute(t, conn, "INSERT INTO note VALUES ('kept')")
		stopServer(t, server)
		<-server.Done()
		mustKeep(t, startServer(t, opts).DSN(), "kept")
	})

	t.Run("the role is no superuser and makes no databases unless told", func(t *testing.T) {
		t.Parallel()
		conn := open(t, startServer(t, Options{Ephemeral: true}).DSN())
		var super, create bool
		row := conn.QueryRow(t.Context(), "SELECT rolsuper, rolcreatedb FROM pg_roles WHERE rolname = current_user")
		if err := row.Scan(&super, &create); err != nil || super || create {
			t.Errorf("superuser %t, creates databases %t (%v), want neither", super, create, err)
		}
	})

	t.Run("a setting of the caller's wins", func(t *testing.T) {
		t.Parallel()
		server := startServer(t, Options{Ephemeral: true, Settings: []string{"shared_buffers=96MB", "work_mem=5MB"}})
		var got string
		err := open(t, server.DSN()).QueryRow(t.Context(), "SELECT current_setting('shared_buffers') || ' ' || current_setting('work_mem')").Scan(&got)
		if err != nil || got != "96MB 5MB" {
			t.Errorf("the settings are %q (%v)", got, err)
		}
	})
	t.Run("durable means fsync, and the rest does not pay for it", func(t *testing.T) {
		t.Parallel()
		for durable, want := range map[bool]string{true: "on", false: "off"} {
			var fsync string
			server := startServer(t, Options{Ephemeral: true, Durable: durable})
			if err := open(t, server.DSN()).QueryRow(t.Context(), "SHOW fsync").Scan(&fsync); err != nil || fsync != want {
				t.Errorf("durable %t: fsync is %q (%v), want %q", durable, fsync, err, want)
			}
		}
	})

	t.Run("a second start on the same directory is refused by name", func(t *testing.T) {
		t.Parallel()
		dir := openDir(t)
		startServer(t, Options{DataDir: dir})
		_, err := Start(t.Context(), Options{DataDir: dir})
		if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), dir) ||
			!strings.Contains(err.Error(), "--data-dir") || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
			t.Errorf("a second start says %v, want ErrInUse with directory, process and remedy", err)
		}
	})

	t.Run("a long path with odd characters works", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(openDir(t), strings.Repeat("long ", 25)+"path, 100% [odd]*")
		server := startServer(t, Options{DataDir: dir})
		execute(t, open(t, server.DSN()), "SELECT 1")
		sockets := socketsOf(t, server)
		stopServer(t, server)
		if exists(sockets) {
			t.Errorf("the socket directory %s is left behind", sockets)
		}
	})

	t.Run("ephemeral leaves nothing", func(t *testing.T) {
		t.Parallel()
		server := startServer(t, Options{Ephemeral: true})
		dir := filepath.Dir(socketsOf(t, server))
		if !exists(filepath.Join(dir, lockName)) {
			t.Fatalf("%s is not the directory of the database", dir)
		}
		stopServer(t, server)
		if exists(dir) {
			t.Errorf("%s is left behind", dir)
		}
	})

	t.Run("what a killed process left long ago is removed, and what is in use is not", func(t *testing.T) {
		t.Parallel()
		base := openDir(t)
		stale, used, fresh := filepath.Join(base, tempPrefix+"1"), filepath.Join(base, tempPrefix+"2"), filepath.Join(base, tempPrefix+"3")
		for _, dir := range []string{stale, used, fresh} {
			if err := os.Mkdir(dir, privateMode); err != nil {
				t.Fatal(err)
			}
		}
		lock, err := lockFile(filepath.Join(used, lockName))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = lock.release() })
		long := time.Unix(0, 0)
		if err := errors.Join(os.Chtimes(stale, long, long), os.Chtimes(used, long, long)); err != nil {
			t.Fatal(err)
		}
		removeStaleTemps(fresh)
		if exists(stale) || !exists(used) || !exists(fresh) {
			t.Errorf("there are: stale %t, used %t, fresh %t; want only the last two", exists(stale), exists(used), exists(fresh))
		}
	})

	t.Run("a directory closed to the database's account works too", func(t *testing.T) {
		t.Parallel()
		dir := openDir(t)
		if err := os.Chmod(dir, privateMode); err != nil {
			t.Fatal(err)
		}
		opts := Options{DataDir: filepath.Join(dir, "data")}
		server := startServer(t, opts)
		cluster := socketsOf(t, server)
		execute(t, open(t, server.DSN()), "CREATE TABLE note AS SELECT 'kept' AS text")
		note, err := os.ReadFile(filepath.Join(opts.DataDir, locationName))
		if os.Geteuid() == 0 {
			t.Cleanup(func() { _ = os.RemoveAll(filepath.Dir(cluster)) })
			if err != nil || !strings.Contains(string(note), cluster) {
				t.Errorf("the note says %q (%v), want it to name %s", note, err, cluster)
			}
		} else if want := filepath.Join(opts.DataDir, clusterName); cluster != want {
			t.Errorf("the cluster is in %s, want %s", cluster, want)
		}
		stopServer(t, server)
		mustKeep(t, startServer(t, opts).DSN(), "kept")
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != privateMode {
			t.Errorf("the mode of somebody else's directory became %v (%v)", info.Mode(), err)
		}
	})
}

// Only root keeps a cluster elsewhere; anybody else's goes with its directory.
func TestADataDirectoryThatWasRemovedStartsAnew(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "closed", "data")
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(movedTo(dir)) })
	first := startServer(t, Options{DataDir: dir})
	execute(t, open(t, first.DSN()), "CREATE TABLE note (text text)")
	stopServer(t, first)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	var tables int
	again := open(t, startServer(t, Options{DataDir: dir}).DSN())
	if err := again.QueryRow(t.Context(), "SELECT count(*) FROM pg_tables WHERE tablename = 'note'").Scan(&tables); err != nil || tables != 0 {
		t.Errorf("the removed directory's tables are back: %d (%v)", tables, err)
	}
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()

	t.Run("options without a place", func(t *testing.T) {
		t.Parallel()
		if _, err := Start(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), "DataDir") {
			t.Errorf("no data directory: %v, want an error that names DataDir", err)
		}
	})

	t.Run("files that are not a cluster, and keeps them", func(t *testing.T) {
		t.Parallel()
		dir := openDir(t)
		file := filepath.Join(dir, clusterName, "thesis.txt")
		if err := os.Mkdir(filepath.Dir(file), openMode); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("years of work"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Start(t.Context(), Options{DataDir: dir})
		if err == nil || !strings.Contains(err.Error(), filepath.Dir(file)) || !exists(file) {
			t.Errorf("Start says %v, and the file is there: %t", err, exists(file))
		}
	})

	t.Run("a broken configuration, with the end of the log", func(t *testing.T) {
		t.Parallel()
		dir := openDir(t)
		stopServer(t, startServer(t, Options{DataDir: dir}))
		path := filepath.Join(dir, clusterName, "postgresql.conf")
		if err := os.WriteFile(path, []byte("no_such_setting = 1\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Start(t.Context(), Options{DataDir: dir})
		if err == nil || !strings.Contains(err.Error(), "no_such_setting") {
			t.Errorf("Start says %v, want the line of the log", err)
		}
	})

	t.Run("a machine without Postgres, with the remedy", func(t *testing.T) {
		t.Parallel()
		dir := openDir(t)
		_, err := start(t.Context(), Options{DataDir: dir}, pgbin.Finder{})
		if !errors.Is(err, pgbin.ErrNotFound) || !strings.Contains(err.Error(), "install") {
			t.Errorf("Start says %v, want ErrNotFound with the remedy", err)
		}
		// The lock must be free again.
		startServer(t, Options{DataDir: dir})
	})

	t.Run("a context that is over, and leaves nothing", func(t *testing.T) {
		t.Parallel()
		dir := openDir(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := Start(ctx, Options{DataDir: dir}); err == nil {
			t.Error("Start succeeded")
		}
		mustBeClean(t, dir)
		if moved := movedTo(dir); exists(moved) {
			t.Errorf("%s is left behind", moved)
		}
	})
}

// socketsOf returns the directory of the server's socket.
func socketsOf(t *testing.T, server *Server) string {
	t.Helper()
	return open(t, server.DSN()).Config().Host
}

// mustBeClean fails if anything but the lock file is there.
func mustBeClean(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.Name() != lockName {
			t.Errorf("%s is left behind in %s", entry.Name(), dir)
		}
	}
}
