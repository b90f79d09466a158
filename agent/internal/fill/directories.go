package fill

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"golang.org/x/sys/unix"
)

func (f *filler) directory(base string) error {
	info, err := f.parent.Lstat(base)
	if err == nil && info.IsDir() {
		return nil
	}
	if err == nil {
		if err := f.parent.Remove(base); err != nil {
			return err
		}
	}
	return f.parent.Mkdir(base, 0o700)
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
