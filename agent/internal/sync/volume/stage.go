package volume

import (
	"context"
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
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return s.file.Truncate(0)
}

func (s *Staged) Write(data []byte) (int, error) { return s.file.Write(data) }

// Drop ends it without a trace.
func (s *Staged) Drop() {
	_ = s.file.Close()
	discard(s.at, s.part)
	_ = unix.Close(s.at)
}

// Commit gives it owner, mode and time, puts it in its place and gives what the name is then.
func (s *Staged) Commit(ctx context.Context, want Item) (Item, error) {
	s.change.Item = want
	err := s.file.Close()
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
