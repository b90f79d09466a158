// Package wire carries one side of a live volume over a stream of bytes: the agent serves a Volume, the laptop
// uses it as if it were its own.
//
// The problem: thousands of small requests and a file of a gigabyte share one connection with a round trip of
// twenty milliseconds, and the agent has a few megabytes for it.
//
// Rules:
//   - many requests are under way at once, each with a number; what belongs together comes in order;
//   - what the agent sees is told before whatever is answered later, so that an answer never describes a
//     world that its reader does not know yet;
//   - each side's reading waits for files only, never for its own writing;
//   - what the agent gets in one frame is at most a megabyte, and bytes of a file go straight into it.
//
// A frame is a letter, a number (uint32) and a length (uint32), big-endian, then so many bytes.
package wire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"devcluster/agent/internal/sync/volume"
)

// Version is of the protocol; each side says its own first.
const Version = 1

// What one frame may hold: what the agent is sent, and what it sends (all names of a large folder).
const (
	maxRequest = 1 << 20
	maxAnswer  = 64 << 20
	enoughTold = 128 << 10 // bytes after which what is told goes into the next frame
)

// The letters of frames. Requests of the laptop:
const (
	begin  = 'B' // version, what is hidden
	digest = 'D' // path
	blocks = 'O' // path
	fetch  = 'F' // path, the blocks that are there
	apply  = 'A' // change
	stage  = 'S' // change
	commit = 'C' // item
	drop   = 'X' // ends a stage or a fetch
	rescan = 'R'
)

// What the agent says:
const (
	hello   = 'H' // version, identity, whether it may write
	told    = 'T' // what is there
	scanned = 'E' // all that was there is told
	lacks   = 'L' // why not everything is watched
	done    = 'K' // item, digest, of blocks: their digests
	failed  = 'Z' // kind of error, number, text
)

// What both say:
const (
	again = 'N' // item: a file's bytes follow, from its first
	data  = 'W'
	keep  = 'G' // so many bytes are those of the file that is there
)

type frame struct {
	letter byte
	id     uint32
	body   []byte
}

// ErrLink is for what was under way when the connection ended: whether it was done is not known.
var ErrLink = errors.New("the connection to the pod has ended")

// reader reads frames; a body is good until the next one.
type reader struct {
	in   *bufio.Reader
	most uint32
	body []byte
}

func newReader(from io.Reader, most uint32) *reader {
	return &reader{in: bufio.NewReaderSize(from, 32<<10), most: most}
}

func (r *reader) next() (frame, error) {
	var head [9]byte
	if _, err := io.ReadFull(r.in, head[:]); err != nil {
		return frame{}, err
	}
	size := binary.BigEndian.Uint32(head[5:])
	if size > r.most {
		return frame{}, fmt.Errorf("a frame of %d bytes", size)
	}
	if int(size) > cap(r.body) {
		r.body = make([]byte, size)
	}
	_, err := io.ReadFull(r.in, r.body[:size])
	return frame{head[0], binary.BigEndian.Uint32(head[1:]), r.body[:size]}, err
}

// writer writes whole frames from several goroutines, and hands on what it has once nobody waits to add to it.
type writer struct {
	mu      sync.Mutex
	out     *bufio.Writer
	waiting atomic.Int32
	err     error
}

func newWriter(to io.Writer) *writer { return &writer{out: bufio.NewWriterSize(to, 32<<10)} }

func (w *writer) send(letter byte, id uint32, body []byte) error {
	w.waiting.Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	last := w.waiting.Add(-1) == 0
	if w.err != nil {
		return w.err
	}
	head := append(make([]byte, 0, 9), letter)
	head = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(head, id), uint32(len(body)))
	_, w.err = w.out.Write(head)
	if w.err == nil {
		_, w.err = w.out.Write(body)
	}
	if w.err == nil && last {
		w.err = w.out.Flush()
	}
	return w.err
}

// Kinds of an error.
const (
	isChanged = 'c'
	isBusy    = 'b'
	isErrno   = 'n'
	isText    = 't'
)

func appendError(to []byte, err error) []byte {
	var errno unix.Errno
	switch {
	case errors.Is(err, volume.ErrChanged):
		to = append(to, isChanged, 0)
	case errors.Is(err, volume.ErrBusy):
		to = append(to, isBusy, 0)
	case errors.As(err, &errno):
		to = binary.AppendUvarint(append(to, isErrno), uint64(errno))
	default:
		to = append(to, isText, 0)
	}
	return volume.AppendText(to, err.Error())
}

func parseError(body []byte) error {
	d := volume.Decode(body)
	kind, number, text := d.Byte(), d.Number(), d.Text()
	if err := d.Err(); err != nil {
		return err
	}
	switch kind {
	case isChanged:
		return volume.ErrChanged
	case isBusy:
		return volume.ErrBusy
	case isErrno:
		return unix.Errno(number)
	}
	return errors.New(text)
}

func appendDigests(to []byte, all []volume.Digest) []byte {
	for _, one := range all {
		to = append(to, one[:]...)
	}
	return to
}

func parseDigests(d *volume.Decoder) (all []volume.Digest) {
	for d.More() {
		all = append(all, d.Digest())
	}
	return all
}

func appendTold(to []byte, one volume.Told) []byte {
	to = volume.AppendText(to, one.Path)
	if !one.Listing {
		return one.Item.Append(append(to, 0))
	}
	to = binary.AppendUvarint(append(to, 1), uint64(len(one.Names)))
	for _, name := range one.Names {
		to = volume.AppendText(to, name)
	}
	return to
}

func parseTold(body []byte) (all []volume.Told, err error) {
	d := volume.Decode(body)
	for d.More() {
		one := volume.Told{Path: d.Text(), Listing: d.Byte() == 1}
		if !one.Listing {
			one.Item = d.Item()
		} else {
			for left := d.Number(); left > 0 && d.More(); left-- {
				one.Names = append(one.Names, d.Text())
			}
		}
		all = append(all, one)
	}
	return all, d.Err()
}

func appendChange(to []byte, change volume.Change) []byte {
	to = append(volume.AppendText(to, change.Path), byte(change.Verb))
	return change.Source.Append(volume.AppendText(change.Expect.Append(change.Item.Append(to)), change.From))
}

func parseChange(body []byte) (change volume.Change, err error) {
	d := volume.Decode(body)
	change.Path, change.Verb = d.Text(), volume.Verb(d.Byte())
	change.Item, change.Expect, change.From, change.Source = d.Item(), d.Item(), d.Text(), d.Item()
	return change, d.Err()
}
