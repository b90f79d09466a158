package volume

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// most is how many names are told at once.
const most = 512

// say adds to what is told; the lock is held from the look to the flush, so that an older look is never told
// after a newer one.
func (v *Volume) say(told Told) {
	v.batch = append(v.batch, told)
	if len(v.batch) >= most {
		v.flush()
	}
}

func (v *Volume) flush() {
	if len(v.batch) > 0 && v.tell != nil {
		v.tell(v.batch)
	}
	v.batch = nil
}

// isHidden is whether a name is not ours to tell or to change.
func (v *Volume) isHidden(name, base string) bool {
	return strings.HasPrefix(base, Part) || v.hidden.Match(name)
}

// refuses is whether a path, or a folder that it is in, is hidden.
func (v *Volume) refuses(name string) bool {
	for ; name != "."; name, _ = split(name) {
		if _, base := split(name); v.isHidden(name, base) {
			return true
		}
	}
	return false
}

// Look looks at paths, and at all that is in a folder which was not known.
func (v *Volume) Look(ctx context.Context, paths ...string) error {
	var fresh []string
	v.mu.Lock()
	for _, name := range paths {
		if isNew, err := v.look(name); err == nil && isNew {
			fresh = append(fresh, name)
		}
	}
	v.flush()
	v.mu.Unlock()
	return v.walk(ctx, fresh, false)
}

// look looks at one name and tells it where it is not what it was; fresh is whether it is a folder that has
// to be walked. The lock is held.
func (v *Volume) look(name string) (fresh bool, err error) {
	if name == "." {
		return false, v.lookAtRoot()
	}
	parent, base := split(name)
	if v.refuses(name) {
		return false, errPath
	}
	var item Item
	at, err := v.open(parent)
	if err == nil {
		defer func() { _ = unix.Close(at) }()
		item, err = v.see(at, name, base)
	}
	if err != nil && !gone(err) {
		return false, err
	}
	above := v.folders[parent]
	if above != nil && !above.note(base, item) && (item.Kind == Dir) == (v.folders[name] != nil) {
		return false, nil
	}
	return v.found(name, item), nil
}

// found tells an item; true for a folder that was not known.
func (v *Volume) found(name string, item Item) (fresh bool) {
	known := v.folders[name]
	if known != nil && (item.Kind != Dir || item.Inode != known.inode) {
		v.forget(name)
		v.say(Told{Path: name})
		known = nil
	}
	v.say(Told{Path: name, Item: item})
	if item.Kind != Dir || known != nil {
		return false
	}
	v.begin(name, item.Inode)
	return true
}

func gone(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}

func (v *Volume) lookAtRoot() error {
	var st unix.Stat_t
	if err := unix.Fstat(v.root, &st); err != nil {
		return err
	}
	if st.Nlink == 0 {
		return errGone
	}
	item := v.owners.shown(describe(&st))
	if print := item.print(); print != v.top {
		v.top = print
		v.say(Told{Path: ".", Item: item})
	}
	if v.folders["."] == nil {
		v.begin(".", item.Inode)
	}
	return nil
}

// walk looks at all that is in some folders; deep: also in those that were known before.
func (v *Volume) walk(ctx context.Context, queue []string, deep bool) error {
	for len(queue) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		name := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		v.mu.Lock()
		found, err := v.list(name, deep)
		v.flush()
		v.mu.Unlock()
		if err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
		queue = append(queue, found...)
	}
	return nil
}

// list looks at each name in a folder and gives the folders that come next.
func (v *Volume) list(name string, deep bool) (next []string, err error) {
	f := v.folders[name]
	if f == nil {
		return nil, nil
	}
	at, err := v.open(name)
	if err != nil {
		return nil, v.shut(name, err)
	}
	defer func() { _ = unix.Close(at) }()
	v.watch.add(f, at)
	names, err := readNames(at)
	if err != nil {
		return nil, v.shut(name, err)
	}
	marks := make([]mark, 0, len(names))
	shown := make([]string, 0, len(names))
	for _, base := range names {
		path := join(name, base)
		if v.isHidden(path, base) {
			v.clean(at, base)
			continue
		}
		item, err := v.see(at, path, base)
		if err != nil {
			item = Item{Kind: Other}
		}
		if item.Kind == None {
			continue
		}
		shown = append(shown, base)
		marks = append(marks, mark{hashName(base), item.print()})
		if v.seen(f, path, base, item) || deep && item.Kind == Dir {
			next = append(next, path)
		}
	}
	slices.SortFunc(marks, byName)
	if missing(f.marks, marks) {
		v.vanish(f, shown)
	}
	f.marks = marks
	return next, nil
}

// see is stat for what is to be told: a folder that can't be read never travels, or its files would be taken
// for deleted.
func (v *Volume) see(at int, name, base string) (Item, error) {
	if v.owners.share != nil {
		var st unix.Stat_t
		if unix.Fstatat(at, base, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && !v.owners.fits(&st) && !v.mounted[name] {
			v.fit(at, base, &st)
		}
	}
	item, err := v.stat(at, name, base)
	if item.Kind != Dir || v.folders[name] != nil {
		return item, err
	}
	fd, err := unix.Openat(at, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if gone(err) {
		return v.stat(at, name, base)
	}
	if err != nil {
		item.Kind = Other
		return item, nil
	}
	_ = unix.Close(fd)
	return item, nil
}

// seen tells a listed item where it is not what it was; true for a folder that was not known.
func (v *Volume) seen(f *folder, path, base string, item Item) (fresh bool) {
	at, known := f.find(base)
	if known && f.marks[at].print == item.print() && (item.Kind == Dir) == (v.folders[path] != nil) {
		return false
	}
	return v.found(path, item)
}

// missing is whether a name of before is not there now.
func missing(before, now []mark) bool {
	for _, old := range before {
		if _, found := slices.BinarySearchFunc(now, old, byName); !found {
			return true
		}
	}
	return false
}

// vanish tells which names are left in a folder.
func (v *Volume) vanish(f *folder, names []string) {
	v.say(Told{Path: f.path, Listing: true, Names: names})
	left := make(map[string]bool, len(names))
	for _, base := range names {
		left[join(f.path, base)] = true
	}
	for _, below := range slices.Clone(f.below) {
		if !left[below.path] {
			v.forget(below.path)
		}
	}
}

// shut is for a folder that can't be read any more.
func (v *Volume) shut(name string, err error) error {
	if name == "." {
		return err
	}
	if !gone(err) {
		v.forget(name)
		_, err = v.look(name)
		return err
	}
	return nil // its own folder tells it
}

func readNames(at int) ([]string, error) {
	fd, err := unix.Openat(at, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	dir := os.NewFile(uintptr(fd), ".")
	defer func() { _ = dir.Close() }()
	return dir.Readdirnames(-1)
}

// clean removes what a former life has left half made.
func (v *Volume) clean(at int, base string) {
	if !v.cleaned && v.writable && strings.HasPrefix(base, Part) && !strings.HasPrefix(base, v.parts) {
		if unix.Unlinkat(at, base, 0) != nil {
			_ = unix.Unlinkat(at, base, unix.AT_REMOVEDIR)
		}
	}
}
