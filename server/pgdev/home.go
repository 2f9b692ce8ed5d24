//go:build linux || darwin

package pgdev

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const (
	clusterName  = "postgres"
	lockName     = "postgres.lock"
	locationName = "postgres-location.txt"
	logName      = "postgres.log"
	versionName  = "PG_VERSION"

	// Where root keeps a cluster whose data directory the database's account
	// cannot enter.
	elsewhere = "/var/lib/verigate-dev"

	privateMode  = 0o700
	passableMode = 0o711
	openMode     = 0o755
	noteMode     = 0o644

	// A unix socket's path has room for 104 bytes on macOS and 108 on Linux,
	// closing zero included.
	maxSocketPath = 103
	socketPort    = "5432"
	socketName    = ".s.PGSQL." + socketPort

	hashLength = 16
)

// home is the place of one cluster on disk, held under a lock.
type home struct {
	account account
	dataDir string
	// cluster is what Postgres calls PGDATA; its parent is ours to write to.
	cluster string
	sockets string
	lock    *fileLock
	// abandoned: the cluster was moved here for a data directory that was
	// removed since.
	abandoned bool
	// temporary directories go away with the server.
	temporary []string
}

// openHome makes what is missing around the cluster and takes the lock.
func openHome(ctx context.Context, opts Options, who account) (*home, error) {
	place := &home{account: who, dataDir: opts.DataDir}
	if opts.Ephemeral {
		dir, err := reachableTemp(ctx, who, passableMode)
		if err != nil {
			return nil, err
		}
		removeStaleTemps(dir)
		place.dataDir = dir
		place.temporary = append(place.temporary, dir)
	}
	err := place.makeDataDir()
	if err == nil {
		err = place.takeLock(ctx)
	}
	if err == nil {
		err = place.chooseCluster(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, place.close())
	}
	return place, nil
}

func (h *home) makeDataDir() error {
	mode := fs.FileMode(privateMode)
	if h.account.credential != nil {
		mode = passableMode
	}
	if err := os.MkdirAll(h.dataDir, mode); err != nil {
		return fmt.Errorf("making the data directory %s: %w", h.dataDir, err)
	}
	absolute, err := filepath.Abs(h.dataDir)
	if err != nil {
		return fmt.Errorf("resolving the data directory %s: %w", h.dataDir, err)
	}
	resolved, err := filepath.EvalSymlinks(absolute)
	if err != nil {
		return fmt.Errorf("resolving the data directory %s: %w", absolute, err)
	}
	h.dataDir = resolved
	return nil
}

func (h *home) takeLock(ctx context.Context) error {
	lock, err := awaitLock(ctx, filepath.Join(h.dataDir, lockName))
	if errors.Is(err, ErrInUse) {
		return fmt.Errorf("the data directory %s is %w; stop that one first, or choose another directory (--data-dir)", h.dataDir, err)
	}
	if err != nil {
		return fmt.Errorf("the data directory %s: %w", h.dataDir, err)
	}
	h.lock = lock
	return nil
}

// chooseCluster settles where the cluster is: in the data directory, or for
// root elsewhere when the database's account cannot get in there.
func (h *home) chooseCluster(ctx context.Context) error {
	h.cluster = filepath.Join(h.dataDir, clusterName)
	if h.account.credential == nil {
		return nil
	}
	if info, err := os.Stat(filepath.Join(h.cluster, versionName)); err == nil {
		return h.adoptOwner(ctx, info)
	}
	parent := movedTo(h.dataDir)
	_, statErr := os.Stat(filepath.Join(parent, clusterName, versionName))
	if moved := statErr == nil; !moved && h.account.reaches(ctx, h.dataDir) {
		return nil
	}
	// An interrupted check is no answer.
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("preparing the data directory: %w", err)
	}
	return h.moveTo(ctx, parent)
}

// movedTo returns where root keeps the cluster of a data directory that the
// database's account cannot enter.
func movedTo(dataDir string) string {
	sum := sha256.Sum256([]byte(dataDir))
	return filepath.Join(elsewhere, hex.EncodeToString(sum[:])[:hashLength])
}

// moveTo puts the cluster of this data directory below parent and leaves a
// note that says so.
func (h *home) moveTo(ctx context.Context, parent string) error {
	for _, dir := range []string{elsewhere, parent} {
		if err := makePassable(dir); err != nil {
			return err
		}
	}
	if !h.account.reaches(ctx, parent) {
		return fmt.Errorf("the account %s, which runs the database for root, can enter neither %s nor %s; choose a data directory that it can enter (--data-dir)",
			h.account.name, h.dataDir, parent)
	}
	h.cluster = filepath.Join(parent, clusterName)
	notePath := filepath.Join(h.dataDir, locationName)
	if _, err := os.Stat(notePath); errors.Is(err, fs.ErrNotExist) {
		// Whoever removed the data directory meant the database in it.
		h.abandoned = true
	}
	note := "The database of this directory is in\n" + h.cluster + "\nbecause it does not run as root, and its account cannot enter this directory.\n"
	if err := os.WriteFile(notePath, []byte(note), noteMode); err != nil {
		return fmt.Errorf("noting where the database is: %w", err)
	}
	return nil
}

// adoptOwner makes root run an existing cluster as whoever it belongs to.
func (h *home) adoptOwner(ctx context.Context, info fs.FileInfo) error {
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid == 0 {
		return fmt.Errorf("the cluster %s belongs to root, who cannot run Postgres; give it to another account or choose another data directory (--data-dir)", h.cluster)
	}
	if owner.Uid != h.account.credential.Uid {
		h.account = accountOf(owner.Uid, owner.Gid, "uid "+strconv.FormatUint(uint64(owner.Uid), 10))
	}
	if !h.account.reaches(ctx, h.cluster) {
		return fmt.Errorf("the cluster %s belongs to the account %s, which cannot enter it; open its parent directories to that account or choose another data directory (--data-dir)",
			h.cluster, h.account.name)
	}
	return nil
}

// makePassable makes dir so that every account can pass through it; one that
// exists already is left as it is.
func makePassable(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, openMode); err != nil {
		return fmt.Errorf("making %s: %w", dir, err)
	}
	if err := os.Chmod(dir, openMode); err != nil {
		return fmt.Errorf("opening %s: %w", dir, err)
	}
	return nil
}

// major returns the version that made the cluster, or 0 when there is none.
func (h *home) major() (int, error) {
	path := filepath.Join(h.cluster, versionName)
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading the cluster's version; if it belongs to another user, run as that one or choose another data directory (--data-dir): %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		return 0, fmt.Errorf("the file %s holds no Postgres version; move %s away to start afresh", path, h.cluster)
	}
	return major, nil
}

// chooseSockets puts the socket into the cluster, which only its owner can
// enter, or into a short private directory when that path does not fit.
func (h *home) chooseSockets(ctx context.Context) error {
	h.sockets = h.cluster
	// A comma separates directories in the setting, and hosts in a DSN.
	if len(filepath.Join(h.cluster, socketName)) <= maxSocketPath && !strings.ContainsAny(h.cluster, ",\"'") {
		return nil
	}
	dir, err := reachableTemp(ctx, h.account, privateMode)
	if err != nil {
		return err
	}
	h.temporary = append(h.temporary, dir)
	h.sockets = dir
	return h.account.own(dir)
}

// forget removes an abandoned cluster, which nothing runs any more.
func (h *home) forget() error {
	if !h.abandoned {
		return nil
	}
	if err := os.RemoveAll(h.cluster); err != nil {
		return fmt.Errorf("removing the database of a data directory that was removed: %w", err)
	}
	return nil
}

// close removes what is temporary and releases the data directory.
func (h *home) close() error {
	var errs []error
	for _, dir := range h.temporary {
		if err := os.RemoveAll(dir); err != nil {
			errs = append(errs, fmt.Errorf("removing %s: %w", dir, err))
		}
	}
	if h.lock != nil {
		errs = append(errs, h.lock.release())
	}
	return errors.Join(errs...)
}

func dsn(sockets string) string {
	// libpq does not read a plus sign as a space.
	host := strings.ReplaceAll(url.QueryEscape(sockets), "+", "%20")
	return "postgres://" + roleName + "@/" + databaseName + "?host=" + host + "&port=" + socketPort + "&sslmode=disable"
}
