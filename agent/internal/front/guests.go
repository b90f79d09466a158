package front

import (
	"errors"
	"io"
	"net"
	"time"

	"devcluster/agent/internal/lane"
	"devcluster/agent/internal/proof"
)

// Expect makes front look for proofs with key for so long (package proof).
func (f *Front) Expect(key []byte, span time.Duration) error { return f.guests.Expect(key, span) }

// receive gives the connection as it is carried on; guest is nil while nobody
// proves a route.
func (f *Front) receive(conn *net.TCPConn) (guest *proof.Guest, client lane.Conn) {
	if guest = f.guests.Watch(conn); guest != nil {
		return guest, guest
	}
	return nil, conn
}

// patience is how long a connection that nobody takes is looked at: one that
// waits is tried again soon, one that is lost anyway may be asked who it is.
func patience(final bool) time.Duration {
	if final {
		return 500 * time.Millisecond
	}
	return 100 * time.Millisecond
}

func (f *Front) answer(port int, v visit, err error) proof.Answer {
	answer := proof.Answer{Address: f.config.Address, Port: port, Route: string(v.route)}
	switch {
	case errors.Is(err, errQueued):
		answer.Errno, answer.Text = "EAGAIN", "connections are held"
	case err != nil && v.route == Laptop && !said(err):
		answer.Errno, answer.Text = "EAGAIN", "the lane broke: "+err.Error()
	case err != nil:
		named := lane.FromError(err)
		answer.Errno, answer.Text = named.Name, named.Text
	}
	return answer
}

// said is whether the laptop itself gave this error, by its name.
func said(err error) bool {
	var errno *lane.ErrnoError
	return errors.As(err, &errno)
}

// cut ends a connection whose other side does not.
func cut(conn io.Closer) {
	if stream, ok := conn.(lane.Aborter); ok {
		stream.Abort()
		return
	}
	_ = conn.Close()
}
