package proof

import (
	"io"
	"net"
	"sync/atomic"
	"time"
)

const (
	// rest is how long the rest of a message may take that began like one.
	rest = 500 * time.Millisecond
	// parting is how long the application may take to end a connection on
	// which its caller has ended.
	parting = 2 * time.Second
	// courtesy is how long an end of the application's waits for the caller's
	// first bytes: one that ends at once would take the answer's way along.
	courtesy = 250 * time.Millisecond
)

// Guest is a connection that may turn out to be a proof. It is used as any
// other; what its caller says first is looked at on the way. Only one goroutine
// reads it at a time.
type Guest struct {
	*net.TCPConn
	guests *Guests

	decided bool
	early   []byte // read, and not handed on yet
	err     error  // what ended the reading, behind early
	key     []byte // of the proof that it is
	nonce   []byte
	answer  Answer
	ended   func()

	settled chan struct{} // closed when it is decided, and answered if it is a proof
	over    atomic.Bool   // answered: nothing of the application's is handed on any more
}

// Watch gives a guest where a proof is expected, or nil.
func (g *Guests) Watch(conn *net.TCPConn) *Guest {
	if !g.any() {
		return nil
	}
	return &Guest{TCPConn: conn, guests: g, settled: make(chan struct{})}
}

// Meet says what a proof is to be answered now that somebody has accepted the
// connection; ended is called where that one does not end it by itself.
func (g *Guest) Meet(answer Answer, ended func()) {
	if g != nil {
		g.answer, g.ended = answer, ended
	}
}

// Look waits so long for the first bytes, and tells whether they are a proof.
// It is for a connection that nobody can take at the moment.
func (g *Guest) Look(patience time.Duration) bool {
	if g == nil {
		return false
	}
	if !g.decided {
		_ = g.SetReadDeadline(time.Now().Add(patience))
		g.examine(true)
		_ = g.SetReadDeadline(time.Time{})
	}
	return g.key != nil
}

// Tell answers a proof that Look has found, and ends the connection.
func (g *Guest) Tell(answer Answer) {
	g.answer = answer
	g.reply()
	_ = g.Close()
}

// Read gives what the caller said, and an end where that was a proof.
func (g *Guest) Read(b []byte) (int, error) {
	if !g.decided {
		g.examine(false)
	}
	switch {
	case g.key != nil:
		g.reply()
		return 0, io.EOF
	case len(g.early) > 0:
		n := copy(b, g.early)
		g.early = g.early[n:]
		return n, nil
	case g.err != nil:
		return 0, g.err
	}
	return g.TCPConn.Read(b)
}

// examine reads until it is certain what the first bytes are. With a deadline
// of the caller's it may leave that open, if nothing has come.
func (g *Guest) examine(bounded bool) {
	message := make([]byte, messageSize)
	have := copy(message, g.early)
	for !g.decided {
		n, err := g.TCPConn.Read(message[have:])
		if have == 0 && n > 0 {
			_ = g.SetReadDeadline(time.Now().Add(rest))
		}
		have += n
		like := string(message[:min(have, len(magic))]) == magic[:min(have, len(magic))]
		switch {
		case have == messageSize && like:
			g.decided = true
			g.key, g.nonce, _ = g.guests.admit(message)
		case !like:
			g.decided = true
		case isTimeout(err) && have > 0:
			g.decided = true
		case isTimeout(err) && bounded:
			return
		case err != nil:
			g.decided, g.err = true, err
		}
	}
	g.early = message[:have]
	_ = g.SetReadDeadline(time.Time{})
	if g.key == nil {
		close(g.settled)
	}
}

// reply writes the answer as the last thing that the caller hears.
func (g *Guest) reply() {
	if g.over.Swap(true) {
		return
	}
	defer close(g.settled)
	_ = g.SetWriteDeadline(time.Now().Add(parting))
	_, _ = g.TCPConn.Write(frame(g.key, g.nonce, g.answer))
	_ = g.TCPConn.CloseWrite()
	if g.ended != nil {
		time.AfterFunc(parting, g.ended)
	}
}

// Write hands on what the application says, except to a proof that was answered.
func (g *Guest) Write(b []byte) (int, error) {
	if g.over.Load() {
		return len(b), nil
	}
	return g.TCPConn.Write(b)
}

// settle waits a little for the caller's first bytes.
func (g *Guest) settle() {
	timer := time.NewTimer(courtesy)
	defer timer.Stop()
	select {
	case <-g.settled:
	case <-timer.C:
	}
}

// CloseWrite is the application's end of data.
func (g *Guest) CloseWrite() error {
	g.settle()
	if g.over.Load() {
		return nil
	}
	return g.TCPConn.CloseWrite()
}

// Abort resets the connection, unless an answer may be on its way.
func (g *Guest) Abort() {
	g.settle()
	if !g.over.Load() {
		_ = g.SetLinger(0)
	}
	_ = g.Close()
}

func isTimeout(err error) bool {
	timeout, ok := err.(net.Error)
	return ok && timeout.Timeout()
}
