package tun

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/waiter"
)

// Conn is a TCP connection with the local pod. Its errors are errno, so that a reset is known from an end.
type Conn struct {
	*gonet.TCPConn // deadlines and addresses
	endpoint       tcpip.Endpoint
	queue          *waiter.Queue
	closed         sync.Once
}

func newConn(queue *waiter.Queue, endpoint tcpip.Endpoint) *Conn {
	options := endpoint.SocketOptions()
	options.SetKeepAlive(true)
	options.SetDelayOption(false)
	idle := tcpip.KeepaliveIdleOption(keepaliveIdle)
	interval := tcpip.KeepaliveIntervalOption(keepaliveInterval)
	_ = endpoint.SetSockOpt(&idle)
	_ = endpoint.SetSockOpt(&interval)
	return &Conn{TCPConn: gonet.NewTCPConn(queue, endpoint), endpoint: endpoint, queue: queue}
}

const (
	keepaliveIdle     = 60 * time.Second
	keepaliveInterval = 15 * time.Second
)

// Read implements net.Conn; io.EOF after the peer's FIN, ECONNRESET after its RST.
func (c *Conn) Read(b []byte) (int, error) {
	writer := tcpip.SliceWriter(b)
	result, failure := c.endpoint.Read(&writer, tcpip.ReadOptions{})
	if _, blocked := failure.(*tcpip.ErrWouldBlock); blocked {
		entry, ready := waiter.NewChannelEntry(waiter.ReadableEvents | waiter.EventErr | waiter.EventHUp)
		c.queue.EventRegister(&entry)
		defer c.queue.EventUnregister(&entry)
		for blocked {
			result, failure = c.endpoint.Read(&writer, tcpip.ReadOptions{})
			if _, blocked = failure.(*tcpip.ErrWouldBlock); blocked {
				<-ready
			}
		}
	}
	if _, ended := failure.(*tcpip.ErrClosedForReceive); ended {
		return 0, io.EOF
	}
	if failure != nil {
		return 0, c.failed("read", failure)
	}
	c.endpoint.ModerateRecvBuf(result.Count)
	return result.Count, nil
}

// Write implements net.Conn.
func (c *Conn) Write(b []byte) (int, error) {
	var reader bytes.Reader
	written := 0
	var ready <-chan struct{}
	for written < len(b) {
		reader.Reset(b[written:])
		n, failure := c.endpoint.Write(&reader, tcpip.WriteOptions{})
		written += int(n)
		if failure == nil {
			continue
		}
		if _, blocked := failure.(*tcpip.ErrWouldBlock); !blocked {
			return written, c.failed("write", failure)
		}
		if ready == nil { // look once more after registering: room may have come between
			var entry waiter.Entry
			entry, ready = waiter.NewChannelEntry(waiter.WritableEvents | waiter.EventErr | waiter.EventHUp)
			c.queue.EventRegister(&entry)
			defer c.queue.EventUnregister(&entry)
			continue
		}
		<-ready
	}
	return written, nil
}

// Close ends both directions; bytes that were written are still delivered.
func (c *Conn) Close() error {
	c.closed.Do(c.endpoint.Close)
	return nil
}

// Abort ends the connection with a RST; whoever reads or writes gets an error.
func (c *Conn) Abort() { c.closed.Do(c.endpoint.Abort) }

func (c *Conn) failed(operation string, failure tcpip.Error) error {
	return &net.OpError{Op: operation, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: errnoOf(failure)}
}

// errnoOf gives netstack's error the kernel's number.
func errnoOf(failure tcpip.Error) error {
	switch failure.(type) {
	case *tcpip.ErrConnectionRefused:
		return syscall.ECONNREFUSED
	case *tcpip.ErrConnectionReset:
		return syscall.ECONNRESET
	case *tcpip.ErrConnectionAborted, *tcpip.ErrAborted:
		return syscall.ECONNABORTED
	case *tcpip.ErrTimeout:
		return syscall.ETIMEDOUT
	case *tcpip.ErrHostUnreachable, *tcpip.ErrHostDown:
		return syscall.EHOSTUNREACH
	case *tcpip.ErrNetworkUnreachable:
		return syscall.ENETUNREACH
	case *tcpip.ErrPortInUse:
		return syscall.EADDRINUSE
	case *tcpip.ErrBadLocalAddress, *tcpip.ErrNoPortAvailable:
		return syscall.EADDRNOTAVAIL
	case *tcpip.ErrClosedForSend:
		return syscall.EPIPE
	}
	return fmt.Errorf("%s", failure)
}

func fullAddress(address netip.AddrPort) tcpip.FullAddress {
	return tcpip.FullAddress{NIC: nicID, Addr: tcpip.AddrFrom4(address.Addr().Unmap().As4()), Port: address.Port()}
}

func addrPort(address tcpip.Address, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4(address.As4()), port)
}
