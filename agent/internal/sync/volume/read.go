package volume

import (
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	chunk = 64 << 10 // also the block of which a digest is taken
	tries = 3
	// tick is longer than the kernel's clock for times of files: what is older when reading begins gets
	// another time by whatever is written from then on.
	tick = 20 * time.Millisecond
)

// ErrBusy is for a file that is written again and again while it is read.
var ErrBusy = errors.New("it changes while it is read")

// Digest is of a file's bytes.
type Digest [16]byte

// SumDigest is the Digest of a whole SHA-256.
func SumDigest(sum hash.Hash) (digest Digest) {
	copy(digest[:], sum.Sum(nil))
	return digest
}

// Sink takes a file's bytes. Begin says what follows; it is called again where reading begins anew, and what came
// before is void. Keep stands for bytes that are the same in the file which the sink replaces.
type Sink interface {
	io.Writer
	Begin(item Item) error
	Keep(bytes int64) error
}

// Digest reads a file and gives what it was meanwhile.
func (v *Volume) Digest(ctx context.Context, name string) (Item, Digest, error) {
	return v.Fetch(ctx, name, nil, nowhere{io.Discard})
}

type nowhere struct{ io.Writer }

func (nowhere) Begin(Item) error { return nil }
func (nowhere) Keep(int64) error { return nil }

// Blocks reads a file and gives the digest of each 64 KiB of it.
func (v *Volume) Blocks(ctx context.Context, name string) ([]Digest, error) {
	var blocks blocks
	_, _, err := v.Fetch(ctx, name, nil, &blocks)
	return blocks.digests, err
}

// blocks is a Sink that gets whole blocks.
type blocks struct{ digests []Digest }

func (b *blocks) Begin(Item) error { b.digests = nil; return nil }
func (b *blocks) Keep(int64) error { return nil }

func (b *blocks) Write(block []byte) (int, error) {
	b.digests = append(b.digests, digestOf(block))
	return len(block), nil
}

func digestOf(block []byte) (digest Digest) {
	sum := sha256.Sum256(block)
	copy(digest[:], sum[:])
	return digest
}

// Fetch reads a file into sink and gives what it was meanwhile; have are the blocks that sink can keep. A file that
// only grew is as it was when reading began, and its Ctime is 0, so that it will be looked at again.
func (v *Volume) Fetch(ctx context.Context, name string, have []Digest, sink Sink) (Item, Digest, error) {
	file, err := v.openFile(name)
	if err != nil {
		return Item{}, Digest{}, v.unreadable(name, err)
	}
	defer func() { _ = file.Close() }()
	for range tries {
		item, digest, err := v.readOnce(ctx, file, have, sink)
		if err == nil { // what the other side does next, it does knowing at least this
			err = v.Look(ctx, name)
		}
		if !errors.Is(err, ErrBusy) {
			return item, digest, err
		}
	}
	return Item{}, Digest{}, ErrBusy
}

func (v *Volume) openFile(name string) (*os.File, error) {
	parent, base := split(name)
	if name == "." || !clean(name) || v.refuses(name) {
		return nil, errPath
	}
	at, err := v.open(parent)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(at) }()
	fd, err := unix.Openat(at, base, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), base), nil
}

// unreadable: what the user may not read is told as what never travels.
func (v *Volume) unreadable(name string, err error) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	defer v.flush()
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
		v.say(Told{Path: name, Item: Item{Kind: Other}})
		return ErrChanged
	}
	if gone(err) {
		_, _ = v.look(name)
		return ErrChanged
	}
	return err
}

func (v *Volume) readOnce(ctx context.Context, file *os.File, have []Digest, sink Sink) (Item, Digest, error) {
	before, err := v.settled(ctx, file)
	if err != nil {
		return Item{}, Digest{}, err
	}
	if err := sink.Begin(before); err != nil {
		return Item{}, Digest{}, err
	}
	sum := sha256.New()
	read, err := copyFile(ctx, io.MultiWriter(&sparing{sink, have}, sum), file, before.Size)
	if err != nil {
		return Item{}, Digest{}, err
	}
	digest := SumDigest(sum)
	after, err := v.fstat(file)
	if err != nil {
		return Item{}, Digest{}, err
	}
	if read == before.Size && after.SameContent(before) {
		return after, digest, nil
	}
	// It was written meanwhile. Where the same bytes are still there, all that came was put behind them.
	sum.Reset()
	again, err := copyFile(ctx, sum, file, before.Size)
	if err != nil {
		return Item{}, Digest{}, err
	}
	if again != before.Size || SumDigest(sum) != digest {
		return Item{}, Digest{}, ErrBusy
	}
	before.Ctime = 0
	return before, digest, nil
}

// sparing writes only the blocks that are others.
type sparing struct {
	sink Sink
	have []Digest
}

func (s *sparing) Write(block []byte) (int, error) {
	if len(s.have) == 0 {
		return s.sink.Write(block)
	}
	before := s.have[0]
	if s.have = s.have[1:]; before != digestOf(block) {
		return s.sink.Write(block)
	}
	return len(block), s.sink.Keep(int64(len(block)))
}

// settled waits until the last write is old enough to tell the next one from it.
func (v *Volume) settled(ctx context.Context, file *os.File) (Item, error) {
	item, err := v.fstat(file)
	if err != nil {
		return item, err
	}
	if item.Kind != File {
		return item, ErrChanged
	}
	if age := time.Since(time.Unix(0, item.Ctime)); age >= 0 && age < tick {
		select {
		case <-ctx.Done():
			return item, ctx.Err()
		case <-time.After(tick - age):
		}
	}
	return v.fstat(file)
}

func (v *Volume) fstat(file *os.File) (Item, error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return Item{}, err
	}
	var st unix.Stat_t
	if failed := raw.Control(func(fd uintptr) { err = unix.Fstat(int(fd), &st) }); failed != nil {
		err = failed
	}
	return v.owners.shown(describe(&st)), err
}

// copyFile copies the first size bytes, or as many as there are.
func copyFile(ctx context.Context, to io.Writer, file *os.File, size int64) (copied int64, err error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	buffer := make([]byte, min(chunk, size))
	for copied < size {
		if err := ctx.Err(); err != nil {
			return copied, err
		}
		n, err := io.ReadFull(file, buffer[:min(int64(len(buffer)), size-copied)])
		copied += int64(n)
		if _, failed := to.Write(buffer[:n]); failed != nil {
			return copied, failed
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return copied, err
		}
	}
	return copied, nil
}
