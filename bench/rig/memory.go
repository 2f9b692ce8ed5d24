package rig

import (
	"fmt"
	"os"
)

const (
	mebibyte = 1 << 20
	// leastBuffers is for a machine that does not say how much memory it has,
	// mostBuffers holds what the largest measurement meets again and again.
	leastBuffers, mostBuffers = 256 * mebibyte, 8192 * mebibyte
)

// memorySettings are those that depend on how much memory there is.
func memorySettings() []string {
	told, _ := os.ReadFile("/proc/meminfo") // elsewhere than on Linux nothing is told
	return sharesOf(kilobytes(string(told), "MemTotal"))
}

// sharesOf gives Postgres a quarter of so many bytes for itself, which its manual
// calls a reasonable beginning (Resource Consumption, shared_buffers). With less, a
// batch is measured while it waits for room: whoever needs a page writes out
// another one first. The rest is for the files that the system keeps in memory.
func sharesOf(memory int64) []string {
	const share = 4
	buffers := min(max(memory/share, leastBuffers), mostBuffers)
	return []string{
		fmt.Sprintf("shared_buffers=%dMB", buffers/mebibyte),
		fmt.Sprintf("effective_cache_size=%dMB", max(memory-buffers, buffers)/mebibyte),
	}
}
