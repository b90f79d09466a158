package main

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"devcluster/agent/internal/dns"
	"devcluster/agent/internal/lane"
)

func serveLane(session *lane.Session) {
	for {
		header, stream, err := session.Accept(context.Background())
		if err != nil {
			return
		}
		go serveStream(header, stream)
	}
}

func serveStream(header lane.Header, stream *lane.Stream) {
	switch header.Net {
	case "dns":
		_ = stream.Answer(nil)
		resolver().ServeStream(context.Background(), stream)
		return
	case "udp":
		serveUDP(header, stream)
		return
	}
	conn, err := dial("tcp", header.To)
	if err != nil {
		_ = stream.Answer(err)
		return
	}
	if stream.Answer(nil) == nil {
		lane.Splice(stream, conn.(*net.TCPConn))
	}
}

func dial(network, to string) (net.Conn, error) {
	address, err := netip.ParseAddrPort(to)
	if err != nil {
		return nil, err
	}
	switch address.Addr().As4()[2] {
	case 1:
		time.Sleep(3 * time.Second)
		return nil, syscall.ETIMEDOUT
	case 2:
		return nil, syscall.EHOSTUNREACH
	}
	return net.Dial(network, net.JoinHostPort("127.0.0.1", strconv.Itoa(int(address.Port()))))
}

func serveUDP(header lane.Header, stream *lane.Stream) {
	conn, err := dial("udp", header.To)
	_ = stream.Answer(err)
	if err != nil {
		return
	}
	go func() {
		buffer := make([]byte, 0xffff)
		for {
			n, err := conn.Read(buffer)
			if err != nil {
				return
			}
			_, _ = stream.Write(append(binary.BigEndian.AppendUint16(nil, uint16(n)), buffer[:n]...))
		}
	}()
	for {
		message, err := dns.ReadMessage(stream) // the same frame
		if err != nil {
			_ = conn.Close()
			return
		}
		_, _ = conn.Write(message)
	}
}

// resolver is the pod's: it knows one Service.
func resolver() *dns.Resolver {
	known := "wordpress-mariadb.wordpress.svc.cluster.local"
	return &dns.Resolver{
		IsLocal: func(string) bool { return true },
		Laptop: func(_ context.Context, name string) (dns.Found, error) {
			switch name {
			case known:
				return dns.Found{Addresses: []netip.Addr{netip.MustParseAddr("10.99.0.9")}, TTL: 5 * time.Second}, nil
			case "many.wordpress.svc.cluster.local":
				var many []netip.Addr
				for i := range 200 {
					many = append(many, netip.AddrFrom4([4]byte{10, 99, 0, byte(i)}))
				}
				return dns.Found{Addresses: many, TTL: time.Second}, nil
			}
			return dns.Found{}, dns.ErrNotFound
		},
		Remember: func(netip.Addr, time.Duration) {},
	}
}
