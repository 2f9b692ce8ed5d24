//go:build !unix

package bench

// fileLimit is a limit that no system falls short of.
func fileLimit() (int64, error) { return 1 << 14, nil }
