package connect

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"devcluster/agent/internal/lane"
)

const (
	dialTimeout = 30 * time.Second
	udpIdle     = 60 * time.Second
	maxDatagram = 64<<10 - 1
)

// serveTCP dials as the application would, and joins.
func serveTCP(ctx context.Context, stream *lane.Stream, to string) {
	dialer := net.Dialer{Timeout: dialTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", to)
	if err != nil {
		_ = stream.Answer(err)
		return
	}
	if err := stream.Answer(nil); err != nil {
		_ = conn.Close()
		stream.Abort()
		return
	}
	lane.Splice(stream, conn.(*net.TCPConn))
}

// serveUDP carries datagrams, each behind its length, until neither side has
// said anything for a minute. What the network refuses (an ICMP answer) is a
// datagram lost, as it is for the application.
func serveUDP(ctx context.Context, stream *lane.Stream, to string) {
	conn, raw, err := dialUDP(ctx, to)
	if err != nil {
		_ = stream.Answer(err)
		return
	}
	defer conn.Close()
	defer stream.Close()
	if err := stream.Answer(nil); err != nil {
		return
	}
	idle := time.AfterFunc(udpIdle, func() { _ = conn.Close(); stream.Abort() })
	defer idle.Stop()
	go func() {
		defer conn.Close()
		fromStream(conn, stream, idle)
	}()
	toStream(stream, raw, idle)
}

func dialUDP(ctx context.Context, to string) (net.Conn, syscall.RawConn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "udp", to)
	if err != nil {
		return nil, nil, err
	}
	raw, err := conn.(*net.UDPConn).SyscallConn()
	return conn, raw, err
}

func fromStream(conn net.Conn, stream io.Reader, idle *time.Timer) {
	buffer := make([]byte, 2<<10)
	for {
		datagram, err := readFrame(stream, buffer)
		if err != nil {
			return
		}
		buffer = datagram[:cap(datagram)]
		idle.Reset(udpIdle)
		if _, err := conn.Write(datagram); errors.Is(err, net.ErrClosed) {
			return
		}
	}
}

// frames are buffers for a datagram of any size with its length. A stream has
// one only from a datagram's arrival to its way on: there may be thousands that
// are silent, and the memory is the application's.
var frames = sync.Pool{New: func() any { b := make([]byte, 2+maxDatagram); return &b }}

func toStream(stream io.Writer, raw syscall.RawConn, idle *time.Timer) {
	for {
		buffer, n, err := receive(raw)
		if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EHOSTUNREACH) {
			frames.Put(buffer)
			continue
		}
		if err != nil {
			return
		}
		idle.Reset(udpIdle)
		frame := *buffer
		binary.BigEndian.PutUint16(frame, uint16(n))
		_, err = stream.Write(frame[:2+n])
		frames.Put(buffer)
		if err != nil {
			return
		}
	}
}

// receive waits for a datagram and gives a buffer with it, behind the place for
// its length. The buffer is nil where the connection was closed.
func receive(raw syscall.RawConn) (buffer *[]byte, n int, err error) {
	over := raw.Read(func(socket uintptr) bool {
		buffer = frames.Get().(*[]byte)
		n, err = syscall.Read(int(socket), (*buffer)[2:])
		if errors.Is(err, syscall.EAGAIN) {
			frames.Put(buffer)
			buffer = nil
			return false
		}
		return true
	})
	if over != nil {
		return nil, 0, over
	}
	return buffer, n, err
}

// readFrame reads a uint16 length and so many bytes, into buffer where they fit.
func readFrame(r io.Reader, buffer []byte) ([]byte, error) {
	var prefix [2]byte
	if _, err := io.ReadFull(r, prefix[:]); err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint16(prefix[:]))
	if size > len(buffer) {
		buffer = make([]byte, size)
	}
	_, err := io.ReadFull(r, buffer[:size])
	return buffer[:size], err
}
