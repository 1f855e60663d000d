package sweep

import "syscall"

// apart puts a run into a process group of its own, so that Ctrl-C is the sweep's to pass on, and has it told to stop if the
// sweep is killed.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
