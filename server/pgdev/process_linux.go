package pgdev

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// dieWithParent makes the kernel send signal to the child when the thread that
// started it ends (prctl(2), PR_SET_PDEATHSIG).
func dieWithParent(cmd *exec.Cmd, signal syscall.Signal) { cmd.SysProcAttr.Pdeathsig = signal }

// isPostgresOn reports whether the process is a Postgres server that works in
// this cluster: a server changes into its data directory when it starts.
func isPostgresOn(pid int, cluster string) bool {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	name, nameErr := os.ReadFile(filepath.Join(proc, "comm"))
	dir, dirErr := os.Readlink(filepath.Join(proc, "cwd"))
	return nameErr == nil && dirErr == nil && dir == cluster && strings.TrimSpace(string(name)) == "postgres"
}
