package tun

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// sequences remembers the sequence number of each SYN in flight. The kernel believes an ICMP error about a
// connection only when it quotes a number of that connection, and netstack's request does not tell it.
type sequences struct {
	mu    sync.Mutex
	known map[stack.TransportEndpointID]uint32
}

func newSequences() *sequences {
	return &sequences{known: make(map[stack.TransportEndpointID]uint32)}
}

func (s *sequences) note(id stack.TransportEndpointID, packet *stack.PacketBuffer) {
	segment := header.TCP(packet.TransportHeader().Slice())
	if len(segment) < header.TCPMinimumSize || segment.Flags()&(header.TCPFlagSyn|header.TCPFlagAck) != header.TCPFlagSyn {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= inFlight { // requests that the forwarder dropped are never forgotten one by one
		clear(s.known)
	}
	s.known[id] = segment.SequenceNumber()
}

func (s *sequences) get(id stack.TransportEndpointID) (uint32, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sequence, known := s.known[id]
	return sequence, known
}

func (s *sequences) forget(id stack.TransportEndpointID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, id)
}

// unreachable writes ICMP destination unreachable (RFC 792) straight to the device.
type unreachable struct{ fd int }

const (
	icmpSize   = header.ICMPv4MinimumSize
	quotedSize = header.IPv4MinimumSize + 8 // the header and 8 bytes of the packet in question
)

func (u *unreachable) send(from, to netip.AddrPort, sequence uint32, errno syscall.Errno) {
	packet := make([]byte, header.IPv4MinimumSize+icmpSize+quotedSize)
	writeIPv4(packet, to.Addr(), from.Addr(), len(packet), uint8(header.ICMPv4ProtocolNumber))
	icmp := header.ICMPv4(packet[header.IPv4MinimumSize:])
	icmp.SetType(header.ICMPv4DstUnreachable)
	icmp.SetCode(header.ICMPv4HostUnreachable)
	if errno == syscall.ENETUNREACH {
		icmp.SetCode(header.ICMPv4NetUnreachable)
	}
	quoted := icmp[icmpSize:]
	writeIPv4(quoted, from.Addr(), to.Addr(), header.IPv4MinimumSize+header.TCPMinimumSize, uint8(header.TCPProtocolNumber))
	segment := quoted[header.IPv4MinimumSize:]
	binary.BigEndian.PutUint16(segment, from.Port())
	binary.BigEndian.PutUint16(segment[2:], to.Port())
	binary.BigEndian.PutUint32(segment[4:], sequence)
	icmp.SetChecksum(^checksum.Checksum(icmp, 0))
	_, _ = unix.Write(u.fd, packet) // lost: the caller's kernel asks again
}

func writeIPv4(b []byte, from, to netip.Addr, size int, protocol uint8) {
	ip := header.IPv4(b)
	source, destination := fullAddress(netip.AddrPortFrom(from, 0)), fullAddress(netip.AddrPortFrom(to, 0))
	ip.Encode(&header.IPv4Fields{
		TotalLength: uint16(size), TTL: 64, Protocol: protocol,
		SrcAddr: source.Addr, DstAddr: destination.Addr,
	})
	ip.SetChecksum(^ip.CalculateChecksum())
}
