// Package laptop is the laptop's end of the lanes: which of them stand, which one a connection takes, and what
// the host process is told and asks. The gateway and the plain process of `run: host` have it in common; they
// differ in where a connection of the cluster arrives.
//
// Rules:
//   - what leaves goes by one pod, since others see its address; the other pods are the reserve;
//   - without a lane new connections wait, then time out, as on a network that has gone;
//   - the host process may go and come again; lanes and connections stay as long as their own ways do.
package laptop

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"devcluster/agent/internal/door"
	"devcluster/agent/internal/lane"
)

// greetTime bounds the proof of the keys and hello.
const greetTime = 10 * time.Second

// Config is what an End needs. Key and Agent are the laptop's private key in PEM and the agent's public one, an
// OpenSSH line.
type Config struct {
	Key, Agent string
	Epoch      int64
	// Inbound takes a connection of the cluster; it answers the stream.
	Inbound func(header lane.Header, stream *lane.Stream)
	// Answer answers what only one of the two ends is asked; nil: nothing.
	Answer door.Handler
	// Silent tells the ports on which nobody listens, where that is known.
	Silent func() []Silent
}

// End is the laptop's end; it implements door.Backend.
type End struct {
	config Config
	key    ed25519.PrivateKey
	agent  ed25519.PublicKey
	lanes  *lanes

	mu    sync.Mutex
	hosts []*door.Lines // conversations with host processes, the newest last
}

// New reads the keys. Its errors name fields, never values.
func New(config Config) (*End, error) {
	key, err := lane.ParsePrivate([]byte(config.Key))
	if err != nil {
		return nil, fmt.Errorf("settings: key: %w", err)
	}
	agent, err := lane.ParsePublic([]byte(config.Agent))
	if err != nil {
		return nil, fmt.Errorf("settings: agent: %w", err)
	}
	return &End{config: config, key: key, agent: agent, lanes: newLanes()}, nil
}

// Open opens a stream on the best lane, waiting for one for a while, and tells its pod.
func (e *End) Open(ctx context.Context, header lane.Header) (*lane.Stream, string, error) {
	return e.lanes.open(ctx, header)
}

// LeadsBy is whether connections leave by this pod.
func (e *End) LeadsBy(pod string) bool { return e.lanes.leadsBy(pod) }

// Lane implements door.Backend: one lane's whole life.
func (e *End) Lane(ctx context.Context, conn net.Conn, pod, id string) {
	session, err := e.greet(ctx, conn)
	if err != nil {
		e.announce(pod, id, "down", err.Error())
		return
	}
	here := &standing{pod: pod, id: id, session: session}
	e.lanes.add(here)
	e.announce(pod, id, "up", "")
	for {
		header, stream, err := session.Accept(ctx)
		if err != nil {
			break
		}
		if header.Net != "tcp" {
			go func() { _ = stream.Answer(syscall.EINVAL) }()
			continue
		}
		go e.config.Inbound(header, stream)
	}
	e.lanes.remove(here)
	_ = session.Close()
	e.announce(pod, id, "down", "the connection to the agent ended")
}

// greet proves the keys and says hello; the agent closes lanes of an epoch that is over.
func (e *End) greet(ctx context.Context, conn net.Conn) (*lane.Session, error) {
	ctx, cancel := context.WithTimeout(ctx, greetTime)
	defer cancel()
	session, err := lane.Client(ctx, conn, e.key, e.agent)
	if err != nil {
		return nil, err
	}
	hello, err := session.Open(ctx, lane.Header{Net: "hello", Epoch: e.config.Epoch})
	if err != nil {
		_ = session.Close()
		return nil, fmt.Errorf("hello: %w", err)
	}
	go func() { // the agent ends its hello to end the lane
		_, _ = hello.Read(make([]byte, 1))
		_ = session.Close()
	}()
	return session, nil
}

// Stream implements door.Backend: one connection of the laptop's to an address that the pod reaches. The agent
// resolves names and dials, with the pod's address, policies and identity.
func (e *End) Stream(ctx context.Context, conn door.Conn, to string, welcome func(error) error) {
	stream, _, err := e.lanes.open(ctx, lane.Header{Net: "tcp", To: to})
	if err != nil {
		_ = welcome(fmt.Errorf("%s: %w", to, err))
		_ = conn.Close()
		return
	}
	if welcome(nil) != nil {
		stream.Abort()
		_ = conn.Close()
		return
	}
	lane.Splice(conn, stream)
}
