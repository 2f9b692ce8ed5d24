package pgbin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

const (
	// fetchVersion is the published build that is fetched, in the way its
	// publisher counts: the third number is theirs.
	fetchVersion = "18.3.0"
	fetchMajor   = 18
	fetchFolder  = "postgres-" + fetchVersion

	stagingPattern = "fetching-"
	folderMode     = 0o755

	// How often a person waiting for a fetch hears that it goes on.
	progressEvery = 2 * time.Second
)

// pins returns the SHA-256 of the archive of each platform, by the name that
// the fetching library gives it. They were computed from the archives as
// published; an archive that answers to none of them is never unpacked.
func pins() map[string]string {
	return map[string]string{
		"linux-amd64":        "e09b13df10e9df257275d498b19b8c214a3e86d7a5d8cd263b0860e308e8b0b6",
		"linux-amd64-alpine": "5e47f96951026dc460b876fa62379f7c7666eb6293d076900e2c71703e5a1de6",
		"linux-arm64v8":      "f9695b61cff9e5c9b8e02a938158740a711c7a55304dd49ca634c8b947bf6b27",
		"darwin-amd64":       "2c5f22fa675ee78264a2ea8c7543310c32590465a4f72fb4287ca65ec484f7dd",
		"darwin-arm64v8":     "61f9b7026404f15abd4ec7e5724f672795c08cecc58ece212f85da3bf4de2b91",
	}
}

// platform returns the publisher's name for this machine.
func platform() string {
	arch := runtime.GOARCH
	if arch == "arm64" {
		arch += "v8"
	}
	name := runtime.GOOS + "-" + arch
	if _, err := os.Stat("/etc/alpine-release"); err == nil && runtime.GOOS == "linux" {
		name += "-alpine"
	}
	return name
}

// fetched fetches the published build into the cache and returns it.
func (f Finder) fetched(ctx context.Context) (Binaries, error) {
	pin, known := pins()[platform()]
	if !known {
		return Binaries{}, fmt.Errorf("%w, and no build for %s can be fetched; %s", ErrNotFound, platform(), remedy)
	}
	if f.Cache == "" {
		return Binaries{}, fmt.Errorf("%w, and there is no cache directory to fetch one into (is HOME set?); %s", ErrNotFound, remedy)
	}
	if f.download == nil {
		f.download = download
	}
	build := filepath.Join(f.Cache, fetchFolder)
	if err := f.fill(ctx, build, pin); err != nil {
		return Binaries{}, fmt.Errorf("%w, and fetching one failed: %w; %s", ErrNotFound, err, remedy)
	}
	bins, err := f.inspect(ctx, filepath.Join(build, binFolder))
	if err != nil {
		return Binaries{}, fmt.Errorf("the Postgres fetched into %s: %w", build, err)
	}
	return bins, nil
}

// fill makes build, complete or not at all. Two processes may fetch at the
// same time; the second one finds the first one's work and drops its own.
func (f Finder) fill(ctx context.Context, build, pin string) error {
	if err := makeOpen(f.Cache); err != nil {
		return err
	}
	staging, err := os.MkdirTemp(f.Cache, stagingPattern)
	if err != nil {
		return fmt.Errorf("making a directory to fetch into: %w", err)
	}
	f.sayf("fetching PostgreSQL %s once into %s", fetchVersion, build)
	archive, err := f.await(ctx, staging)
	if err == nil {
		err = f.unpackVerified(archive, pin, filepath.Join(staging, fetchFolder))
	}
	if err == nil {
		err = moveBuild(filepath.Join(staging, fetchFolder), build)
	}
	return errors.Join(err, os.RemoveAll(staging))
}

// await runs the download and tells the person that it goes on. The download
// cannot be interrupted; when ctx ends first, it is left to finish and to
// remove its own files.
func (f Finder) await(ctx context.Context, staging string) (string, error) {
	type answer struct {
		archive string
		err     error
	}
	answers := make(chan answer, 1)
	go func() {
		archive, err := f.download(staging)
		if ctx.Err() != nil {
			err = errors.Join(err, os.RemoveAll(staging))
		}
		answers <- answer{archive, err}
	}()
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for waited := progressEvery; ; waited += progressEvery {
		select {
		case got := <-answers:
			return got.archive, got.err
		case <-ctx.Done():
			return "", context.Cause(ctx)
		case <-tick.C:
			f.sayf("still fetching (%s)", waited)
		}
	}
}

func (f Finder) unpackVerified(archive, pin, folder string) error {
	file, err := os.Open(archive)
	if err != nil {
		return fmt.Errorf("opening what was fetched: %w", err)
	}
	defer func() { _ = file.Close() }()
	hash := sha256.New()
	size, err := io.Copy(hash, file)
	if err != nil {
		return fmt.Errorf("reading what was fetched: %w", err)
	}
	if sum := hex.EncodeToString(hash.Sum(nil)); sum != pin {
		return fmt.Errorf("what was fetched has the checksum %s instead of %s, so it was thrown away", sum, pin)
	}
	f.sayf("verified %d bytes by their checksum, unpacking", size)
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("reading what was fetched: %w", err)
	}
	return unpackArchive(file, folder)
}

func (f Finder) sayf(format string, values ...any) {
	_, _ = fmt.Fprintf(f.Progress, format+"\n", values...)
}

// moveBuild puts the complete build into its place.
func moveBuild(from, to string) error {
	err := os.Rename(from, to)
	if err == nil {
		return nil
	}
	if _, statErr := os.Stat(filepath.Join(to, binFolder)); statErr == nil && errors.Is(err, fs.ErrExist) {
		return nil
	}
	return fmt.Errorf("moving what was fetched into place: %w", err)
}

// makeOpen makes dir readable for every account, whatever the umask: the
// database may run as another one. A directory that exists stays as it is.
func makeOpen(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, folderMode); err != nil {
		return fmt.Errorf("making the cache directory: %w", err)
	}
	if err := os.Chmod(dir, folderMode); err != nil {
		return fmt.Errorf("opening the cache directory: %w", err)
	}
	return nil
}
