package rig

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

const (
	mebibyte = 1 << 20
	// mostBuffers holds what the largest measurement meets again and again.
	leastBuffers, mostBuffers = 128 * mebibyte, 8192 * mebibyte
	// assumed is what a system has that does not say how much, such as macOS.
	assumed = 4096 * mebibyte
)

// memorySettings are those that depend on how much memory there is.
func memorySettings() []string {
	return sharesOf(memory("/proc/meminfo", "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"))
}

// memory is what the machine has, or what the limit of a container leaves of it, in
// bytes. What cannot be read limits nothing.
func memory(machine string, limits ...string) int64 {
	told, _ := os.ReadFile(machine)
	most := kilobytes(string(told), "MemTotal")
	if most == 0 {
		most = assumed
	}
	for _, path := range limits {
		text, _ := os.ReadFile(path)
		if limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && limit > 0 {
			most = min(most, limit)
		}
	}
	return most
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
