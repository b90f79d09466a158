package volume

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// grace is how long what was replaced is kept, for whoever had opened it and writes only then.
const grace = 100 * time.Millisecond

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
