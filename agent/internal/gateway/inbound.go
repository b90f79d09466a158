package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"devcluster/agent/internal/lane"
)

// acceptTime is how long the application may take to accept; its kernel has a queue of its own.
const acceptTime = 10 * time.Second

// inbound injects a connection that came to the workload in the cluster.
func (g *Gateway) inbound(header lane.Header, stream *lane.Stream) {
	conn, err := g.arrive(header)
	if err != nil {
		_ = stream.Answer(err)
		return
	}
	if stream.Answer(nil) != nil {
		lane.Abort(conn)
		stream.Abort()
		return
	}
	lane.Splice(stream, conn)
}

// arrive reaches the application: at the pod's address, and where it listens on loopback only, there; some listen on
// ::1 alone, which localhost leads to first. What another container of the pod asked of loopback comes from there, and
// arrives there first.
func (g *Gateway) arrive(header lane.Header) (lane.Conn, error) {
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
	port := g.settings.localPort(to.Port())
	ways := []func() (lane.Conn, error){
		func() (lane.Conn, error) { return g.inject(ctx, from, port) },
		func() (lane.Conn, error) { return dialLoopback(ctx, "127.0.0.1", port) },
		func() (lane.Conn, error) { return dialLoopback(ctx, "::1", port) },
	}
	if from.Addr().IsLoopback() {
		ways = append(ways[1:], ways[0])
	}
	var refused error
	for _, way := range ways {
		conn, err := way()
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return conn, err
		}
		refused = err
	}
	return nil, refused
}

// dialLoopback takes a kernel without that address for one on which nobody listens there.
func dialLoopback(ctx context.Context, address string, port uint16) (lane.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(address, strconv.Itoa(int(port))))
	switch {
	case errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EAFNOSUPPORT):
		return nil, syscall.ECONNREFUSED
	case err != nil:
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

// inject opens a connection to the pod's address, from its true caller.
func (g *Gateway) inject(ctx context.Context, from netip.AddrPort, port uint16) (lane.Conn, error) {
	source := caller(from, g.settings.Address, g.settings.DockerNetwork)
	target := netip.AddrPortFrom(g.settings.Address, port)
	conn, err := g.stack.Dial(ctx, source, target)
	if errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, syscall.EADDRNOTAVAIL) {
		// Two replicas may be called from the same address and port at once, and a caller may use a port again
		// before our side has forgotten it. The caller's address matters more than its port.
		conn, err = g.stack.Dial(ctx, netip.AddrPortFrom(source.Addr(), 0), target)
	}
	if err != nil {
		return nil, err
	}
	return conn, nil
}
