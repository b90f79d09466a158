package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/crypto/ssh"

	"devcluster/agent/internal/hold"
	"devcluster/agent/internal/sync/volume"
	"devcluster/agent/internal/sync/wire"
)

// maxWatched is how many folders of a volume are watched: each costs the pod's memory about a kilobyte. Others
// are looked at now and then.
const maxWatched = 8192

// syncing is one who keeps a folder equal with the laptop's.
type syncing struct {
	cancel context.CancelFunc
	over   chan struct{}
}

// sync is one side of a live volume: a line of JSON names the folder, then package wire speaks.
func (s *Server) sync(ctx context.Context, channel ssh.Channel) error {
	in := bufio.NewReader(channel)
	line, err := in.ReadSlice('\n')
	if err != nil {
		return errors.New("sync: expected one line of JSON")
	}
	var asked struct {
		Root string `json:"root"`
	}
	if json.Unmarshal(line, &asked) != nil {
		return errors.New("sync: not a JSON object")
	}
	root, mount, err := s.inside(asked.Root)
	if err != nil {
		return err
	}
	if info, err := os.Stat(root); err != nil || !info.IsDir() {
		return fmt.Errorf("%s is a single file", asked.Root)
	}
	ctx, over := s.alone(ctx, root)
	defer over()
	stream := struct {
		io.Reader
		io.Writer
	}{in, channel}
	stop := context.AfterFunc(ctx, func() { _ = channel.Close() })
	defer stop()
	return wire.Serve(ctx, stream, root, volume.Settings{Write: s.mayWrite(mount), Watches: maxWatched})
}

// mayWrite is whether the agent's settings name a mount, by whatever path.
func (s *Server) mayWrite(mount hold.Mount) bool {
	return slices.ContainsFunc(s.writable, func(path string) bool {
		real, err := filepath.EvalSymlinks(path)
		return err == nil && real == mount.Path
	})
}

// alone ends whoever else is at this folder: a laptop whose connection broke comes back before we know that.
func (s *Server) alone(ctx context.Context, root string) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	mine := &syncing{cancel, make(chan struct{})}
	s.mu.Lock()
	before := s.syncing[root]
	s.syncing[root] = mine
	s.mu.Unlock()
	if before != nil {
		before.cancel()
		<-before.over
	}
	return ctx, func() {
		cancel()
		s.mu.Lock()
		if s.syncing[root] == mine {
			delete(s.syncing, root)
		}
		s.mu.Unlock()
		close(mine.over)
	}
}
