package control

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// sftp serves the mounts, read only.
func (s *Server) sftp(_ context.Context, channel ssh.Channel) error {
	view := mounted(s.mounts)
	server := sftp.NewRequestServer(channel, sftp.Handlers{FileGet: view, FilePut: view, FileCmd: view, FileList: view})
	err := server.Serve()
	_ = server.Close()
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// mounted is the view that SFTP has of the pod: some trees, each confined by
// os.Root, so that no link leads out of its mount.
type mounted []string

// confined is a name inside an opened mount.
type confined struct {
	root *os.Root
	name string
}

// open finds the mount that an absolute path belongs to, the deepest of
// several.
func (m mounted) open(name string) (confined, error) {
	name = path.Clean("/" + name)
	mount := m.of(name)
	if mount == "" {
		return confined{}, sftp.ErrSSHFxPermissionDenied
	}
	inside := strings.TrimPrefix(strings.TrimPrefix(name, mount), "/")
	if inside == "" {
		inside = "."
	}
	if info, err := os.Lstat(mount); err == nil && !info.IsDir() { // one file, mounted by subPath
		mount, inside = path.Split(mount)
	}
	root, err := os.OpenRoot(mount)
	if err != nil {
		return confined{}, plain(err)
	}
	return confined{root, inside}, nil
}

func (m mounted) of(name string) string {
	best := ""
	for _, mount := range m {
		mount = path.Clean(mount)
		if (name == mount || mount == "/" || strings.HasPrefix(name, mount+"/")) && len(mount) > len(best) {
			best = mount
		}
	}
	return best
}

// Fileread opens a file.
func (m mounted) Fileread(request *sftp.Request) (io.ReaderAt, error) {
	at, err := m.open(request.Filepath)
	if err != nil {
		return nil, err
	}
	defer at.root.Close()
	info, err := at.root.Stat(at.name)
	if err != nil {
		return nil, plain(err)
	}
	if !info.Mode().IsRegular() { // a pipe would wait for its writer
		return nil, sftp.ErrSSHFxFailure
	}
	file, err := at.root.Open(at.name)
	if err != nil {
		return nil, plain(err)
	}
	return file, nil
}

// Filewrite refuses.
func (m mounted) Filewrite(*sftp.Request) (io.WriterAt, error) {
	return nil, sftp.ErrSSHFxPermissionDenied
}

// Filecmd refuses: rename, remove, mkdir, symlink, setstat.
func (m mounted) Filecmd(*sftp.Request) error { return sftp.ErrSSHFxPermissionDenied }

// Filelist tells a directory, or one name with its links followed.
func (m mounted) Filelist(request *sftp.Request) (sftp.ListerAt, error) {
	at, err := m.open(request.Filepath)
	if err != nil {
		return nil, err
	}
	defer at.root.Close()
	if request.Method == "List" {
		return at.list()
	}
	return at.one(at.root.Stat)
}

// Lstat tells one name, a link as a link.
func (m mounted) Lstat(request *sftp.Request) (sftp.ListerAt, error) {
	at, err := m.open(request.Filepath)
	if err != nil {
		return nil, err
	}
	defer at.root.Close()
	return at.one(at.root.Lstat)
}

// Readlink tells where a link points to.
func (m mounted) Readlink(name string) (string, error) {
	at, err := m.open(name)
	if err != nil {
		return "", err
	}
	defer at.root.Close()
	target, err := at.root.Readlink(at.name)
	return target, plain(err)
}

func (c confined) one(stat func(string) (fs.FileInfo, error)) (sftp.ListerAt, error) {
	info, err := stat(c.name)
	if err != nil {
		return nil, plain(err)
	}
	return infos{info}, nil
}

func (c confined) list() (sftp.ListerAt, error) {
	dir, err := c.root.Open(c.name)
	if err != nil {
		return nil, plain(err)
	}
	defer dir.Close()
	found, err := dir.Readdir(-1)
	if err != nil {
		return nil, plain(err)
	}
	return infos(found), nil
}

type infos []fs.FileInfo

// ListAt gives a part of the list.
func (list infos) ListAt(into []fs.FileInfo, offset int64) (int, error) {
	if offset >= int64(len(list)) {
		return 0, io.EOF
	}
	n := copy(into, list[offset:])
	if n < len(into) {
		return n, io.EOF
	}
	return n, nil
}

// plain gives SFTP's own codes, and never a path outside the mounts.
func plain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return sftp.ErrSSHFxNoSuchFile
	case errors.Is(err, fs.ErrPermission), strings.Contains(err.Error(), "escapes from parent"):
		return sftp.ErrSSHFxPermissionDenied
	default:
		return sftp.ErrSSHFxFailure
	}
}
