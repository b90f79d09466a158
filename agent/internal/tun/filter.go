package tun

import (
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/nested"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// filter keeps from the netstack what it would answer on its own. In promiscuous mode it holds every address
// for its own and so answers a ping of any: a host that is down would look up.
type filter struct {
	nested.Endpoint
}

func newFilter(link stack.LinkEndpoint) *filter {
	f := &filter{}
	f.Init(link, f)
	return f
}

// DeliverNetworkPacket implements stack.NetworkDispatcher.
func (f *filter) DeliverNetworkPacket(protocol tcpip.NetworkProtocolNumber, packet *stack.PacketBuffer) {
	if carried(protocol, packet) {
		f.Endpoint.DeliverNetworkPacket(protocol, packet)
	}
}

func carried(protocol tcpip.NetworkProtocolNumber, packet *stack.PacketBuffer) bool {
	if protocol != header.IPv4ProtocolNumber {
		return false
	}
	data, ok := packet.Data().PullUp(header.IPv4MinimumSize)
	if !ok {
		return false
	}
	ip := header.IPv4(data)
	if header.IsV4MulticastAddress(ip.DestinationAddress()) {
		return false
	}
	switch ip.TransportProtocol() {
	case header.TCPProtocolNumber, header.UDPProtocolNumber:
		return true
	}
	return false
}
