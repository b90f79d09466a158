package lane

import (
	"bufio"
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// wire is the connection that yamux sees. TLS makes a system call of each
// record of 16 KiB, both ways; wire gathers a frame's records into one write,
// and reads as much as there is.
//
// It also keeps time for writes: yamux has one setting for the write and for
// the ping, and a ping must fail sooner.
type wire struct {
	*tls.Conn
	meter *meter
	raw   *gathering
	read  atomic.Int64 // reads that gave something
	wrote atomic.Int64 // frames
	last  time.Time    // of the write deadline; only yamux' send loop writes
}

func newWire(conn net.Conn) *wire {
	return &wire{raw: &gathering{Conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}}
}

// secure makes conn, over raw, what is read and written.
func (w *wire) secure(conn *tls.Conn) { w.Conn, w.meter = conn, newMeter() }

// Read counts, for watch.
func (w *wire) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	if n > 0 {
		w.read.Add(1)
		w.meter.see(b[:n])
	}
	return n, err
}

// watch ends a session on whose wire nothing arrives any more. It counts ticks
// and not the clock: a process that was frozen first reads what came meanwhile.
//
// The naive way, a ping whose answer must come in time, gives up a lane that
// works: behind an uplink with a full queue an answer takes many seconds. But
// the other side's own pings, and its data, still arrive. The agent pings only
// where it had nothing to answer: at rest the gateway's pings are enough for both.
func watch(session *Session, wire *wire) {
	defer session.meter.close()
	ticker := time.NewTicker(silence / 10)
	defer ticker.Stop()
	seen, ticks, said, mute := int64(-1), 0, int64(-1), 0
	for {
		select {
		case <-session.Done():
			return
		case <-ticker.C:
		}
		now := wire.read.Load()
		if ticks++; now != seen {
			seen, ticks = now, 0
		}
		if ticks >= 10 {
			_ = session.Close()
			return
		}
		if mute++; wire.wrote.Load() != said {
			said, mute = wire.wrote.Load(), 0
		}
		if mute >= 3 {
			mute = 0
			go func() { _, _ = session.mux.Ping() }()
		}
	}
}

// Write sends one frame.
func (w *wire) Write(frame []byte) (int, error) {
	w.wrote.Add(1)
	if now := time.Now(); now.Sub(w.last) > writeTimeout/10 {
		w.last = now
		if err := w.raw.Conn.SetWriteDeadline(now.Add(writeTimeout)); err != nil {
			return 0, err
		}
	}
	w.raw.gather()
	n, err := w.Conn.Write(frame)
	if err == nil && opens(frame) {
		return n, nil
	}
	if flushed := w.raw.flush(); err == nil && flushed != nil {
		return 0, flushed
	}
	return n, err
}

// opens tells a frame that only announces a stream. Its header follows at
// once, and both go in one write: two small ones would make Nagle's algorithm,
// wherever on the way it is on, wait for the first one's acknowledgement.
// Should none follow, the next ping takes it along.
func opens(frame []byte) bool {
	const windowUpdate, syn = 1, 1
	return len(frame) == frameHeader && frame[1] == windowUpdate && frame[3]&syn != 0
}

// SetWriteDeadline is yamux' own idea of it, which wire replaces.
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// gathering is a connection whose writes can be held together for a while.
type gathering struct {
	net.Conn
	in *bufio.Reader

	mu      sync.Mutex
	holding bool
	out     []byte
}

func (g *gathering) Read(b []byte) (int, error) { return g.in.Read(b) }

func (g *gathering) Write(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.holding {
		g.out = append(g.out, b...)
		return len(b), nil
	}
	return g.Conn.Write(b)
}

func (g *gathering) gather() {
	g.mu.Lock()
	g.holding = true
	g.mu.Unlock()
}

func (g *gathering) flush() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.holding = false
	if len(g.out) == 0 {
		return nil
	}
	_, err := g.Conn.Write(g.out)
	g.out = g.out[:0]
	return err
}
