package pgbin

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// download lets the library fetch the archive into staging and returns the
// archive's path.
//
// The library has no call that only fetches: its Start goes on to unpack and
// run what came, which must not happen before our own check (the library skips
// its own when the publisher's checksum file is missing). So it is told to
// unpack below a link that leads nowhere: it fetches, fails to make that
// directory, and stops there. Port 0 passes its look for a free port.
func download(staging string) (string, error) {
	nowhere := filepath.Join(staging, "nowhere")
	if err := os.Symlink(filepath.Join(staging, "missing"), nowhere); err != nil {
		return "", fmt.Errorf("preparing the fetch: %w", err)
	}
	cache := filepath.Join(staging, "archive")
	startErr := embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().
		Version(fetchVersion).
		Port(0).
		CachePath(cache).
		RuntimePath(filepath.Join(staging, "runtime")).
		BinariesPath(filepath.Join(nowhere, "build")).
		Logger(io.Discard)).Start()
	archive := filepath.Join(cache, "embedded-postgres-binaries-"+platform()+"-"+fetchVersion+".txz")
	if _, err := os.Stat(archive); err == nil {
		return archive, nil
	}
	if startErr == nil {
		startErr = os.ErrNotExist
	}
	return "", fmt.Errorf("the archive did not arrive: %w", startErr)
}
