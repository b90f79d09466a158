package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"devcluster/agent/internal/lane"
	"devcluster/agent/internal/tun"
)

// acceptTime is how long the application may take to accept; its kernel has a queue of its own.
const acceptTime = 10 * time.Second

// Lane implements door.Backend: one lane's whole life.
func (g *Gateway) Lane(ctx context.Context, conn net.Conn, pod, id string) {
	session, err := g.greet(ctx, conn, id)
	if err != nil {
		g.announce(pod, id, "down", err.Error())
		return
	}
	here := &standing{pod: pod, id: id, session: session}
	g.lanes.add(here)
	g.announce(pod, id, "up", "")
	for {
		header, stream, err := session.Accept(ctx)
		if err != nil {
			break
		}
		go g.inbound(header, stream)
	}
	g.lanes.remove(here)
	_ = session.Close()
	g.announce(pod, id, "down", "the connection to the agent ended")
}

// greet proves the keys and says hello; the agent closes lanes of an epoch that is over.
func (g *Gateway) greet(ctx context.Context, conn net.Conn, id string) (*lane.Session, error) {
	ctx, cancel := context.WithTimeout(ctx, acceptTime)
	defer cancel()
	session, err := lane.Client(ctx, conn, g.key, g.agent)
	if err != nil {
		return nil, err
	}
	hello, err := session.Open(ctx, lane.Header{Net: "hello", Epoch: g.settings.Epoch, Lane: id})
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

// inbound injects a connection that came to the workload in the cluster.
func (g *Gateway) inbound(header lane.Header, stream *lane.Stream) {
	conn, err := g.inject(header)
	if err != nil {
		_ = stream.Answer(err)
		return
	}
	if stream.Answer(nil) != nil {
		conn.Abort()
		stream.Abort()
		return
	}
	lane.Splice(stream, conn)
}

func (g *Gateway) inject(header lane.Header) (*tun.Conn, error) {
	if header.Net != "tcp" {
		return nil, syscall.EINVAL
	}
	from, err := netip.ParseAddrPort(header.From)
	if err != nil {
		return nil, fmt.Errorf("from: %w", syscall.EINVAL)
	}
	to, err := netip.ParseAddrPort(header.To)
	if err != nil {
		return nil, fmt.Errorf("to: %w", syscall.EINVAL)
	}
	ctx, cancel := context.WithTimeout(g.ctx, acceptTime)
	defer cancel()
	source := caller(from, g.settings.Address, g.settings.DockerNetwork)
	target := netip.AddrPortFrom(g.settings.Address, to.Port())
	conn, err := g.stack.Dial(ctx, source, target)
	if errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, syscall.EADDRNOTAVAIL) {
		// Two replicas may be called from the same address and port at once, and a caller may use a port again
		// before our side has forgotten it. The caller's address matters more than its port.
		conn, err = g.stack.Dial(ctx, netip.AddrPortFrom(source.Addr(), 0), target)
	}
	return conn, err
}
