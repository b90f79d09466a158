// Package memory keeps what both sides of a live volume last had alike, so that a process that was killed, a
// laptop that slept and a pod that was replaced go on from there.
//
// The problem: it changes with every file, and it is needed after a death at any moment.
//
// Rules:
//   - a record is appended for each change, with its length and a checksum; what is not whole at the end was
//     never written;
//   - what is about to be put in its place is written down before: who died between the two finds out by the
//     file itself whether it happened;
//   - it is written anew, beside and renamed, once most of it is outdated;
//   - it belongs to one copy on the laptop and tells which volume of the pod it is about.
//
// The naive way, one document written after each round, is a megabyte for a byte.
package memory

import (
	"bufio"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"sync"

	"devcluster/agent/internal/sync/decide"
	"devcluster/agent/internal/sync/volume"
)

const (
	magic      = "devcluster sync 1\n"
	maxRecord  = 64 << 10
	slack      = 1000 // records that may be outdated whatever the size
	writeAhead = 64 << 10
)

// Known is what is remembered of one name.
type Known struct {
	Base   *decide.Base
	Coming *decide.Coming
}

// Memory is an opened file. Its methods may be called from any goroutine.
type Memory struct {
	mu      sync.Mutex
	path    string
	file    *os.File
	out     *bufio.Writer
	written int // records in the file
	laptop  string
	volume  string
	err     error
}

// Open reads the file at path. What it has of another copy on the laptop than this one is forgotten.
func Open(path, laptop string) (*Memory, map[string]Known, error) {
	m := &Memory{path: path, laptop: laptop}
	known := map[string]Known{}
	file, err := os.Open(path)
	if err == nil {
		err = m.read(file, known)
		_ = file.Close()
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	return m, known, m.Rewrite(m.volume, known)
}

// Volume is which of the pod's it is about; "" at first.
func (m *Memory) Volume() string { return m.volume }

// read gives what is whole.
func (m *Memory) read(file io.Reader, known map[string]Known) error {
	in := bufio.NewReaderSize(file, writeAhead)
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(in, head); err != nil || string(head) != magic {
		return nil
	}
	title, err := record(in)
	if err != nil || title == nil {
		return err
	}
	d := volume.Decode(title)
	laptop, name := d.Text(), d.Text()
	if d.Err() != nil || laptop != m.laptop {
		return nil
	}
	m.volume = name
	for {
		data, err := record(in)
		if err != nil || data == nil {
			return err
		}
		if !parse(data, known) {
			return nil
		}
	}
}

// record reads one; nil where none is whole.
func record(in *bufio.Reader) ([]byte, error) {
	var head [8]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return nil, unlessEnd(err)
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > maxRecord {
		return nil, nil
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(in, data); err != nil {
		return nil, unlessEnd(err)
	}
	if crc32.ChecksumIEEE(data) != binary.BigEndian.Uint32(head[4:]) {
		return nil, nil
	}
	return data, nil
}

func unlessEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// The kinds of a record.
const (
	isBase   = 'b'
	isMine   = 'm' // a base that the laptop wrote
	isComing = 'c'
	isGone   = 'g'
)

func parse(data []byte, known map[string]Known) bool {
	d := volume.Decode(data)
	kind, path := d.Byte(), d.Text()
	now := known[path]
	switch kind {
	case isBase, isMine:
		base := &decide.Base{Item: [2]volume.Item{d.Item(), d.Item()}, Digest: d.Digest(), Mine: kind == isMine}
		now = Known{Base: base}
	case isComing:
		now.Coming = &decide.Coming{To: decide.Side(d.Byte()), Source: d.Item(), Want: d.Item(), Digest: d.Digest()}
	case isGone:
		now = Known{}
	default:
		return false
	}
	if d.Err() != nil {
		return false
	}
	if known[path] = now; now == (Known{}) {
		delete(known, path)
	}
	return true
}

// Remember notes what both sides have alike; nil: nothing.
func (m *Memory) Remember(path string, base *decide.Base) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if base == nil {
		m.append(volume.AppendText([]byte{isGone}, path))
		return
	}
	m.append(appendBase(path, base))
}

func appendBase(path string, base *decide.Base) []byte {
	kind := byte(isBase)
	if base.Mine {
		kind = isMine
	}
	data := volume.AppendText([]byte{kind}, path)
	data = base.Item[decide.Laptop].Append(base.Item[decide.Pod].Append(data))
	return append(data, base.Digest[:]...)
}

// Expect notes what is about to be put in its place, and is written at once.
func (m *Memory) Expect(path string, coming decide.Coming) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.append(appendComing(path, &coming))
	return m.flush()
}

func appendComing(path string, coming *decide.Coming) []byte {
	data := append(volume.AppendText([]byte{isComing}, path), byte(coming.To))
	return append(coming.Want.Append(coming.Source.Append(data)), coming.Digest[:]...)
}

func (m *Memory) append(data []byte) {
	var head [8]byte
	binary.BigEndian.PutUint32(head[:], uint32(len(data)))
	binary.BigEndian.PutUint32(head[4:], crc32.ChecksumIEEE(data))
	_, first := m.out.Write(head[:])
	_, second := m.out.Write(data)
	m.err = errors.Join(m.err, first, second)
	m.written++
}

// Flush hands what was noted to the kernel.
func (m *Memory) Flush() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.flush()
}

func (m *Memory) flush() error {
	m.err = errors.Join(m.err, m.out.Flush())
	return m.err
}

// Outdated is whether most of the file is, where so many names are known.
func (m *Memory) Outdated(names int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.written > 2*names+slack
}

// Rewrite writes all that is known anew, about this volume of the pod.
func (m *Memory) Rewrite(pod string, known map[string]Known) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	file, err := os.OpenFile(m.path+".part", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if m.file != nil {
		_ = m.file.Close()
	}
	m.file, m.out, m.volume, m.written, m.err = file, bufio.NewWriterSize(file, writeAhead), pod, 0, nil
	if _, err := m.out.WriteString(magic); err != nil {
		return err
	}
	m.append(volume.AppendText(volume.AppendText(nil, m.laptop), pod))
	for path, now := range known {
		if now.Base != nil {
			m.append(appendBase(path, now.Base))
		}
		if now.Coming != nil {
			m.append(appendComing(path, now.Coming))
		}
	}
	if err := errors.Join(m.flush(), m.file.Sync()); err != nil {
		return err
	}
	return os.Rename(m.path+".part", m.path)
}

// Close ends it.
func (m *Memory) Close() error { return errors.Join(m.Flush(), m.file.Close()) }
