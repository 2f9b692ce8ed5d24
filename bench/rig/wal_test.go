package rig_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/verigate/verigate/bench/rig"
)

// Whoever fills a file of the write-ahead log must find the next one made.
func TestAPrivatePostgresHasWALFilesToUseAgain(t *testing.T) {
	tmp := t.TempDir()
	// The account that runs Postgres for root passes through, or its data go elsewhere.
	if err := os.Chmod(filepath.Dir(tmp), 0o711); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", tmp)
	pg, err := rig.OpenPostgres(t.Context(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pg.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	if pg.Version < "15" {
		t.Skip("before Postgres 15 only a superuser makes the server use its WAL files again")
	}
	var current string
	if err := pg.Pool.QueryRow(t.Context(), "SELECT pg_walfile_name(pg_current_wal_lsn())").Scan(&current); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(tmp, "verigate-bench-*", "*", "pg_wal", "0*"))
	if err != nil {
		t.Fatal(err)
	}
	const least = 32
	next := 0
	for _, file := range files {
		if filepath.Base(file) > current {
			next++
		}
	}
	if next < least {
		t.Errorf("%d of %d files are there to be written next, less than %d", next, len(files), least)
	}
}
