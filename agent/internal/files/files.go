// Package files tells and sends a tree of files: the pod's volumes to the
// laptop, and on the laptop the private copy back to who compares it.
//
// The problem: a volume has thousands of small files, belongs to a running
// application, and may hold what nobody expects: names that are no UTF-8,
// links to outside, sockets, files that change while they are read.
//
// Rules:
//   - nothing outside the root is read: links are told, never followed, and
//     the root is opened once (os.Root), so that a directory that becomes a
//     link meanwhile leads nowhere;
//   - one pass, one entry in memory: a tree of any size streams;
//   - what can't be had is left out and named, and is no error; what vanishes while
//     it is read was never there;
//   - only names and numbers are told, never a content, in errors too.
//
// The naive way, SFTP file by file, takes three round trips for each file.
package files

import (
	"encoding/base64"
	"errors"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"unicode/utf8"
)

// Entry is one name in a tree, as its JSON line.
type Entry struct {
	// Path is relative to the root, "." for the root itself, which may be a
	// single file. A path that is
	// not UTF-8 stands in Path64 instead.
	Path   string `json:"path,omitempty"`
	Path64 string `json:"path64,omitempty"`
	// Type is f(ile), d(irectory), l(ink), h(ard link to an entry before it),
	// p(ipe); s(ocket), b and c (devices), which are only told.
	Type    string `json:"type"`
	Mode    uint32 `json:"mode"`
	UID     uint32 `json:"uid"`
	GID     uint32 `json:"gid"`
	Size    int64  `json:"size"`
	MtimeNS int64  `json:"mtime_ns"`
	// Link is a symbolic link's target, or a hard link's first path.
	Link   string `json:"link,omitempty"`
	Link64 string `json:"link64,omitempty"`
	// Disk is how much of Size is on disk, where that is notably less.
	Disk *int64 `json:"disk,omitempty"`
	// LeftOut is why the content of this name does not travel: socket, device,
	// unreadable.
	LeftOut string `json:"left_out,omitempty"`

	name string // Path, whatever its bytes
	link string
}

// Name is the path as it is, UTF-8 or not.
func (e *Entry) Name() string { return e.name }

// Scan tells the tree below root in walk order, each directory before what is
// in it and names sorted; without what an exclude pattern matches, and all below
// it. An error ends it.
func Scan(root string, exclude []string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		tree, err := open(root, exclude)
		if err != nil {
			yield(Entry{}, err)
			return
		}
		defer tree.close()
		see := func(_ place, e Entry) error { return told(yield(e, nil)) }
		if err := tree.walk(tree.at("."), see); err != nil && err != errEnough {
			yield(Entry{}, err)
		}
	}
}

// Part begins the name of a file that is being written: there is none yet.
const Part = ".devcluster-part-"

// errEnough ends a walk because the listener has gone.
var errEnough = errors.New("enough")

func told(more bool) error {
	if more {
		return nil
	}
	return errEnough
}

// tree is an opened root and what a walk through it must remember.
type tree struct {
	root  *os.Root
	base  string // "." or, of a root that is one file or can't be read, its name in root
	skip  Globs
	first map[inode]string // of files with several names
}

type inode struct{ device, number uint64 }

func open(root string, exclude []string) (*tree, error) {
	skip, err := Compile(exclude)
	if err != nil {
		return nil, err
	}
	base := "."
	// A subPath mounts a single file too: then the tree is its "." alone.
	if info, err := os.Stat(root); err == nil && !info.IsDir() {
		root, base = filepath.Split(filepath.Clean(root))
	}
	opened, err := os.OpenRoot(root)
	if errors.Is(err, fs.ErrPermission) && base == "." { // not the application's to read: told, and empty
		parent, name := filepath.Split(filepath.Clean(root))
		if opened, err = os.OpenRoot(parent); err == nil {
			base = name
		}
	}
	if err != nil {
		return nil, err
	}
	return &tree{root: opened, base: base, skip: skip, first: map[inode]string{}}, nil
}

func (t *tree) close() { _ = t.root.Close() }

// place is a name by the opened directory it is in: a path from the root would
// be resolved anew, step by step, for each file.
type place struct {
	dir  *os.Root
	base string
	name string // from the root
}

func (t *tree) at(name string) place {
	if name == "." {
		return place{t.root, t.base, name}
	}
	return place{t.root, name, name}
}

// walk calls see for a place and all below it.
func (t *tree) walk(at place, see func(place, Entry) error) error {
	if at.name != "." && (t.base != "." || strings.HasPrefix(at.base, Part) || t.skip.Match(at.name)) {
		return nil
	}
	entry, ok, err := t.entry(at)
	if err != nil || !ok {
		return err
	}
	if entry.Type != "d" {
		return see(at, entry)
	}
	dir, names, err := enter(at)
	if err != nil {
		if vanished(err) {
			return nil
		}
		entry.LeftOut = unreadable
		return see(at, entry)
	}
	defer dir.Close()
	if err := see(at, entry); err != nil {
		return err
	}
	for _, base := range names {
		if err := t.walk(place{dir, base, path.Join(at.name, base)}, see); err != nil {
			return err
		}
	}
	return nil
}

func enter(at place) (*os.Root, []string, error) {
	dir, err := at.dir.OpenRoot(at.base)
	if err != nil {
		return nil, nil, err
	}
	names, err := list(dir)
	if err != nil {
		_ = dir.Close()
		return nil, nil, err
	}
	return dir, names, nil
}

func list(dir *os.Root) ([]string, error) {
	opened, err := dir.Open(".")
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	names, err := opened.Readdirnames(-1)
	sort.Strings(names)
	return names, err
}

// vanished is what a name that was just read can bring: it is gone, or has
// become something else.
func vanished(err error) bool {
	for _, known := range []error{fs.ErrNotExist, syscall.ENOTDIR, syscall.ELOOP, syscall.ESTALE} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// entry describes one place; ok is false where nothing is there any more.
func (t *tree) entry(at place) (entry Entry, ok bool, err error) {
	info, err := at.dir.Lstat(at.base)
	if err != nil {
		return Entry{}, false, unless(err)
	}
	entry = describe(at.name, info)
	switch entry.Type {
	case "l":
		target, err := at.dir.Readlink(at.base)
		if err != nil {
			return Entry{}, false, unless(err)
		}
		entry.setLink(target)
	case "f":
		t.hardLink(&entry, info)
		at.examine(&entry, info.Sys().(*syscall.Stat_t))
	}
	return entry, true, nil
}

// unless is an error that has a name of its own; the file system as a whole is
// broken then.
func unless(err error) error {
	if vanished(err) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}

// examine opens a file that may be unreadable or have holes, to be certain.
func (at place) examine(entry *Entry, stat *syscall.Stat_t) {
	full := stat.Blocks*512 > stat.Size-worth
	readable := stat.Mode&0o444 == 0o444 || stat.Mode&0o400 != 0 && int(stat.Uid) == os.Geteuid()
	if entry.Type != "f" || full && readable {
		return
	}
	file, err := at.open()
	if err != nil {
		entry.LeftOut = unreadable
		return
	}
	defer file.Close()
	if _, disk, sparse := holes(file, stat.Size, stat.Blocks); sparse {
		entry.Disk = &disk
	}
}

func (at place) open() (*os.File, error) {
	return at.dir.OpenFile(at.base, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
}

// hardLink makes the second and later names of a file links to the first.
func (t *tree) hardLink(entry *Entry, info fs.FileInfo) {
	stat := info.Sys().(*syscall.Stat_t)
	if stat.Nlink < 2 {
		return
	}
	id := inode{uint64(stat.Dev), stat.Ino}
	first, known := t.first[id]
	if !known {
		t.first[id] = entry.name
		return
	}
	if first != entry.name {
		entry.Type, entry.Size = "h", 0
		entry.setLink(first)
	}
}

const unreadable = "unreadable"

func describe(name string, info fs.FileInfo) Entry {
	stat := info.Sys().(*syscall.Stat_t)
	entry := Entry{Mode: stat.Mode & 0o7777, UID: stat.Uid, GID: stat.Gid, MtimeNS: stat.Mtim.Nano(), name: name}
	entry.Path, entry.Path64 = text(name)
	switch stat.Mode & syscall.S_IFMT {
	case syscall.S_IFREG:
		entry.Type, entry.Size = "f", stat.Size
	case syscall.S_IFDIR:
		entry.Type = "d"
	case syscall.S_IFLNK:
		entry.Type = "l"
	case syscall.S_IFIFO:
		entry.Type = "p"
	case syscall.S_IFSOCK:
		entry.Type, entry.LeftOut = "s", "socket"
	case syscall.S_IFBLK:
		entry.Type, entry.LeftOut = "b", "device"
	default:
		entry.Type, entry.LeftOut = "c", "device"
	}
	return entry
}

func (e *Entry) setLink(target string) {
	e.link = target
	e.Link, e.Link64 = text(target)
}

// text gives a name as itself or as base64.
func text(name string) (plain, coded string) {
	if utf8.ValidString(name) {
		return name, ""
	}
	return "", base64.StdEncoding.EncodeToString([]byte(name))
}
