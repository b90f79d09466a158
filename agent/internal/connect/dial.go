package connect

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
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
	dialer := net.Dialer{Timeout: dialTimeout}
	conn, err := dialer.DialContext(ctx, "udp", to)
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
	toStream(stream, conn, idle)
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

func toStream(stream io.Writer, conn net.Conn, idle *time.Timer) {
	buffer := make([]byte, 2+maxDatagram)
	for {
		n, err := conn.Read(buffer[2:])
		if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EHOSTUNREACH) {
			continue
		}
		if err != nil {
			return
		}
		idle.Reset(udpIdle)
		binary.BigEndian.PutUint16(buffer, uint16(n))
		if _, err := stream.Write(buffer[:2+n]); err != nil {
			return
		}
	}
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
