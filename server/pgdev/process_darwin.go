package pgdev

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// dieWithParent does nothing: macOS has no such request. The next Start finds
// the orphan and stops it.
func dieWithParent(_ *exec.Cmd, _ syscall.Signal) {}

// isPostgresOn reports whether the process was started as a Postgres server on
// this cluster, by its command line.
func isPostgresOn(pid int, cluster string) bool {
	output, err := exec.Command("ps", "-ww", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	line := string(output)
	return err == nil && strings.Contains(line, "postgres") && strings.Contains(line, "-D "+cluster+" ")
}
