// Package fill unpacks a tar stream of package files into a volume, so that the private copy is what the pod
// has: owners, modes, times to the nanosecond, links.
//
// Rules:
//   - nothing outside the root is touched, whatever the stream names (os.Root);
//   - a name that exists is replaced, never written through: its inode may have another name, or be a link;
//   - a link is replaced by a rename, so that whoever follows it finds what it led to, or what it leads to now;
//   - the later entry of a name wins, as tar itself has it, and may take it away;
//   - holes stay holes;
//   - directories get their modes and times last, for what is put into them changes both (until then nobody but the
//     owner is kept from less); a directory that the stream does not name keeps its time.
//
// The naive way, the engine's own copy into a container, follows no rule about times below the second and
// writes through links.
package fill

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"devcluster/agent/internal/files"
)

// Done is what an Apply has written.
type Done struct {
	Files int64 `json:"files"`
	Bytes int64 `json:"bytes"`
}

// Delete removes paths, relative to root, one by one: what is in a directory is named before it. What is not
// there is no error, and a directory that still holds something (what an exclude hides, what came since) stays.
func Delete(root string, paths []string) error {
	tree, err := os.OpenRoot(root)
	if err != nil {
		return err
	}
	defer func() { _ = tree.Close() }()
	for _, name := range paths {
		cleaned, err := local(name)
		if err != nil {
			return err
		}
		if cleaned == "." {
			return errors.New("the root itself can't be deleted")
		}
		if err := tree.Remove(cleaned); err != nil && !stays(err) {
			return err
		}
	}
	return nil
}

func stays(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENOTEMPTY)
}

// Apply unpacks the tar stream r into root.
func Apply(root string, r io.Reader) (Done, error) {
	tree, err := os.OpenRoot(root)
	if err != nil {
		return Done{}, err
	}
	f := &filler{
		root: tree, buffer: make([]byte, 256<<10),
		directories: make(map[string]*tar.Header), kept: make(map[string]time.Time),
	}
	defer f.close()
	stream := tar.NewReader(r)
	for {
		header, err := stream.Next()
		if errors.Is(err, io.EOF) {
			return f.done, f.finish()
		}
		if err != nil {
			return f.done, fmt.Errorf("the stream of files broke: %w", err)
		}
		if err := f.entry(header, stream); err != nil {
			return f.done, fmt.Errorf("%q: %w", header.Name, err)
		}
	}
}

// kubelets is the link by which kubelet swaps a whole set of files (ConfigMaps, Secrets, projected volumes).
const kubelets = "..data"

type filler struct {
	root   *os.Root
	buffer []byte
	done   Done

	directories map[string]*tar.Header // named by the stream, the last one of a name
	kept        map[string]time.Time   // written into, and not (yet) named

	// The stream comes in walk order, so the directory of the last entry is mostly that of the next.
	parent     *os.Root
	parentFile *os.File
	parentName string
}

func (f *filler) close() {
	f.leave()
	_ = f.root.Close()
}

func (f *filler) leave() {
	if f.parent != nil {
		_ = f.parentFile.Close()
		_ = f.parent.Close()
		f.parent, f.parentFile = nil, nil
	}
}

// local gives a name as a clean path below the root.
func local(name string) (string, error) {
	cleaned := path.Clean(name)
	if !filepath.IsLocal(cleaned) {
		return "", fmt.Errorf("%q leads out of the volume", name)
	}
	return cleaned, nil
}

func (f *filler) entry(header *tar.Header, content io.Reader) error {
	name, err := local(header.Name)
	if err != nil {
		return err
	}
	if name == "." {
		f.directories[name] = header
		return nil
	}
	if err := f.enter(path.Dir(name)); err != nil {
		return err
	}
	base := path.Base(name)
	if header.PAXRecords[files.LeftOutRecord] != "" {
		return f.parent.RemoveAll(base)
	}
	switch header.Typeflag {
	case tar.TypeDir:
		f.directories[name] = header
		return f.directory(base, header)
	case tar.TypeReg:
		err = f.file(name, base, header, content)
	case tar.TypeSymlink:
		delete(f.directories, name)
		err = f.symlink(base, header)
	case tar.TypeLink:
		return f.hardLink(name, base, header)
	case tar.TypeFifo:
		err = f.replaceBy(name, base, func() error { return unix.Mkfifoat(f.fd(), base, 0o600) })
	default:
		return nil // devices and sockets mean nothing on another machine
	}
	if err != nil {
		return err
	}
	f.done.Files++
	return f.attributes(base, header)
}

// enter opens the directory of the next entry, and makes it where the stream has not named it.
func (f *filler) enter(name string) error {
	if f.parent != nil && f.parentName == name {
		return nil
	}
	f.leave()
	if err := f.root.MkdirAll(name, 0o755); err != nil {
		return err
	}
	parent, err := f.root.OpenRoot(name)
	if err != nil {
		return err
	}
	file, err := parent.Open(".")
	if err != nil {
		_ = parent.Close()
		return err
	}
	f.parent, f.parentFile, f.parentName = parent, file, name
	if _, seen := f.kept[name]; !seen {
		if info, err := file.Stat(); err == nil {
			f.kept[name] = info.ModTime()
		}
	}
	return nil
}

func (f *filler) fd() int { return int(f.parentFile.Fd()) }

// replaceBy makes a name anew.
func (f *filler) replaceBy(name, base string, create func() error) error {
	err := create()
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := f.parent.RemoveAll(base); err != nil {
		return err
	}
	maps.DeleteFunc(f.directories, func(other string, _ *tar.Header) bool { return other == name })
	return create()
}

// symlink makes a link, or renames it onto what is there.
func (f *filler) symlink(base string, header *tar.Header) error {
	err := f.parent.Symlink(header.Linkname, base)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	part := files.Part + "link"
	if base == kubelets { // who watches the folder sees the two names that kubelet uses
		part = kubelets + "_tmp"
	}
	if err := f.parent.RemoveAll(part); err != nil { // of a fill that was killed
		return err
	}
	if err := f.parent.Symlink(header.Linkname, part); err != nil {
		return err
	}
	if info, err := f.parent.Lstat(base); err == nil && info.IsDir() {
		if err := f.parent.RemoveAll(base); err != nil {
			return err
		}
	}
	return f.parent.Rename(part, base)
}

func (f *filler) file(name, base string, header *tar.Header, content io.Reader) error {
	var file *os.File
	err := f.replaceBy(name, base, func() (err error) {
		file, err = f.parent.OpenFile(base, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		return err
	})
	if err != nil {
		return err
	}
	err = f.write(file, header, content)
	if closed := file.Close(); err == nil {
		err = closed
	}
	return err
}

// write fills a new file. What is a hole there is none that is written here.
func (f *filler) write(file *os.File, header *tar.Header, content io.Reader) error {
	parts := []files.Piece{{Offset: 0, Length: header.Size}}
	if told := header.PAXRecords[files.SparseRecord]; told != "" {
		size, err := strconv.ParseInt(told, 10, 64)
		if err != nil {
			return err
		}
		if parts, err = files.ReadMap(content, size); err != nil {
			return err
		}
		if err := file.Truncate(size); err != nil {
			return err
		}
	}
	for _, part := range parts {
		to := io.NewOffsetWriter(file, part.Offset)
		written, err := io.CopyBuffer(struct{ io.Writer }{to}, io.LimitReader(content, part.Length), f.buffer)
		f.done.Bytes += written
		if err != nil {
			return err
		}
		if written < part.Length {
			return io.ErrUnexpectedEOF
		}
	}
	return nil
}

// hardLink makes another name of a file; none where that one was left out.
func (f *filler) hardLink(name, base string, header *tar.Header) error {
	first, err := local(header.Linkname)
	if err != nil {
		return err
	}
	if first == name {
		return nil
	}
	f.done.Files++
	err = f.replaceBy(name, base, func() error { return f.root.Link(first, name) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// attributes sets owner, mode and times of a name that is no directory. The owner comes first: a change of
// owner clears set-user-ID.
func (f *filler) attributes(base string, header *tar.Header) error {
	if err := unix.Fchownat(f.fd(), base, header.Uid, header.Gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("owner %d:%d: %w", header.Uid, header.Gid, err)
	}
	if header.Typeflag != tar.TypeSymlink {
		if err := unix.Fchmodat(f.fd(), base, uint32(header.Mode)&0o7777, 0); err != nil {
			return fmt.Errorf("mode: %w", err)
		}
	}
	return setTime(f.fd(), base, header.ModTime)
}

func setTime(directory int, base string, modified time.Time) error {
	stamp, err := unix.TimeToTimespec(modified)
	if err != nil {
		return fmt.Errorf("time: %w", err)
	}
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, stamp}
	if err := unix.UtimesNanoAt(directory, base, times, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("time: %w", err)
	}
	return nil
}
