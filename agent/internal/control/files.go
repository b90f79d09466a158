package control

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"

	"devcluster/agent/internal/files"
	"devcluster/agent/internal/hold"
)

// maxFilesRequest bounds the line that asks for files; paths may be many.
const maxFilesRequest = 32 << 20

// filesRequest is the one line of the subsystem files.
type filesRequest struct {
	Do      string      `json:"do"`
	Root    string      `json:"root"`
	Exclude files.Names `json:"exclude"`
	Paths   files.Names `json:"paths"`
}

// files answers a scan or a pack on the same channel.
func (s *Server) files(_ context.Context, channel ssh.Channel) error {
	line, err := bufio.NewReader(io.LimitReader(channel, maxFilesRequest)).ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("files: expected one line of JSON")
	}
	var asked filesRequest
	if json.Unmarshal(line, &asked) != nil {
		return fmt.Errorf("files: not a JSON object")
	}
	root, _, err := s.inside(asked.Root)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(channel, 256<<10)
	switch asked.Do {
	case "scan":
		err = scan(out, root, asked.Exclude)
	case "pack":
		err = files.Pack(out, root, asked.Exclude, asked.Paths)
	default:
		err = fmt.Errorf("files: do is scan or pack, not %q", asked.Do)
	}
	if flushed := out.Flush(); err == nil {
		err = flushed
	}
	return err
}

func scan(out io.Writer, root string, exclude []string) error {
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	for entry, err := range files.Scan(root, exclude) {
		if err != nil {
			return err
		}
		if err := lines.Encode(&entry); err != nil {
			return err
		}
	}
	return nil
}

// inside gives the real path of a root, which must lie in one of the container's
// own mounts, and the deepest of those. A mount's path may lead through the
// image's links.
func (s *Server) inside(root string) (real string, within hold.Mount, err error) {
	if real, err = filepath.EvalSymlinks(path.Clean("/" + root)); err != nil {
		return "", within, err
	}
	mounts, err := s.mounts()
	if err != nil {
		return "", within, err
	}
	for _, mount := range mounts {
		if (real == mount.Path || strings.HasPrefix(real, mount.Path+"/")) && len(mount.Path) > len(within.Path) {
			within = mount
		}
	}
	if within.Path == "" {
		return "", within, fmt.Errorf("%s is not in a mount of this container", root)
	}
	return real, within, nil
}
