package files

import (
	"archive/tar"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"
)

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
	packer := &packer{tree: tree, tar: tar.NewWriter(w), buffer: make([]byte, 128<<10)}
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
	stale  []string // changed while they were read
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
	return nil
}

var kinds = map[string]byte{"f": tar.TypeReg, "d": tar.TypeDir, "l": tar.TypeSymlink, "h": tar.TypeLink, "p": tar.TypeFifo}

func (p *packer) add(at place, entry Entry) error {
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
// the file meanwhile.
func (p *packer) addFile(at place, header *tar.Header) error {
	file, err := at.dir.OpenFile(at.base, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return forgiven(err)
	}
	defer file.Close()
	before, err := file.Stat()
	if err != nil || !before.Mode().IsRegular() {
		return err
	}
	header.Size, header.ModTime = before.Size(), before.ModTime()
	if err := p.tar.WriteHeader(header); err != nil {
		return err
	}
	sent, err := io.CopyBuffer(onlyWriter{p.tar}, io.LimitReader(file, header.Size), p.buffer)
	if err != nil {
		return err
	}
	if err := p.pad(header.Size - sent); err != nil {
		return err
	}
	after, err := file.Stat()
	if err != nil || sent < header.Size || changed(before, after) {
		p.stale = append(p.stale, at.name)
	}
	return nil
}

// pad fills up a file that became shorter.
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

// onlyWriter hides ReadFrom, which would take a buffer of its own.
type onlyWriter struct{ io.Writer }
