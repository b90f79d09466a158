package supervise

import (
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// Init is PID 1: it runs this very program again with args, hands it SIGTERM and SIGINT, reaps what is
// reparented to it (containerd's shims are), and returns the exit code.  A process of its own, because a
// reaper of everything takes the exit codes that os/exec waits for.
func Init(args []string) (int, error) {
	command := exec.Command("/proc/self/exe", args...)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	if err := command.Start(); err != nil {
		return 0, err
	}
	go func() {
		for received := range signals {
			_ = command.Process.Signal(received)
		}
	}()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if err != nil && err != syscall.EINTR {
			return 0, err
		}
		if pid == command.Process.Pid && status.Signaled() {
			return 128 + int(status.Signal()), nil
		}
		if pid == command.Process.Pid && status.Exited() {
			return status.ExitStatus(), nil
		}
	}
}
