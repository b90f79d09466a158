package volume

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Staged is a file on its way: a Sink, and then Commit or Drop.
type Staged struct {
	volume *Volume
	change Change
	at     int
	base   string
	part   string
	file   *os.File
	old    *os.File // what it replaces, once something is kept of it
	offset int64
}

// Stage begins a file beside the name that it shall have. Of the change Path and Expect count.
func (v *Volume) Stage(change Change) (*Staged, error) {
	at, base, err := v.enter(change.Path)
	if err != nil {
		return nil, err
	}
	part := v.newPart()
	fd, err := unix.Openat(at, part, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		_ = unix.Close(at)
		return nil, err
	}
	return &Staged{volume: v, change: change, at: at, base: base, part: part, file: os.NewFile(uintptr(fd), part)}, nil
}

// Begin makes it empty.
func (s *Staged) Begin(Item) error {
	s.offset = 0
	return s.file.Truncate(0)
}

// zeros are a block of a hole.
var zeros = make([]byte, chunk)

// Write leaves holes where the file has them.
func (s *Staged) Write(data []byte) (int, error) {
	if bytes.Equal(data, zeros) {
		s.offset += int64(len(data))
		return len(data), nil
	}
	n, err := s.file.WriteAt(data, s.offset)
	s.offset += int64(n)
	return n, err
}

// Keep copies the next bytes from what it replaces. Whether that still is what the other side had in mind is seen
// when it is put in its place.
func (s *Staged) Keep(size int64) error {
	if s.old == nil {
		fd, err := unix.Openat(s.at, s.base, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if gone(err) {
			return ErrChanged
		}
		if err != nil {
			return err
		}
		s.old = os.NewFile(uintptr(fd), s.base)
	}
	_, err := s.old.Seek(s.offset, io.SeekStart)
	if err == nil {
		_, err = s.file.Seek(s.offset, io.SeekStart)
	}
	if err != nil {
		return err
	}
	kept, err := io.CopyN(s.file, s.old, size)
	s.offset += kept
	if errors.Is(err, io.EOF) {
		return ErrChanged
	}
	return err
}

func (s *Staged) close() error {
	if s.old != nil {
		_ = s.old.Close()
	}
	return s.file.Close()
}

// Drop ends it without a trace.
func (s *Staged) Drop() {
	_ = s.close()
	discard(s.at, s.part)
	_ = unix.Close(s.at)
}

// Commit gives it owner, mode and time, puts it in its place and gives what the name is then.
func (s *Staged) Commit(ctx context.Context, want Item) (Item, error) {
	s.change.Item = want
	err := errors.Join(s.file.Truncate(s.offset), s.close())
	if err == nil {
		err = s.dress()
	}
	if err != nil {
		discard(s.at, s.part)
		_ = unix.Close(s.at)
		return Item{}, err
	}
	item, err := s.volume.place(ctx, s.at, s.base, s.part, s.change)
	_ = unix.Close(s.at)
	if looked := s.volume.Look(ctx, s.change.Path); err == nil {
		err = looked
	}
	return item, err
}

func (s *Staged) dress() error {
	if err := setTime(s.at, s.part, s.change.Item.Mtime); err != nil {
		return err
	}
	return s.volume.ownWithMode(s.at, s.part, s.change, s.change.Item.Mode)
}
