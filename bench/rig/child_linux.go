package rig

import "syscall"

// childAttributes put a child into a process group of its own, which ctrl-C in
// the terminal does not reach, and let the kernel end it with us (prctl(2),
// PR_SET_PDEATHSIG).
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
