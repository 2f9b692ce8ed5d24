//go:build !linux

package rig

import "syscall"

// childAttributes ask for nothing: the ends of the pipes tell a child that we
// are gone.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
