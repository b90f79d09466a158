package tun

import (
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/waiter"
)

// Flow is the datagrams between one port of the local pod and one address. Read and Write keep the borders
// of datagrams.
type Flow struct {
	*gonet.UDPConn
	From, To netip.AddrPort
}

func newFlow(queue *waiter.Queue, endpoint tcpip.Endpoint, from, to netip.AddrPort) *Flow {
	return &Flow{UDPConn: gonet.NewUDPConn(queue, endpoint), From: from, To: to}
}
