// Package control is the agent's SSH server: what the laptop's host process
// asks of the agent, and the files of the pod's volumes.
//
// The problem: the agent runs as the application, inside its container, and
// this is a way in from outside.
//
// Rules:
//   - one key enters, the laptop's of the Secret; no password, no other method;
//   - there is no shell, no command, no forwarding: three subsystems, of which
//     two read, and only below the container's own mounts; sync also writes, in
//     those that the agent's own settings name, whatever the laptop asks for;
//   - a client that does not read its answers holds up itself alone.
package control

import (
	"context"
	"crypto/ed25519"
	"crypto/subtle"
	"errors"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"devcluster/agent/internal/hold"
)

const (
	user         = "devcluster"
	maxChannels  = 64
	aliveEvery   = 15 * time.Second
	aliveTimeout = 15 * time.Second
)

// Server serves SSH connections that the agent's port has accepted.
type Server struct {
	config *ssh.ServerConfig
	keeper hold.Keeper
	mounts func() ([]hold.Mount, error)

	writable []string
	mu       sync.Mutex
	syncing  map[string]*syncing // by the folder
}

// New makes a server with the agent's key that lets in the laptop's. mounts
// tells the container's own, which files and sync may read; writable names those
// that sync may write.
func New(
	key ed25519.PrivateKey, laptop ed25519.PublicKey, keeper hold.Keeper, mounts func() ([]hold.Mount, error), writable []string,
) (*Server, error) {
	signer, err := ssh.NewSignerFromSigner(key)
	if err != nil {
		return nil, err
	}
	pinned, err := ssh.NewPublicKey(laptop)
	if err != nil {
		return nil, err
	}
	config := &ssh.ServerConfig{
		MaxAuthTries:            3,
		ServerVersion:           "SSH-2.0-devcluster",
		PublicKeyAuthAlgorithms: []string{ssh.KeyAlgoED25519},
		PublicKeyCallback: func(meta ssh.ConnMetadata, shown ssh.PublicKey) (*ssh.Permissions, error) {
			if meta.User() != user || subtle.ConstantTimeCompare(shown.Marshal(), pinned.Marshal()) != 1 {
				return nil, errors.New("another key")
			}
			return nil, nil
		},
	}
	config.Ciphers = []string{"aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"}
	config.AddHostKey(signer)
	return &Server{config: config, keeper: keeper, mounts: mounts, writable: writable, syncing: map[string]*syncing{}}, nil
}

// Serve speaks SSH on conn until it ends or ctx does. proved is called once
// the laptop's key was shown; until then the caller bounds the time.
func (s *Server) Serve(ctx context.Context, conn net.Conn, proved func()) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	client, channels, requests, err := ssh.NewServerConn(conn, s.config)
	if err != nil {
		_ = conn.Close()
		return
	}
	proved()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go ssh.DiscardRequests(requests)
	go keepAlive(ctx, client)
	s.channels(ctx, channels)
	_ = client.Close()
}

// keepAlive ends a connection whose other side has gone without a word, as
// an API server that stops leaves it.
func keepAlive(ctx context.Context, client *ssh.ServerConn) {
	ticker := time.NewTicker(aliveEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		silence := time.AfterFunc(aliveTimeout, func() { _ = client.Close() })
		_, _, err := client.SendRequest("keepalive@openssh.com", true, nil)
		silence.Stop()
		if err != nil {
			return
		}
	}
}

func (s *Server) channels(ctx context.Context, channels <-chan ssh.NewChannel) {
	places := make(chan struct{}, maxChannels)
	var group sync.WaitGroup
	defer group.Wait()
	for asked := range channels {
		if asked.ChannelType() != "session" {
			_ = asked.Reject(ssh.Prohibited, "only sessions with a subsystem")
			continue
		}
		select {
		case places <- struct{}{}:
		default:
			_ = asked.Reject(ssh.ResourceShortage, "too many sessions")
			continue
		}
		channel, requests, err := asked.Accept()
		if err != nil {
			<-places
			continue
		}
		group.Go(func() {
			defer func() { <-places }()
			s.session(ctx, channel, requests)
		})
	}
}

// session waits for the name of a subsystem and runs it; everything else that
// SSH can ask for is refused.
func (s *Server) session(ctx context.Context, channel ssh.Channel, requests <-chan *ssh.Request) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	started := false
	done := make(chan struct{})
	for request := range requests {
		run := s.subsystem(request)
		if run == nil || started {
			_ = request.Reply(false, nil)
			continue
		}
		started = true
		_ = request.Reply(true, nil)
		go func() {
			defer close(done)
			finish(channel, run(ctx, channel))
		}()
	}
	cancel() // the channel is closed
	if started {
		<-done
	}
}

type subsystem func(context.Context, ssh.Channel) error

func (s *Server) subsystem(request *ssh.Request) subsystem {
	var asked struct{ Name string }
	if request.Type != "subsystem" || ssh.Unmarshal(request.Payload, &asked) != nil {
		return nil
	}
	switch asked.Name {
	case "control":
		return s.control
	case "files":
		return s.files
	case "sync":
		return s.sync
	default:
		return nil
	}
}

// finish ends a channel with its exit status, and the reason on stderr.
func finish(channel ssh.Channel, err error) {
	var status struct{ Status uint32 }
	if err != nil {
		status.Status = 1
		_, _ = channel.Stderr().Write([]byte(err.Error() + "\n"))
	}
	_ = channel.CloseWrite()
	_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(&status))
	_ = channel.Close()
}
