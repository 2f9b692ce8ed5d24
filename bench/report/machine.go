package report

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// Machine is what the figures were measured on.
type Machine struct {
	CPU      string `json:"cpu"`
	Cores    int    `json:"cores"`
	Kernel   string `json:"kernel"`
	OS       string `json:"os"`
	Memory   string `json:"memory"`
	Postgres string `json:"postgres"`
	Go       string `json:"go"`
	// Verigate is the build that was measured.
	Verigate string    `json:"verigate"`
	Date     time.Time `json:"date"`
}

// ThisMachine reads what the system tells of itself. What it does not tell is
// "unknown".
func ThisMachine(build string, now time.Time) Machine {
	return Machine{
		CPU: field("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(),
		Kernel: line("/proc/sys/kernel/osrelease"), OS: runtime.GOOS + "/" + runtime.GOARCH,
		Memory: field("/proc/meminfo", "MemTotal"), Postgres: unknown,
		Go: runtime.Version(), Verigate: build, Date: now.UTC().Truncate(time.Second),
	}
}

const unknown = "unknown"

func line(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return unknown
	}
	return strings.TrimSpace(string(content))
}

// field returns the value of the first line "name : value".
func field(path, name string) string {
	for text := range strings.Lines(line(path)) {
		key, value, found := strings.Cut(text, ":")
		if found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return unknown
}

func (m *Machine) write(text *strings.Builder) {
	fmt.Fprintf(text, "%s, %d cores, %s; %s, kernel %s\n%s, PostgreSQL %s, verigate %s; %s\n",
		m.CPU, m.Cores, m.Memory, m.OS, m.Kernel, m.Go, m.Postgres, m.Verigate, m.Date.Format(time.RFC3339))
}
