package gateway

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"devcluster/agent/internal/dns"
)

// way is where a flow of the local pod goes.
type way int

const (
	byPod    way = iota // through the pod, as the application's own
	byLaptop            // from the docker network, as the laptop's
	byDNS               // answered here
)

const (
	dnsPort = 53
	// grace is how long an address stays the laptop's after its record's time: applications keep addresses
	// longer than they may. A connection to it begins the time anew.
	grace = 10 * time.Minute
	// maxRemembered bounds the addresses; the one that expires first makes room.
	maxRemembered = 4096
)

// ways decides where a flow goes. It is safe for concurrent use.
type ways struct {
	mu         sync.Mutex
	names      []string
	networks   []netip.Prefix
	resolvers  []netip.Addr
	remembered map[netip.Addr]time.Time
	now        func() time.Time
}

func newWays(names []string, networks []netip.Prefix, resolvers []netip.Addr) *ways {
	return &ways{names: names, networks: networks, resolvers: resolvers, remembered: make(map[netip.Addr]time.Time), now: time.Now}
}

// of tells where a flow to an address goes.
func (w *ways) of(to netip.AddrPort) way {
	w.mu.Lock()
	defer w.mu.Unlock()
	if to.Port() == dnsPort && slices.Contains(w.resolvers, to.Addr()) {
		return byDNS
	}
	for _, network := range w.networks {
		if network.Contains(to.Addr()) {
			return byLaptop
		}
	}
	if until, known := w.remembered[to.Addr()]; known {
		if w.now().Before(until) {
			w.remembered[to.Addr()] = later(until, w.now().Add(grace))
			return byLaptop
		}
		delete(w.remembered, to.Addr())
	}
	return byPod
}

// isLocal tells whether the file gives a name to the laptop.
func (w *ways) isLocal(name string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return dns.MatchAny(w.names, name)
}

// remember gives an address to the laptop for a while.
func (w *ways) remember(address netip.Addr, ttl time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.remembered[address]; !known && len(w.remembered) >= maxRemembered {
		w.forgetOldest()
	}
	w.remembered[address] = later(w.remembered[address], w.now().Add(ttl+grace))
}

func (w *ways) forgetOldest() {
	var oldest netip.Addr
	for address, until := range w.remembered {
		if !oldest.IsValid() || until.Before(w.remembered[oldest]) {
			oldest = address
		}
	}
	delete(w.remembered, oldest)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// substitute is the source of an inbound connection whose true caller can't be shown: link-local, so no host of
// any network that the application knows.
var substitute = netip.AddrFrom4([4]byte{169, 254, 77, 1})

// caller gives the source from which an inbound connection is injected. The true one, except where the kernel
// would drop it as a martian or answer past the TUN: the local pod's own address (the application that comes
// back to itself through its Service), loopback, multicast, and what the docker network has on link.
func caller(from netip.AddrPort, own netip.Addr, docker netip.Prefix) netip.AddrPort {
	address := from.Addr().Unmap()
	if !address.Is4() || address == own || docker.Contains(address) || address.IsLoopback() ||
		address.IsMulticast() || address.IsUnspecified() || address.As4()[0] >= 240 {
		return netip.AddrPortFrom(substitute, 0)
	}
	return netip.AddrPortFrom(address, from.Port())
}
