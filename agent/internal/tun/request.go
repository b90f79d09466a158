package tun

import (
	"net/netip"
	"syscall"

	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// Request is a connection that the local pod wants and that nobody has answered yet. Exactly one of
// Accept, Refuse, Ignore and Unreachable ends it.
type Request struct {
	From, To netip.AddrPort

	request *tcp.ForwarderRequest
	seen    *sequences
	answers *unreachable
}

// Accept answers the handshake and waits until it is complete.
func (r *Request) Accept() (*Conn, error) {
	queue := new(waiter.Queue)
	endpoint, failure := r.request.CreateEndpoint(queue)
	if failure != nil {
		r.finish(true)
		return nil, errnoOf(failure)
	}
	r.finish(false)
	return newConn(queue, endpoint), nil
}

// Refuse answers with a RST: the caller sees ECONNREFUSED.
func (r *Request) Refuse() { r.finish(true) }

// Ignore answers nothing. The caller's kernel asks again, as on a network that lost the packet.
func (r *Request) Ignore() { r.finish(false) }

// Unreachable answers as a router would: the caller sees errno, EHOSTUNREACH or ENETUNREACH.
func (r *Request) Unreachable(errno syscall.Errno) {
	if sequence, known := r.seen.get(r.request.ID()); known {
		r.answers.send(r.From, r.To, sequence, errno)
	}
	r.finish(false)
}

func (r *Request) finish(reset bool) {
	r.seen.forget(r.request.ID())
	r.request.Complete(reset)
}
