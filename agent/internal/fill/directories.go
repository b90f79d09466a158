package fill

import (
	"archive/tar"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"golang.org/x/sys/unix"
)

// directory makes one that its readers can use at once: what is in it may be led to before all is done.
func (f *filler) directory(base string, header *tar.Header) error {
	info, err := f.parent.Lstat(base)
	if err == nil && info.IsDir() {
		return nil
	}
	if err == nil {
		if err := f.parent.Remove(base); err != nil {
			return err
		}
	}
	if err := f.parent.Mkdir(base, 0o700); err != nil {
		return err
	}
	if err := unix.Fchownat(f.fd(), base, header.Uid, header.Gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("owner %d:%d: %w", header.Uid, header.Gid, err)
	}
	return unix.Fchmodat(f.fd(), base, uint32(header.Mode)&0o7777|0o700, 0)
}

// finish gives the directories what they shall have, the deepest first.
func (f *filler) finish() error {
	f.leave()
	names := slices.Collect(maps.Keys(f.directories))
	for name := range f.kept {
		if _, named := f.directories[name]; !named {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return len(b) - len(a) })
	for _, name := range names {
		if err := f.finishDirectory(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%q: %w", name, err)
		}
	}
	return nil
}

func (f *filler) finishDirectory(name string) error {
	file, err := f.root.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	header, named := f.directories[name]
	if !named {
		return setTime(int(file.Fd()), ".", f.kept[name])
	}
	if err := file.Chown(header.Uid, header.Gid); err != nil {
		return fmt.Errorf("owner %d:%d: %w", header.Uid, header.Gid, err)
	}
	if err := unix.Fchmod(int(file.Fd()), uint32(header.Mode)&0o7777); err != nil {
		return fmt.Errorf("mode: %w", err)
	}
	return setTime(int(file.Fd()), ".", header.ModTime)
}
