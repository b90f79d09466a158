package volume

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// ErrChanged is for a name that is not what the other side had in mind. What it is, is told.
var ErrChanged = errors.New("it has changed")

// grace is how long what was replaced is kept, for whoever had opened it and writes only then.
const grace = 100 * time.Millisecond

// Verb is what a change does.
type Verb byte

// The verbs of a Change.
const (
	Make   Verb = 'm' // a folder, a symbolic link or a pipe; a file is made by Stage
	Tie    Verb = 't' // a hard link to From
	Copy   Verb = 'c' // a file with the bytes of From
	Dress  Verb = 'd' // owner, mode and a file's time
	Remove Verb = 'r'
)

// Change is one change of one name.
type Change struct {
	Path   string
	Verb   Verb
	Item   Item   // what it shall be
	Expect Item   // what it is; otherwise nothing is changed
	From   string // of Tie and Copy
	Source Item   // what From is; otherwise nothing is changed
}

var parts atomic.Uint64

func (v *Volume) newPart() string { return fmt.Sprintf("%s%x", v.parts, parts.Add(1)) }

// enter opens the folder of a name that may be changed.
func (v *Volume) enter(name string) (at int, base string, err error) {
	parent, base := split(name)
	switch {
	case !v.writable:
		return -1, "", unix.EROFS
	case !clean(name) || v.refuses(name) || v.mounted[name]:
		return -1, "", errPath
	}
	at, err = v.open(parent)
	if gone(err) {
		err = ErrChanged
	}
	return at, base, err
}

// Apply makes a change and gives what the name is then.
func (v *Volume) Apply(ctx context.Context, change Change) (Item, error) {
	at, base, err := v.enter(change.Path)
	if err != nil {
		return Item{}, err
	}
	defer func() { _ = unix.Close(at) }()
	item, err := v.change(ctx, at, base, change)
	// Told before it is answered: who waits for the answer knows then what is there.
	if looked := v.Look(ctx, change.Path); err == nil {
		err = looked
	}
	return item, err
}

func (v *Volume) change(ctx context.Context, at int, base string, change Change) (Item, error) {
	switch change.Verb {
	case Make:
		return v.create(ctx, at, base, change)
	case Tie:
		return v.tie(ctx, at, base, change)
	case Copy:
		return v.copy(ctx, change)
	case Dress:
		return v.dressInPlace(at, base, change)
	case Remove:
		return Item{}, v.remove(ctx, at, base, change)
	}
	return Item{}, unix.EINVAL
}

func (v *Volume) create(ctx context.Context, at int, base string, change Change) (Item, error) {
	part, err := v.newPart(), error(nil)
	mode := change.Item.Mode
	switch change.Item.Kind {
	case Dir: // what comes into it comes before its own mode, which may forbid it
		err, mode = unix.Mkdirat(at, part, 0o700), mode|0o700
	case Link:
		err = unix.Symlinkat(change.Item.Link, at, part)
	case Pipe:
		err = unix.Mkfifoat(at, part, 0o600)
	default:
		err = unix.EINVAL
	}
	if err != nil {
		return Item{}, err
	}
	if change.Item.Kind == Link {
		err = v.own(at, part, change)
	} else {
		err = v.ownWithMode(at, part, change, mode)
	}
	if err != nil {
		discard(at, part)
		return Item{}, err
	}
	return v.place(ctx, at, base, part, change)
}

func (v *Volume) tie(ctx context.Context, at int, base string, change Change) (Item, error) {
	from, fromBase, err := v.enter(change.From)
	if err != nil {
		return Item{}, err
	}
	defer func() { _ = unix.Close(from) }()
	now, err := v.stat(from, change.From, fromBase)
	if err != nil {
		return Item{}, err
	}
	if !now.survived(change.Source) {
		return Item{}, ErrChanged
	}
	part := v.newPart()
	if err := unix.Linkat(from, fromBase, at, part, 0); err != nil {
		return Item{}, err
	}
	item, err := v.place(ctx, at, base, part, change)
	if err == nil { // the other name has one more beside it
		err = v.Look(ctx, change.From)
	}
	return item, err
}

// copy makes a file out of one that is there: what was renamed on the other side need not travel.
func (v *Volume) copy(ctx context.Context, change Change) (Item, error) {
	staged, err := v.Stage(change)
	if err != nil {
		return Item{}, err
	}
	now, _, err := v.Fetch(ctx, change.From, nil, staged)
	if err == nil && now != change.Source {
		err = ErrChanged
	}
	if err != nil {
		staged.Drop()
		return Item{}, err
	}
	return staged.Commit(ctx, change.Item)
}

// dressInPlace changes what a name has, not what it is.
func (v *Volume) dressInPlace(at int, base string, change Change) (Item, error) {
	now, err := v.stat(at, change.Path, base)
	if err != nil {
		return Item{}, err
	}
	if now != change.Expect {
		return Item{}, ErrChanged
	}
	want := change.Item
	if want.UID != NoOwner && (now.UID != want.UID || now.GID != want.GID) {
		if err := v.chown(at, base, want.UID, want.GID); err != nil {
			return Item{}, err
		}
		now.Mode = ^want.Mode // a change of owner clears bits
	}
	if now.Kind != Link && now.Mode != want.Mode {
		if err := unix.Fchmodat(at, base, v.owners.real(want.Kind, want.Mode), 0); err != nil {
			return Item{}, err
		}
	}
	if now.Kind == File && now.Mtime != want.Mtime {
		if err := setTime(at, base, want.Mtime); err != nil {
			return Item{}, err
		}
	}
	return v.stat(at, change.Path, base)
}

func setTime(at int, base string, mtime int64) error {
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, unix.NsecToTimespec(mtime)}
	return unix.UtimesNanoAt(at, base, times, unix.AT_SYMLINK_NOFOLLOW)
}

func discard(at int, part string) {
	if unix.Unlinkat(at, part, 0) != nil {
		_ = unix.Unlinkat(at, part, unix.AT_REMOVEDIR)
	}
}

func (v *Volume) remove(ctx context.Context, at int, base string, change Change) error {
	now, err := v.stat(at, change.Path, base)
	if err != nil || now.Kind == None {
		return err
	}
	if change.Expect.Kind == Dir {
		if now.Kind != Dir || now.Inode != change.Expect.Inode {
			return ErrChanged
		}
		return occupied(unix.Unlinkat(at, base, unix.AT_REMOVEDIR))
	}
	if now != change.Expect {
		return ErrChanged
	}
	part := v.newPart()
	if err := rename(at, base, part, unix.RENAME_NOREPLACE); err != nil {
		return err
	}
	if err := v.Look(ctx, change.Path); err != nil {
		return err
	}
	if !v.untouched(ctx, at, part, change.Expect) {
		if rename(at, part, base, unix.RENAME_NOREPLACE) != nil { // there is a newer one
			discard(at, part)
		}
		return ErrChanged
	}
	discard(at, part)
	return nil
}

// occupied: what came into a folder since keeps it.
func occupied(err error) error {
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST) {
		return ErrChanged
	}
	return err
}

// rename is renameat2, and rename where the file system has no other.
func rename(at int, from, to string, flags uint) error {
	err := unix.Renameat2(at, from, at, to, flags)
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) {
		return err
	}
	if flags == unix.RENAME_NOREPLACE {
		var st unix.Stat_t
		if unix.Fstatat(at, to, &st, unix.AT_SYMLINK_NOFOLLOW) == nil {
			return unix.EEXIST
		}
		return unix.Renameat(at, from, at, to)
	}
	return err
}

// place puts a part where it belongs, in one step, if there is what the change expects; else the part goes.
func (v *Volume) place(ctx context.Context, at int, base, part string, change Change) (Item, error) {
	made, err := v.stat(at, change.Path, part)
	if err != nil {
		discard(at, part)
		return Item{}, err
	}
	switch change.Expect.Kind {
	case None:
		err = occupied(rename(at, part, base, unix.RENAME_NOREPLACE))
	case Dir:
		if err = occupied(unix.Unlinkat(at, base, unix.AT_REMOVEDIR)); err == nil {
			err = occupied(rename(at, part, base, unix.RENAME_NOREPLACE))
		}
	default:
		return v.exchange(ctx, at, base, part, made, change)
	}
	if err != nil {
		discard(at, part)
		return Item{}, err
	}
	return v.placed(made, change)
}

// placed gives what the name is now, if it still is what was made: asked by its path, for the folder that was
// opened may be somewhere else by now, with what was put into it.
func (v *Volume) placed(made Item, change Change) (Item, error) {
	parent, base := split(change.Path)
	at, err := v.open(parent)
	if gone(err) {
		return Item{}, ErrChanged
	}
	if err != nil {
		return Item{}, err
	}
	defer func() { _ = unix.Close(at) }()
	now, err := v.stat(at, change.Path, base)
	if err == nil && !now.survived(made) {
		err = ErrChanged
	}
	return now, err
}

// exchange swaps a part with what is there, and swaps back if that was not what the change expects, or is
// still written to.
func (v *Volume) exchange(ctx context.Context, at int, base, part string, made Item, change Change) (Item, error) {
	now, err := v.stat(at, change.Path, base)
	if err == nil && now != change.Expect {
		err = ErrChanged
	}
	if err == nil && now.Kind == File { // what the application could not write is not ours to replace
		err = unix.Faccessat(at, base, unix.W_OK, unix.AT_EACCESS|unix.AT_SYMLINK_NOFOLLOW)
	}
	if err != nil {
		discard(at, part)
		return Item{}, err
	}
	err = rename(at, part, base, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		if err = unix.Renameat(at, part, at, base); err == nil {
			return v.placed(made, change)
		}
	}
	if err != nil {
		discard(at, part)
		return Item{}, err
	}
	after, failed := v.placed(made, change)
	if err := v.Look(ctx, change.Path); err != nil && failed == nil {
		failed = err
	}
	if failed == nil && !v.untouched(ctx, at, part, change.Expect) {
		v.giveBack(at, base, part, made)
		failed = ErrChanged
	}
	discard(at, part)
	return after, failed
}

// giveBack puts back what was taken, unless there is something newer by now.
func (v *Volume) giveBack(at int, base, part string, made Item) {
	if rename(at, part, base, unix.RENAME_EXCHANGE) != nil {
		return
	}
	if taken, err := v.stat(at, part, part); err != nil || !taken.survived(made) {
		_ = rename(at, part, base, unix.RENAME_EXCHANGE)
	}
}

// untouched waits a moment and is whether what was taken from its place is still what it was there.
func (v *Volume) untouched(ctx context.Context, at int, part string, expect Item) bool {
	first, err := v.stat(at, part, part)
	if err != nil || !first.survived(expect) {
		return false
	}
	if expect.Kind != File {
		return true
	}
	select {
	case <-ctx.Done():
	case <-time.After(grace):
	}
	last, err := v.stat(at, part, part)
	return err == nil && last.survived(expect)
}
