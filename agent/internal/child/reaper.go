// Package child starts programs and reaps everything that ends below this
// process.
//
// The agent is PID 1 of the application's container: orphans become its
// children, and wait4(-1) is the only way to reap what nobody announced. That
// call would also take the status of a program that os/exec waits for, so here
// one reaper waits for all, and starts are made under the reaper's lock: a
// program that ends at once is still found in its books.
package child

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Reaper is the one that waits. Make one for each process.
type Reaper struct {
	mu    sync.Mutex
	known map[int]*Process
}

// Process is a program that was started.
type Process struct {
	PID    int
	done   chan struct{}
	status syscall.WaitStatus
}

// Files are a program's standard input, output and error.
type Files [3]*os.File

// Inherit is this process's own.
var Inherit = Files{os.Stdin, os.Stdout, os.Stderr}

// NewReaper makes this process the parent of orphans and begins to reap.
func NewReaper() (*Reaper, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("become subreaper: %w", err)
	}
	r := &Reaper{known: map[int]*Process{}}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGCHLD)
	go func() {
		for range ended {
			r.reap()
		}
	}()
	return r, nil
}

// Start runs argv with this process's environment and folder. A name without
// a slash is looked for in PATH, as execvp(3) does. The error tells whether it
// is missing (os.ErrNotExist) or may not be executed.
func (r *Reaper) Start(argv []string, files Files) (*Process, error) {
	return r.start(argv, files, &syscall.SysProcAttr{})
}

// StartApart is Start in a session of its own, as kubelet runs a probe, so that
// Kill finds what the program has started too.
func (r *Reaper) StartApart(argv []string, files Files) (*Process, error) {
	return r.start(argv, files, &syscall.SysProcAttr{Setsid: true})
}

func (r *Reaper) start(argv []string, files Files, system *syscall.SysProcAttr) (*Process, error) {
	path, err := lookPath(argv[0])
	if err != nil {
		return nil, err
	}
	attributes := &syscall.ProcAttr{Env: os.Environ(), Sys: system}
	for _, file := range files {
		attributes.Files = append(attributes.Files, file.Fd())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	pid, err := syscall.ForkExec(path, argv, attributes)
	if err != nil {
		return nil, &os.PathError{Op: "execute", Path: path, Err: err}
	}
	p := &Process{PID: pid, done: make(chan struct{})}
	r.known[pid] = p
	return p, nil
}

// reap takes every status there is. SIGCHLD says only that there are some.
func (r *Reaper) reap() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		if p, ours := r.known[pid]; ours {
			delete(r.known, pid)
			p.status = status
			close(p.done)
		}
	}
}

// Signal sends sig while the program runs; afterwards it does nothing, so that
// a number given to somebody else meanwhile is never hit.
func (r *Reaper) Signal(p *Process, sig syscall.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known[p.PID] == p {
		_ = syscall.Kill(p.PID, sig)
	}
}

// Kill ends a program of StartApart and all in its process group.
func (r *Reaper) Kill(p *Process) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known[p.PID] == p { // not reaped yet, so the number is still its own
		_ = syscall.Kill(-p.PID, syscall.SIGKILL)
	}
}

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Ended is whether the program has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Code is the exit code as a shell tells it: 128 + n for signal n. Only after
// Done.
func (p *Process) Code() int {
	if p.status.Signaled() {
		return 128 + int(p.status.Signal())
	}
	return p.status.ExitStatus()
}

func lookPath(name string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	path := os.Getenv("PATH")
	if path == "" {
		path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	}
	found := error(os.ErrNotExist)
	for _, folder := range filepath.SplitList(path) {
		if folder == "" {
			folder = "."
		}
		candidate := filepath.Join(folder, name)
		info, err := os.Stat(candidate)
		if err != nil || info.IsDir() {
			continue
		}
		if info.Mode()&0o111 != 0 {
			return candidate, nil
		}
		found = os.ErrPermission
	}
	return "", &os.PathError{Op: "find in PATH", Path: name, Err: found}
}
