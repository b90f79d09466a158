package lane

import (
	"errors"
	"io"
	"net"
	"sync"
)

// Conn is what Splice joins: *Stream, *net.TCPConn, *net.UnixConn and
// netstack's connections are some.
type Conn interface {
	io.ReadWriteCloser
	CloseWrite() error
}

// Aborter is a Conn that can be reset. *net.TCPConn is known without it.
type Aborter interface{ Abort() }

// Splice copies both ways between two connections until both directions are
// over, and closes both. An end of data of one is handed to the other as
// such, while the other direction goes on; a reset as a reset. It returns the
// bytes that went from a to b and from b to a.
//
// An idle connection holds 4 KiB for each direction, a busy one 64 KiB; one
// whose reader stands still holds no more than that.
func Splice(a, b Conn) (sent, received int64) {
	var group sync.WaitGroup
	var there, back error
	group.Go(func() { sent, there = pump(b, a) })
	received, back = pump(a, b)
	group.Wait()
	if there != nil || back != nil {
		Abort(a)
		Abort(b)
		return sent, received
	}
	_ = a.Close()
	_ = b.Close()
	return sent, received
}

// pump copies from one to the other and carries the end over. When the source
// breaks, both are reset at once, or the other direction would wait for data
// that nobody sends. When the destination breaks, what it said before is
// still let through: its own pump sees the same break behind that.
func pump(to, from Conn) (int64, error) {
	total, readErr, writeErr := shovel(to, from)
	switch {
	case writeErr != nil:
		return total, writeErr
	case errors.Is(readErr, io.EOF):
		return total, to.CloseWrite()
	default:
		Abort(to)
		Abort(from)
		return total, readErr
	}
}

func shovel(to io.Writer, from io.Reader) (total int64, readErr, writeErr error) {
	pool := &small
	buffer := pool.Get().(*[]byte)
	defer func() { pool.Put(buffer) }()
	for {
		n, err := from.Read(*buffer)
		if n > 0 {
			written, err := to.Write((*buffer)[:n])
			total += int64(written)
			if err != nil {
				return total, nil, err
			}
		}
		if err != nil {
			return total, err, nil
		}
		if wanted := poolFor(n, len(*buffer)); wanted != pool {
			pool.Put(buffer)
			pool, buffer = wanted, wanted.Get().(*[]byte)
		}
	}
}

const (
	smallBuffer = 4 << 10
	largeBuffer = maxFrame - 12 // with yamux' header a whole frame
)

var (
	small = sync.Pool{New: func() any { b := make([]byte, smallBuffer); return &b }}
	large = sync.Pool{New: func() any { b := make([]byte, largeBuffer); return &b }}
)

// poolFor chooses the next buffer by what the last read gave.
func poolFor(read, size int) *sync.Pool {
	if read == size || read > smallBuffer {
		return &large
	}
	return &small
}

// Abort resets a connection.
func Abort(conn Conn) {
	switch c := conn.(type) {
	case Aborter:
		c.Abort()
	case *net.TCPConn:
		_ = c.SetLinger(0)
		_ = c.Close()
	default:
		_ = c.Close()
	}
}
