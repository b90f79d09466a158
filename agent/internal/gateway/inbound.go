package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"

	"devcluster/agent/internal/lane"
	"devcluster/agent/internal/tun"
)

// acceptTime is how long the application may take to accept; its kernel has a queue of its own.
const acceptTime = 10 * time.Second

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
	target := netip.AddrPortFrom(g.settings.Address, g.settings.localPort(to.Port()))
	conn, err := g.stack.Dial(ctx, source, target)
	if errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, syscall.EADDRNOTAVAIL) {
		// Two replicas may be called from the same address and port at once, and a caller may use a port again
		// before our side has forgotten it. The caller's address matters more than its port.
		conn, err = g.stack.Dial(ctx, netip.AddrPortFrom(source.Addr(), 0), target)
	}
	return conn, err
}
