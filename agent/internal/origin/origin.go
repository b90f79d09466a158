// Package origin tells whether a signal came from inside the container or from outside it.
//
// The problem: a stop signal of kubelet ends the pod, and the same signal of a preStop hook or of the application
// (kill -QUIT 1) means the application. The number tells nothing; the kernel tells the sender, who has the number 0
// where he is outside this PID namespace, but os/signal drops that.
//
// So a few instructions stand before Go's own signal handler: they note the sender and go on there. The textbook's
// way, a signalfd, wants the signal blocked in every thread, and each program that is started would inherit that.
//
// Source: sigaction(2), siginfo_t; pid_namespaces(7).
package origin

import (
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Signal is one that arrived.
type Signal struct {
	Number syscall.Signal
	Inside bool // a process of this container sent it
}

const most = 65 // signals, with 0

var (
	inside, outside [most]uint32 // 1: such a sender was noted; the handler writes, see
	entry           uintptr      // where the handler begins
	//lint:ignore U1000 the handler, which is assembly, goes on there
	next uintptr // Go's own
)

// Listen tells of these signals from now on. Once in a process.
func Listen(numbers ...os.Signal) (<-chan Signal, error) {
	arrived := make(chan os.Signal, 16)
	signal.Notify(arrived, numbers...)
	for _, number := range numbers {
		if err := stepIn(number.(syscall.Signal)); err != nil {
			return nil, err
		}
	}
	told := make(chan Signal)
	go func() {
		var last [most]bool
		for number := range arrived {
			n := number.(syscall.Signal)
			last[n] = see(int(n), last[n])
			told <- Signal{n, last[n]}
		}
	}()
	return told, nil
}

// see takes what was noted of a signal. A sender outside counts more, and of
// two signals in a row the first may have taken the note of both.
func see(number int, last bool) bool {
	within, beyond := atomic.SwapUint32(&inside[number], 0) != 0, atomic.SwapUint32(&outside[number], 0) != 0
	if !within && !beyond {
		return last
	}
	return !beyond
}

// sigaction is the kernel's, on amd64 and arm64.
type sigaction struct {
	handler, flags, restorer uintptr
	mask                     uint64
}

// stepIn puts the handler before Go's.
func stepIn(number syscall.Signal) error {
	var action sigaction
	if err := call(number, nil, &action); err != nil {
		return err
	}
	if action.handler == entry {
		return nil
	}
	next, action.handler = action.handler, entry
	return call(number, &action, nil)
}

func call(number syscall.Signal, set, old *sigaction) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(number),
		uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(old)), unsafe.Sizeof(sigaction{}.mask), 0, 0)
	if errno != 0 {
		return os.NewSyscallError("rt_sigaction", errno)
	}
	return nil
}
