package tun

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/fdbased"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

const (
	nicID tcpip.NICID = 1

	// inFlight bounds the connections whose other side is still being dialled.
	inFlight = 4096

	// The way to the local pod takes a fraction of a millisecond, so a small buffer keeps it busy; and a
	// connection that nobody reads holds all of it.
	bufferMin     = 4 << 10
	bufferDefault = 256 << 10
	bufferMax     = 1 << 20

	// timeWait is short: the caller's address and port come from the cluster and may come again.
	timeWait = time.Second
)

// Handler takes the local pod's flows. Both methods run in a goroutine of the flow's own.
type Handler interface {
	TCP(request *Request)
	UDP(flow *Flow)
}

// Stack is the netstack behind the TUN device.
type Stack struct {
	stack *stack.Stack
	seen  *sequences
}

// NewStack attaches a netstack to the TUN device fd and hands each flow to handler.
func NewStack(fd int, handler Handler) (*Stack, error) {
	link, err := fdbased.New(&fdbased.Options{FDs: []int{fd}, MTU: MTU, RXChecksumOffload: true})
	if err != nil {
		return nil, fmt.Errorf("attach the TUN device: %w", err)
	}
	s := stack.New(stack.Options{
		// Connections to 127.0.0.1 are those to the pod's other containers (Neighbours).
		NetworkProtocols: []stack.NetworkProtocolFactory{
			ipv4.NewProtocolWithOptions(ipv4.Options{AllowExternalLoopbackTraffic: true}),
		},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol},
	})
	if err := setOptions(s); err != nil {
		return nil, err
	}
	answers := &unreachable{fd: fd}
	result := &Stack{stack: s, seen: newSequences()}
	listen(s, handler, result.seen, answers)
	if failure := s.CreateNIC(nicID, newFilter(link)); failure != nil {
		return nil, fmt.Errorf("attach the TUN device: %s", failure)
	}
	// Promiscuous: packets to any address are ours. Spoofing: we send from any address.
	s.SetPromiscuousMode(nicID, true)
	s.SetSpoofing(nicID, true)
	s.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: nicID}})
	return result, nil
}

func setOptions(s *stack.Stack) error {
	receive := tcpip.TCPReceiveBufferSizeRangeOption{Min: bufferMin, Default: bufferDefault, Max: bufferMax}
	send := tcpip.TCPSendBufferSizeRangeOption{Min: bufferMin, Default: bufferDefault, Max: bufferMax}
	moderate := tcpip.TCPModerateReceiveBufferOption(true)
	sack := tcpip.TCPSACKEnabled(true)
	wait := tcpip.TCPTimeWaitTimeoutOption(timeWait)
	for _, option := range []tcpip.SettableTransportProtocolOption{&receive, &send, &moderate, &sack, &wait} {
		if failure := s.SetTransportProtocolOption(tcp.ProtocolNumber, option); failure != nil {
			return fmt.Errorf("netstack option %T: %s", option, failure)
		}
	}
	return nil
}

func listen(s *stack.Stack, handler Handler, seen *sequences, answers *unreachable) {
	connections := tcp.NewForwarder(s, bufferDefault, inFlight, func(request *tcp.ForwarderRequest) {
		id := request.ID()
		handler.TCP(&Request{
			From: addrPort(id.RemoteAddress, id.RemotePort), To: addrPort(id.LocalAddress, id.LocalPort),
			request: request, seen: seen, answers: answers,
		})
	})
	s.SetTransportProtocolHandler(tcp.ProtocolNumber, func(id stack.TransportEndpointID, packet *stack.PacketBuffer) bool {
		seen.note(id, packet)
		return connections.HandlePacket(id, packet)
	})
	datagrams := udp.NewForwarder(s, func(request *udp.ForwarderRequest) {
		id := request.ID()
		var queue waiter.Queue
		endpoint, failure := request.CreateEndpoint(&queue)
		if failure != nil { // a second packet of a flow that has just begun
			return
		}
		go handler.UDP(newFlow(&queue, endpoint, addrPort(id.RemoteAddress, id.RemotePort), addrPort(id.LocalAddress, id.LocalPort)))
	})
	s.SetTransportProtocolHandler(udp.ProtocolNumber, datagrams.HandlePacket)
}

// Close ends every connection.
func (s *Stack) Close() { s.stack.Destroy() }

// Dial connects to the local pod's own address and port as if from caller; port 0 means any. Errors are
// errno: ECONNREFUSED where nobody listens, EADDRINUSE where caller has such a connection already.
func (s *Stack) Dial(ctx context.Context, caller, to netip.AddrPort) (*Conn, error) {
	queue := new(waiter.Queue)
	endpoint, failure := s.stack.NewEndpoint(tcp.ProtocolNumber, ipv4.ProtocolNumber, queue)
	if failure != nil {
		return nil, errnoOf(failure)
	}
	endpoint.SocketOptions().SetReuseAddress(true)
	entry, ready := waiter.NewChannelEntry(waiter.WritableEvents | waiter.EventErr | waiter.EventHUp)
	queue.EventRegister(&entry)
	defer queue.EventUnregister(&entry)
	if failure = endpoint.Bind(fullAddress(caller)); failure == nil {
		failure = endpoint.Connect(fullAddress(to))
	}
	if _, started := failure.(*tcpip.ErrConnectStarted); started {
		select {
		case <-ctx.Done():
			endpoint.Abort()
			return nil, contextErrno(ctx)
		case <-ready:
		}
		failure = endpoint.LastError()
	}
	if failure != nil {
		endpoint.Close()
		return nil, errnoOf(failure)
	}
	return newConn(queue, endpoint), nil
}

func contextErrno(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return syscall.ETIMEDOUT
	}
	return ctx.Err()
}
