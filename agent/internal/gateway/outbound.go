package gateway

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"devcluster/agent/internal/dns"
	"devcluster/agent/internal/lane"
	"devcluster/agent/internal/tun"
)

const (
	// localDialTime: the caller's kernel asks again.
	localDialTime = 15 * time.Second
	udpIdle       = 60 * time.Second
	dnsIdle       = 10 * time.Second
	// maxFlows bounds the UDP flows that are open.
	maxFlows = 4096
	maxUDP   = 0xffff
)

// TCP implements tun.Handler: a connection that the local pod wants.
func (g *Gateway) TCP(request *tun.Request) {
	way := g.ways.of(request.To)
	if way == byDNS {
		g.answerStream(request)
		return
	}
	other, err := g.reach(way, request.To)
	if err != nil {
		conclude(request, err)
		return
	}
	conn, err := request.Accept()
	if err != nil { // who asked has given up meanwhile
		abort(other)
		return
	}
	lane.Splice(conn, other)
}

// reach opens the other side of a connection, before anything is answered.
func (g *Gateway) reach(way way, to netip.AddrPort) (lane.Conn, error) {
	if way == byLaptop {
		conn, err := g.dialMarked("tcp4", to)
		if err != nil {
			return nil, err
		}
		return conn.(*net.TCPConn), nil
	}
	stream, _, err := g.end.Open(g.ctx, lane.Header{Net: "tcp", To: to.String()})
	return stream, err
}

// conclude gives the application the answer that its own network would have given.
func conclude(request *tun.Request, err error) {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
		request.Refuse()
	case errors.Is(err, syscall.ENETUNREACH):
		request.Unreachable(syscall.ENETUNREACH)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.EACCES):
		request.Unreachable(syscall.EHOSTUNREACH)
	default: // a time-out, or no lane: silence, and the caller's kernel asks again
		request.Ignore()
	}
}

func abort(conn lane.Conn) {
	if stream, ok := conn.(lane.Aborter); ok {
		stream.Abort()
		return
	}
	_ = conn.Close()
}

// dialMarked dials past the TUN, by the docker network.
func (g *Gateway) dialMarked(network string, to netip.AddrPort) (net.Conn, error) {
	dialer := net.Dialer{Timeout: localDialTime, Control: func(_, _ string, raw syscall.RawConn) error {
		var marked error
		err := raw.Control(func(fd uintptr) {
			marked = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, tun.Mark)
		})
		return errors.Join(err, marked)
	}}
	return dialer.DialContext(g.ctx, network, to.String())
}

func (g *Gateway) answerStream(request *tun.Request) {
	conn, err := request.Accept()
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	g.resolver.ServeStream(g.ctx, conn)
}

// UDP implements tun.Handler: a flow of datagrams that the local pod began.
func (g *Gateway) UDP(flow *tun.Flow) {
	defer func() { _ = flow.Close() }()
	defer g.flows.Add(-1)
	if g.flows.Add(1) > maxFlows {
		return
	}
	switch g.ways.of(flow.To) {
	case byDNS:
		g.answerDatagrams(flow)
	case byLaptop:
		if conn, err := g.dialMarked("udp4", flow.To); err == nil {
			relay(flow, conn, conn)
		}
	case byPod:
		stream, _, err := g.end.Open(g.ctx, lane.Header{Net: "udp", To: flow.To.String()})
		if err == nil {
			relay(flow, &framed{stream}, stream)
		}
	}
}

func (g *Gateway) answerDatagrams(flow *tun.Flow) {
	buffer := make([]byte, maxUDP)
	for {
		if err := flow.SetReadDeadline(time.Now().Add(dnsIdle)); err != nil {
			return
		}
		n, err := flow.Read(buffer)
		if err != nil {
			return
		}
		query := append([]byte(nil), buffer[:n]...)
		go func() {
			if answer := g.resolver.Answer(g.ctx, query); answer != nil {
				_, _ = flow.Write(dns.Truncate(query, answer))
			}
		}()
	}
}

// relay copies datagrams both ways until neither side has spoken for udpIdle.
func relay(flow *tun.Flow, other io.ReadWriter, closer io.Closer) {
	spoken := make(chan struct{}, 1)
	done := make(chan struct{}, 2)
	copyDatagrams := func(to io.Writer, from io.Reader) {
		defer func() { done <- struct{}{} }()
		buffer := make([]byte, maxUDP)
		for {
			n, err := from.Read(buffer)
			if err != nil {
				return
			}
			if _, err := to.Write(buffer[:n]); err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
				return
			}
			select {
			case spoken <- struct{}{}:
			default:
			}
		}
	}
	go copyDatagrams(other, flow)
	go copyDatagrams(flow, other)
	idle := time.NewTimer(udpIdle)
	defer idle.Stop()
	for waiting := true; waiting; {
		select {
		case <-spoken:
			idle.Reset(udpIdle)
		case <-idle.C:
			waiting = false
		case <-done:
			waiting = false
		}
	}
	_ = closer.Close()
	_ = flow.SetDeadline(time.Unix(1, 0))
}

// framed keeps the borders of datagrams on a stream: a uint16 length in front of each.
type framed struct{ stream *lane.Stream }

func (f *framed) Read(b []byte) (int, error) {
	var size [2]byte
	if _, err := io.ReadFull(f.stream, size[:]); err != nil {
		return 0, err
	}
	return io.ReadFull(f.stream, b[:binary.BigEndian.Uint16(size[:])])
}

func (f *framed) Write(b []byte) (int, error) {
	frame := make([]byte, 2, 2+len(b))
	binary.BigEndian.PutUint16(frame, uint16(len(b)))
	if _, err := f.stream.Write(append(frame, b...)); err != nil {
		return 0, err
	}
	return len(b), nil
}
