//go:build !linux

package sweep

import "syscall"

// apart puts a run into a process group of its own, so that Ctrl-C is the sweep's to pass on.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
