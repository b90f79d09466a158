// Package volume is one side of a live volume: it tells what is in a folder and what changes there, reads
// files, and makes changes, on the laptop as in the pod.
//
// The problem: an application reads and writes the same folder at the same time. It must never see half a
// file, and nothing that it writes may get lost, whatever moment it chooses.
//
// Rules:
//   - nothing outside the root is touched: a path is walked step by step, never through a link or into
//     another mount;
//   - a change is told once, and only if it is one: of each name a number is kept, not the name;
//   - a file is read until it holds still; what only grows is read as it was when reading began;
//   - a change is made beside the name and put in its place in one step, only if what is there is what the
//     other side had in mind. What it replaces is looked at again a moment later: if somebody was still
//     writing into it, it is put back;
//   - what the user of this process could not write, it does not replace either.
//
// The naive way, comparing times and writing into the file, loses what is written between the two.
package volume

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"devcluster/agent/internal/files"
)

// Part begins the name of what is being made: hidden from both sides.
const Part = files.Part

// Told is a name as it is now, or all names that are in a folder: what else was known there is gone.
type Told struct {
	Path    string
	Item    Item
	Listing bool
	Names   []string
}

// Settings of a side.
type Settings struct {
	Exclude  []string
	Write    bool          // changes may be made
	NoOwners bool          // this side can't give files away
	Share    *Share        // this side is a user's own folder
	Watches  int           // at most so many folders are watched, the others looked at now and then
	Rescan   time.Duration // how often everything is looked at; 0: 30 s
	Tell     func([]Told)  // hears everything, in the order in which it was seen, and may not call back
}

// Volume is an opened side.
type Volume struct {
	path     string
	root     int
	hidden   files.Globs
	mounted  map[string]bool
	owners   owners
	writable bool
	parts    string // what this Volume's parts begin with
	rescan   time.Duration
	scans    sync.Mutex // one walk at a time

	mu      sync.Mutex   // what is told is told in the order in which it was seen
	tell    func([]Told) // there from the first look on: what was seen and not told is never told again
	batch   []Told
	folders map[string]*folder
	top     uint64 // the root's own print
	cleaned bool   // parts of a former life are gone
	watch   watcher
}

// Open opens the folder at path, which must be a real path.
func Open(path string, settings Settings) (*Volume, error) {
	hidden, err := files.Compile(settings.Exclude)
	if err != nil {
		return nil, err
	}
	root, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the volume: %w", err)
	}
	mounted, err := mountsBelow(path)
	if err != nil {
		_ = unix.Close(root)
		return nil, err
	}
	token := make([]byte, 4)
	_, _ = rand.Read(token)
	v := &Volume{
		path: path, root: root, hidden: hidden, mounted: mounted, owners: owners{settings.NoOwners, settings.Share}, rescan: settings.Rescan,
		tell: settings.Tell, parts: Part + hex.EncodeToString(token) + "-", folders: map[string]*folder{}, watch: newWatcher(settings.Watches),
	}
	if v.rescan <= 0 {
		v.rescan = 30 * time.Second
	}
	var fs unix.Statfs_t
	v.writable = settings.Write && unix.Fstatfs(root, &fs) == nil && fs.Flags&unix.ST_RDONLY == 0
	return v, nil
}

// Close ends it; Run must have returned.
func (v *Volume) Close() {
	v.watch.close()
	_ = unix.Close(v.root)
}

// Writable is whether changes may be made: the settings let us, and the mount does.
func (v *Volume) Writable() bool { return v.writable }

// Identity is another one for another volume: the inode of its root and when that was made.
func (v *Volume) Identity() (string, error) {
	var st unix.Stat_t
	var fs unix.Statfs_t
	if err := errors.Join(unix.Fstat(v.root, &st), unix.Fstatfs(v.root, &fs)); err != nil {
		return "", err
	}
	var more unix.Statx_t
	made := int64(0) // where the file system, or an old seccomp profile, does not tell
	if unix.Statx(v.root, "", unix.AT_EMPTY_PATH, unix.STATX_BTIME, &more) == nil && more.Mask&unix.STATX_BTIME != 0 {
		made = more.Btime.Sec*int64(time.Second) + int64(more.Btime.Nsec)
	}
	return fmt.Sprintf("%x-%x-%x", fs.Type, st.Ino, made), nil
}

// Run tells everything that is there, calls scanned, and tells each change until ctx ends.
func (v *Volume) Run(ctx context.Context, scanned func()) error {
	if err := v.Rescan(ctx); err != nil {
		return err
	}
	v.mu.Lock()
	v.cleaned = true
	v.mu.Unlock()
	scanned()
	return v.follow(ctx)
}

// Rescan looks at everything; when it returns, all that had changed before is told.
func (v *Volume) Rescan(ctx context.Context) error {
	v.scans.Lock()
	defer v.scans.Unlock()
	v.mu.Lock()
	err := v.lookAtRoot()
	v.flush()
	v.mu.Unlock()
	if err == nil {
		err = v.walk(ctx, []string{"."}, true)
	}
	return err
}

// Watching tells in words what is not watched; "" where everything is.
func (v *Volume) Watching() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.watch.lack
}

// errGone is the end of a volume whose folder was removed.
var errGone = errors.New("the volume's folder is gone")
