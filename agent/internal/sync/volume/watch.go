package volume

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	settle  = 50 * time.Millisecond // changes that come together are looked at together
	hurried = 2 * time.Second       // the least pause between two rescans where not all is watched

	events = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MODIFY | unix.IN_ATTRIB | unix.IN_MOVED_FROM | unix.IN_MOVED_TO |
		unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR | unix.IN_EXCL_UNLINK
)

// watcher is inotify: one watch for each folder, by its handle and not by its path.
type watcher struct {
	fd   int
	file *os.File
	left int // how many more folders may be watched
	by   map[int32]*folder
	lack string // why not all is watched
}

func newWatcher(limit int) watcher {
	if limit <= 0 {
		limit = 100_000
	}
	w := watcher{left: limit, by: map[int32]*folder{}}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		w.left, w.lack = 0, fmt.Sprintf("inotify: %v (fs.inotify.max_user_instances)", err)
		return w
	}
	w.fd, w.file = fd, os.NewFile(uintptr(fd), "inotify")
	return w
}

func (w *watcher) close() {
	if w.file != nil {
		_ = w.file.Close()
	}
}

// add watches a folder by its handle.
func (w *watcher) add(f *folder, at int) {
	if f.wd != 0 || w.file == nil {
		return
	}
	if w.left == 0 {
		w.lack = "more folders than may be watched"
		return
	}
	wd, err := unix.InotifyAddWatch(w.fd, fmt.Sprintf("/proc/self/fd/%d", at), events)
	if err != nil {
		if errors.Is(err, unix.ENOSPC) {
			w.lack = "more folders than fs.inotify.max_user_watches"
		} else if !gone(err) {
			w.lack = fmt.Sprintf("inotify: %v", err)
		}
		return
	}
	f.wd = int32(wd)
	if moved := w.by[f.wd]; moved != nil { // the same folder by the name that it had
		moved.wd = 0
	} else {
		w.left--
	}
	w.by[f.wd] = f
}

func (w *watcher) remove(f *folder) {
	if f.wd == 0 {
		return
	}
	delete(w.by, f.wd)
	_, _ = unix.InotifyRmWatch(w.fd, uint32(f.wd))
	w.left++
	f.wd = 0
}

// follow looks at what inotify tells, and at everything now and then, until ctx ends.
func (v *Volume) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	touched := make(chan []string)
	var listening sync.WaitGroup
	if v.watch.file != nil {
		listening.Go(func() { v.listen(ctx, touched) })
	}
	defer func() {
		cancel()
		if v.watch.file != nil {
			_ = v.watch.file.SetReadDeadline(time.Now())
		}
		listening.Wait()
	}()
	pause := v.rescan
	for {
		again := time.NewTimer(pause)
		var err error
		select {
		case <-ctx.Done():
			return ctx.Err()
		case paths := <-touched:
			err = v.inspect(ctx, paths, touched)
		case <-again.C:
			began := time.Now()
			err = v.Rescan(ctx)
			pause = v.nextRescan(time.Since(began))
		}
		again.Stop()
		if err != nil {
			return err
		}
	}
}

// nextRescan: what inotify does not see (mmap, a network's file system) is found at a rescan.
func (v *Volume) nextRescan(took time.Duration) time.Duration {
	if v.Watching() == "" {
		return v.rescan
	}
	return min(v.rescan, max(hurried, 20*took))
}

// inspect waits a moment for what comes together with paths, and looks. No paths: the queue has overflown.
func (v *Volume) inspect(ctx context.Context, paths []string, more <-chan []string) error {
	due := time.After(settle)
	dirty, all := map[string]bool{}, false
	for waiting := true; waiting; {
		all = all || paths == nil
		for _, path := range paths {
			dirty[path] = true
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case paths = <-more:
		case <-due:
			waiting = false
		}
	}
	if all {
		return v.Rescan(ctx)
	}
	names := make([]string, 0, len(dirty))
	for path := range dirty {
		names = append(names, path)
	}
	return v.Look(ctx, names...)
}

// listen reads events and names what they touch.
func (v *Volume) listen(ctx context.Context, touched chan<- []string) {
	buffer := make([]byte, 16<<10)
	for {
		n, err := v.watch.file.Read(buffer)
		if err != nil || ctx.Err() != nil {
			return
		}
		paths, all := v.name(buffer[:n])
		if all {
			paths = nil
		} else if len(paths) == 0 {
			continue
		}
		select {
		case touched <- paths:
		case <-ctx.Done():
			return
		}
	}
}

// name gives the paths of raw events; all is whether the kernel has dropped some.
func (v *Volume) name(raw []byte) (paths []string, all bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	last := ""
	for len(raw) >= unix.SizeofInotifyEvent {
		wd, mask := int32(binary.NativeEndian.Uint32(raw)), binary.NativeEndian.Uint32(raw[4:])
		size := int(binary.NativeEndian.Uint32(raw[12:]))
		base := strings.TrimRight(string(raw[unix.SizeofInotifyEvent:unix.SizeofInotifyEvent+size]), "\x00")
		raw = raw[unix.SizeofInotifyEvent+size:]
		all = all || mask&unix.IN_Q_OVERFLOW != 0
		f := v.watch.by[wd]
		if f == nil {
			continue
		}
		if mask&unix.IN_IGNORED != 0 { // the folder is gone, or the kernel gave it up
			delete(v.watch.by, wd)
			f.wd = 0
			v.watch.left++
		}
		path := f.path
		if base != "" {
			path = join(f.path, base)
		}
		if path != last && !v.refuses(path) {
			paths = append(paths, path)
		}
		last = path
	}
	return paths, all
}
