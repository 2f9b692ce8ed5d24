package rig

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// clockTicks is how many ticks /proc counts in a second of CPU time: USER_HZ,
// which Linux keeps at 100 on every architecture that Go runs on (proc(5)).
const clockTicks = 100

// Usage is what a process has taken of the machine.
type Usage struct {
	// RSS is its resident memory and PeakRSS the most it ever was, in bytes.
	RSS, PeakRSS int64
	// CPU is the time that it ran, in user and kernel mode.
	CPU time.Duration
	// At is when this was read.
	At time.Time
}

// UsageOf reads /proc (proc(5)). It needs Linux.
func UsageOf(pid int) (Usage, error) {
	folder := filepath.Join("/proc", strconv.Itoa(pid))
	status, err := os.ReadFile(filepath.Join(folder, "status"))
	if err != nil {
		return Usage{}, fmt.Errorf("memory and CPU of a process are read from /proc, which only Linux has: %w", err)
	}
	stat, err := os.ReadFile(filepath.Join(folder, "stat"))
	if err != nil {
		return Usage{}, fmt.Errorf("reading the CPU time of process %d: %w", pid, err)
	}
	u := Usage{At: time.Now()}
	u.RSS, u.PeakRSS = kilobytes(string(status), "VmRSS"), kilobytes(string(status), "VmHWM")
	u.CPU, err = cpuTime(string(stat))
	return u, err
}

// kilobytes reads a line such as "VmRSS:	  1234 kB".
func kilobytes(status, name string) int64 {
	const kilobyte = 1024
	for line := range strings.Lines(status) {
		key, value, _ := strings.Cut(line, ":")
		if fields := strings.Fields(value); key == name && len(fields) > 0 {
			n, _ := strconv.ParseInt(fields[0], 10, 64)
			return n * kilobyte
		}
	}
	return 0
}

// cpuTime reads utime and stime, the 14th and 15th field. The second field is
// the program's name in parentheses, which may hold anything.
func cpuTime(stat string) (time.Duration, error) {
	const user, system = 14 - 3, 15 - 3 // counted from the third field on
	end := strings.LastIndexByte(stat, ')')
	fields := strings.Fields(stat[end+1:])
	if end < 0 || len(fields) <= system {
		return 0, errors.New("/proc/PID/stat does not look as proc(5) describes it")
	}
	var ticks int64
	for _, field := range []string{fields[user], fields[system]} {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("reading /proc/PID/stat: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / clockTicks, nil
}

// Busy returns the share of one core that a process took between two readings.
func Busy(before, after Usage) float64 {
	elapsed := after.At.Sub(before.At)
	if elapsed <= 0 {
		return 0
	}
	return float64(after.CPU-before.CPU) / float64(elapsed)
}
