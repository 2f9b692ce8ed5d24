package pgbin

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/xi2/xz"
)

const (
	// maxUnpacked bounds what an archive may grow to; a complete build has
	// about 100 MB.
	maxUnpacked = 1 << 30

	dataMode    = 0o644
	programMode = 0o755
	executable  = 0o100
)

// unpackArchive unpacks an xz-compressed tar archive into a new folder.
func unpackArchive(archive io.Reader, folder string) error {
	plain, err := xz.NewReader(archive, 0)
	if err != nil {
		return fmt.Errorf("unpacking: %w", err)
	}
	return unpackTar(plain, folder)
}

// unpackTar writes the entries of a tar archive below folder and nowhere else:
// names that lead out of it, links included, are refused by the operating
// system's own resolution.
func unpackTar(plain io.Reader, folder string) error {
	if err := os.Mkdir(folder, folderMode); err != nil {
		return fmt.Errorf("unpacking: %w", err)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return fmt.Errorf("unpacking: %w", err)
	}
	defer func() { _ = root.Close() }()
	if err := root.Chmod(".", folderMode); err != nil {
		return fmt.Errorf("unpacking: %w", err)
	}
	limited := &io.LimitedReader{R: plain, N: maxUnpacked}
	entries := tar.NewReader(limited)
	for {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("unpacking (%d bytes of room left): %w", limited.N, err)
		}
		if err := unpackEntry(root, header, entries); err != nil {
			return fmt.Errorf("unpacking %s: %w", header.Name, err)
		}
	}
}

func unpackEntry(root *os.Root, header *tar.Header, content io.Reader) error {
	name := filepath.Clean(header.Name)
	if !filepath.IsLocal(name) {
		return errors.New("its name leads out of the archive")
	}
	switch header.Typeflag {
	case tar.TypeDir:
		return makeFolders(root, name)
	case tar.TypeReg:
		if err := makeFolders(root, filepath.Dir(name)); err != nil {
			return err
		}
		mode := fs.FileMode(dataMode)
		if header.Mode&executable != 0 {
			mode = programMode
		}
		return writeFile(root, name, mode, content)
	case tar.TypeSymlink:
		if !filepath.IsLocal(filepath.Join(filepath.Dir(name), header.Linkname)) || filepath.IsAbs(header.Linkname) {
			return errors.New("a link leads out of the archive")
		}
		if err := makeFolders(root, filepath.Dir(name)); err != nil {
			return err
		}
		return root.Symlink(header.Linkname, name)
	default:
		return fmt.Errorf("an entry of the unexpected type %q", header.Typeflag)
	}
}

// makeFolders makes name and what is above it readable for every account,
// whatever the umask.
func makeFolders(root *os.Root, name string) error {
	if name == "." {
		return nil
	}
	if err := makeFolders(root, filepath.Dir(name)); err != nil {
		return err
	}
	if err := root.Mkdir(name, folderMode); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return err
	}
	return root.Chmod(name, folderMode)
}

func writeFile(root *os.Root, name string, mode fs.FileMode, content io.Reader) error {
	file, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	if _, err := io.Copy(file, content); err != nil {
		return errors.Join(err, file.Close())
	}
	if err := file.Close(); err != nil {
		return err
	}
	return root.Chmod(name, mode)
}
