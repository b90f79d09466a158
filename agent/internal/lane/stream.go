package lane

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/libp2p/go-yamux/v5"
)

// Stream is one connection on a lane: a net.Conn whose directions close apart
// and which can be reset, as TCP's.
type Stream struct {
	mux     *yamux.Stream
	session *Session
	unread  int64 // guarded by the process' unread.mu
}

func newStream(session *Session, mux *yamux.Stream) *Stream {
	stream := &Stream{mux: mux, session: session}
	session.meter.count(stream)
	return stream
}

var _ net.Conn = (*Stream)(nil)

// Read reads what the other side sent. io.EOF is its CloseWrite, ErrStreamReset
// of yamux an Abort.
func (s *Stream) Read(b []byte) (int, error) {
	n, err := s.mux.Read(b)
	s.session.received.Add(int64(n))
	if n > 0 {
		s.took(n)
		// The data is here; that its window update found no way is the next
		// call's matter.
		return n, nil
	}
	if err != nil && err != io.EOF && errors.Is(err, io.EOF) {
		// yamux wraps the end of the lane's own connection: no end of data.
		return 0, errLost
	}
	return n, err
}

var errLost = fmt.Errorf("the lane is down: %w", yamux.ErrStreamReset)

// Write blocks while the other side does not read.
func (s *Stream) Write(b []byte) (int, error) {
	n, err := s.mux.Write(b)
	s.session.sent.Add(int64(n))
	return n, err
}

// CloseWrite tells the other side that nothing more comes (FIN).
func (s *Stream) CloseWrite() error { return s.mux.CloseWrite() }

// Abort resets the stream (RST): both sides lose what is still under way.
func (s *Stream) Abort() {
	s.over()
	_ = s.mux.Reset()
}

// Close ends the stream politely where the other side has ended too, and
// resets it otherwise: yamux would let a peer that still writes wait for ever.
func (s *Stream) Close() error {
	s.over()
	_ = s.mux.CloseWrite()
	return s.mux.Reset()
}

// Answer tells the opener the result, once: nil for success, or the error of
// the dial, after which the stream is over.
func (s *Stream) Answer(err error) error {
	if err == nil {
		return s.say(answer{OK: true})
	}
	named := FromError(err)
	said := s.say(answer{Errno: named.Name, Text: shorten(named.Text), Again: named.Again})
	s.over()
	_ = s.mux.Close()
	return said
}

func (s *Stream) say(a answer) error {
	frame, err := encode(a)
	if err != nil {
		return err
	}
	_, err = s.mux.Write(frame)
	return err
}

func shorten(text string) string {
	const most = 512
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}

// ask sends a header's frame and waits for the answer.
func (s *Stream) ask(frame []byte) error {
	if _, err := s.mux.Write(frame); err != nil {
		return err
	}
	var said answer
	if err := decode(s.mux, &said); err != nil {
		return err
	}
	if !said.OK {
		return &ErrnoError{Name: said.Errno, Text: said.Text, Again: said.Again}
	}
	return nil
}

// LocalAddr is the address of the lane's own connection.
func (s *Stream) LocalAddr() net.Addr { return s.mux.LocalAddr() }

// RemoteAddr is the address of the lane's own connection.
func (s *Stream) RemoteAddr() net.Addr { return s.mux.RemoteAddr() }

// SetDeadline bounds reads and writes.
func (s *Stream) SetDeadline(t time.Time) error { return s.mux.SetDeadline(t) }

// SetReadDeadline bounds reads.
func (s *Stream) SetReadDeadline(t time.Time) error { return s.mux.SetReadDeadline(t) }

// SetWriteDeadline bounds writes.
func (s *Stream) SetWriteDeadline(t time.Time) error { return s.mux.SetWriteDeadline(t) }
