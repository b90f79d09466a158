package volume

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// ErrChanged is for a name that is not what the other side had in mind. What it is, is told.
var ErrChanged = errors.New("it has changed")

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
