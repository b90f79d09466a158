package files

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// LeftOutRecord is the PAX record of a name that came before in the stream and
// counts no more; its value says why.
const LeftOutRecord = "DEVCLUSTER.left_out"

// attempts bounds how often a file that changes while it is read is sent.
const attempts = 3

// Pack writes the tree below root as a PAX tar with numeric owners and times
// to the nanosecond. With paths, relative to root, only those and what is
// below them, in that order; a path that does not exist is left out. A file
// that changed while it was read comes again at the end: the last entry of a
// name counts.
func Pack(w io.Writer, root string, exclude, paths []string) error {
	tree, err := open(root, exclude)
	if err != nil {
		return err
	}
	defer tree.close()
	packer := &packer{tree: tree, tar: tar.NewWriter(w), buffer: make([]byte, 128<<10), lost: map[string]bool{}}
	if err := packer.all(paths); err != nil {
		return err
	}
	if err := packer.again(); err != nil {
		return err
	}
	return packer.tar.Close()
}

type packer struct {
	tree   *tree
	tar    *tar.Writer
	buffer []byte
	stale  []string        // changed while they were read
	lost   map[string]bool // whether parts could not be read, the last time
}

func (p *packer) all(paths []string) error {
	if paths == nil {
		return p.tree.walk(p.tree.at("."), p.add)
	}
	for _, name := range paths {
		if err := p.tree.walk(p.tree.at(path.Clean(name)), p.add); err != nil {
			return err
		}
	}
	return nil
}

// again sends the files that changed, until they hold still or we have tried
// enough; the last try is what the laptop gets.
func (p *packer) again() error {
	for range attempts - 1 {
		names := p.stale
		p.stale = nil
		for _, name := range names {
			at := p.tree.at(name)
			entry, ok, err := p.tree.entry(at)
			if err != nil {
				return err
			}
			if !ok || entry.Type != "f" {
				continue
			}
			if err := p.add(at, entry); err != nil {
				return err
			}
		}
	}
	return p.retract()
}

// retract takes back what could not be read to its end.
func (p *packer) retract() error {
	for _, name := range slices.Sorted(maps.Keys(p.lost)) {
		if !p.lost[name] {
			continue
		}
		header := &tar.Header{
			Format: tar.FormatPAX, Typeflag: tar.TypeReg, Name: name,
			PAXRecords: map[string]string{LeftOutRecord: unreadable},
		}
		if err := p.tar.WriteHeader(header); err != nil {
			return err
		}
	}
	return nil
}

var kinds = map[string]byte{"f": tar.TypeReg, "d": tar.TypeDir, "l": tar.TypeSymlink, "h": tar.TypeLink, "p": tar.TypeFifo}

func (p *packer) add(at place, entry Entry) error {
	if _, travels := kinds[entry.Type]; !travels {
		return nil
	}
	header := &tar.Header{
		Format: tar.FormatPAX, Typeflag: kinds[entry.Type], Name: entry.name, Linkname: entry.link,
		Mode: int64(entry.Mode), Uid: int(entry.UID), Gid: int(entry.GID),
		ModTime: time.Unix(0, entry.MtimeNS),
	}
	if entry.Type == "d" {
		header.Name += "/"
	}
	if entry.Type == "f" {
		return p.addFile(at, header)
	}
	return p.tar.WriteHeader(header)
}

// addFile sends exactly as many bytes as the header says, whatever happens to
// the file meanwhile. What can't be opened or read at all is left out.
func (p *packer) addFile(at place, header *tar.Header) error {
	file, err := at.open()
	if err != nil {
		return nil
	}
	defer file.Close()
	before, err := file.Stat()
	if err != nil || !before.Mode().IsRegular() {
		return nil
	}
	header.Size, header.ModTime = before.Size(), before.ModTime()
	first, whole := p.buffer[:0], false
	parts, _, sparse := holes(file, header.Size, before.Sys().(*syscall.Stat_t).Blocks)
	if !sparse {
		n, err := io.ReadFull(io.NewSectionReader(file, 0, 1<<62), p.buffer)
		if whole = errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF); err != nil && !whole {
			return nil
		}
		if first = p.buffer[:n]; whole || header.Size < int64(n) {
			header.Size = int64(n)
		}
		parts = []Piece{{int64(n), header.Size - int64(n)}}
	}
	missing, err := p.send(file, header, first, parts, sparse)
	if err != nil {
		return err
	}
	p.lost[at.name] = missing
	after, err := file.Stat()
	if err != nil || missing || changed(before, after) {
		p.stale = append(p.stale, at.name)
	}
	return nil
}

// send writes a file: what was read of it already, then parts of it. It tells
// whether some of these were not there any more.
func (p *packer) send(file *os.File, header *tar.Header, first []byte, parts []Piece, sparse bool) (missing bool, err error) {
	if sparse {
		header.PAXRecords = map[string]string{SparseRecord: strconv.FormatInt(header.Size, 10)}
		first = renderMap(parts)
		header.Size = int64(len(first))
		for _, part := range parts {
			header.Size += part.Length
		}
	}
	if err := p.tar.WriteHeader(header); err != nil {
		return false, err
	}
	if _, err := p.tar.Write(first); err != nil {
		return false, err
	}
	for _, part := range parts {
		sent, err := p.copy(io.NewSectionReader(file, part.Offset, part.Length))
		if err != nil {
			return false, err
		}
		missing = missing || sent < part.Length
		if err := p.pad(part.Length - sent); err != nil {
			return false, err
		}
	}
	return missing, nil
}

// copy sends what can be read; only a stream that nobody takes is an error.
func (p *packer) copy(from io.Reader) (sent int64, err error) {
	for {
		n, readErr := from.Read(p.buffer)
		if _, err := p.tar.Write(p.buffer[:n]); err != nil {
			return sent, err
		}
		if sent += int64(n); readErr != nil {
			return sent, nil
		}
	}
}

// pad fills up what can't be read any more.
func (p *packer) pad(missing int64) error {
	if missing > 0 {
		clear(p.buffer)
	}
	for missing > 0 {
		n, err := p.tar.Write(p.buffer[:min(missing, int64(len(p.buffer)))])
		if err != nil {
			return err
		}
		missing -= int64(n)
	}
	return nil
}

func changed(before, after fs.FileInfo) bool {
	return before.Size() != after.Size() || !before.ModTime().Equal(after.ModTime())
}
