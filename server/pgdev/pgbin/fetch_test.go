package pgbin

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func entries(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, 0, len(list))
	for _, entry := range list {
		names = append(names, entry.Name())
	}
	return names
}

func TestFetch(t *testing.T) {
	t.Parallel()

	t.Run("an archive with another checksum is thrown away", func(t *testing.T) {
		t.Parallel()
		cache := t.TempDir()
		var progress bytes.Buffer
		finder := Finder{Cache: cache, Progress: &progress, download: func(staging string) (string, error) {
			archive := filepath.Join(staging, "archive.txz")
			return archive, os.WriteFile(archive, []byte("not what was published"), dataMode)
		}}
		_, err := finder.Find(t.Context(), 0)
		if err == nil || !strings.Contains(err.Error(), "checksum") {
			t.Errorf("the error is %v, want it to speak of the checksum", err)
		}
		if left := entries(t, cache); len(left) != 0 {
			t.Errorf("left in the cache: %q", left)
		}
		if !strings.Contains(progress.String(), filepath.Join(cache, fetchFolder)) {
			t.Errorf("the person is told %q, want the place", progress.String())
		}
	})

	t.Run("a fetch that fails says why and what to do", func(t *testing.T) {
		t.Parallel()
		cache := t.TempDir()
		cause := errors.New("the network is away")
		finder := Finder{Cache: cache, download: func(string) (string, error) { return "", cause }}
		_, err := finder.Find(t.Context(), 0)
		if !errors.Is(err, cause) || !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), Variable) {
			t.Errorf("the error is %v, want cause and remedy", err)
		}
		if left := entries(t, cache); len(left) != 0 {
			t.Errorf("left in the cache: %q", left)
		}
	})

	t.Run("an interrupted fetch returns at once and cleans up when it is over", func(t *testing.T) {
		t.Parallel()
		cache := t.TempDir()
		ctx, cancel := context.WithCancel(t.Context())
		proceed, arrived := make(chan struct{}), make(chan struct{})
		finder := Finder{Cache: cache, download: func(staging string) (string, error) {
			cancel()
			<-proceed
			defer close(arrived)
			return "", os.MkdirAll(filepath.Join(staging, "late"), folderMode)
		}}
		if _, err := finder.Find(ctx, 0); !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v, want context.Canceled", err)
		}
		close(proceed)
		<-arrived
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for len(entries(t, cache)) != 0 {
			select {
			case <-tick.C:
			case <-t.Context().Done():
				t.Fatal("what arrived late was left behind")
			}
		}
	})

	t.Run("a build that another process put there first is kept", func(t *testing.T) {
		t.Parallel()
		base := t.TempDir()
		mine, theirs := filepath.Join(base, "mine"), filepath.Join(base, "theirs")
		for _, dir := range []string{mine, theirs} {
			if err := os.MkdirAll(filepath.Join(dir, binFolder), folderMode); err != nil {
				t.Fatal(err)
			}
		}
		if err := moveBuild(mine, theirs); err != nil {
			t.Errorf("moveBuild says %v, want it to accept theirs", err)
		}
	})

	t.Run("what is not an archive is refused", func(t *testing.T) {
		t.Parallel()
		if err := unpackArchive(strings.NewReader("plain text"), filepath.Join(t.TempDir(), "build")); err == nil {
			t.Error("no error")
		}
	})
}

func archive(t *testing.T, headers ...tar.Header) *bytes.Buffer {
	t.Helper()
	var buffer bytes.Buffer
	writer := tar.NewWriter(&buffer)
	for _, header := range headers {
		content := []byte("content of " + header.Name)
		if header.Typeflag == tar.TypeReg {
			header.Size = int64(len(content))
		}
		if err := writer.WriteHeader(&header); err != nil {
			t.Fatal(err)
		}
		if header.Typeflag == tar.TypeReg {
			if _, err := writer.Write(content); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return &buffer
}

func TestUnpack(t *testing.T) {
	t.Parallel()

	t.Run("files, programs and links arrive readable for every account", func(t *testing.T) {
		t.Parallel()
		folder := filepath.Join(t.TempDir(), "build")
		err := unpackTar(archive(t,
			tar.Header{Name: "bin/postgres", Typeflag: tar.TypeReg, Mode: 0o700},
			tar.Header{Name: "lib/", Typeflag: tar.TypeDir, Mode: 0o700},
			tar.Header{Name: "lib/libpq.so.5.1", Typeflag: tar.TypeReg, Mode: 0o600},
			tar.Header{Name: "lib/libpq.so.5", Typeflag: tar.TypeSymlink, Linkname: "libpq.so.5.1"}), folder)
		if err != nil {
			t.Fatal(err)
		}
		for name, mode := range map[string]os.FileMode{"bin": 0o755, "bin/postgres": 0o755, "lib": 0o755, "lib/libpq.so.5": 0o644} {
			info, err := os.Stat(filepath.Join(folder, name))
			if err != nil || info.Mode().Perm() != mode {
				t.Errorf("%s: mode %v (%v), want %v", name, info.Mode(), err, mode)
			}
		}
	})

	for name, header := range map[string]tar.Header{
		"a file above the folder":        {Name: "../escaped", Typeflag: tar.TypeReg},
		"a file at an absolute path":     {Name: "/tmp/escaped", Typeflag: tar.TypeReg},
		"a link that leads out":          {Name: "lib/out", Typeflag: tar.TypeSymlink, Linkname: "../../escaped"},
		"a link to an absolute path":     {Name: "lib/out", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"},
		"an entry of an unexpected type": {Name: "lib/device", Typeflag: tar.TypeChar},
	} {
		t.Run(name+" is refused", func(t *testing.T) {
			t.Parallel()
			base := t.TempDir()
			if err := unpackTar(archive(t, header), filepath.Join(base, "build")); err == nil {
				t.Error("no error")
			}
			if left := entries(t, base); len(left) != 1 {
				t.Errorf("beside the folder: %q", left)
			}
		})
	}
}
