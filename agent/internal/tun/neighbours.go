package tun

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Neighbours leads what the application opens to the pod's other containers, at 127.0.0.1 and at the pod's own
// address, into the TUN, whose other end they are: the kernel would look for them here and refuse.
//
// A rule for each port goes before the kernel's table of local addresses. So connect() tells the truth, and the
// ports stay the application's to bind. The naive way, a listener for each port, accepts first and asks the pod
// then, and takes the port from an application that wants it itself.
//
// The answers have a local address as their source, which the kernel drops on any device but loopback. The TUN may
// have such, by route_localnet; and the kernel checks a source by the way that an answer would take, ports included, as
// long as no rule names the device "lo". So what came by the TUN has a rule of its own instead, before them.
type Neighbours struct {
	network Network

	mu  sync.Mutex
	led map[Listener]struct{}
}

const (
	neighboursTable = 101
	routeLocalnet   = 26 // IPV4_DEVCONF_ROUTE_LOCALNET

	arrivedPriority    = 10
	neighboursPriority = 20
	localPriority      = 30 // of the kernel's own table, which has 0 from the start
)

// Listener is a port that a neighbour listens on.
type Listener struct {
	netip.AddrPort
	UDP bool
}

// NewNeighbours prepares the namespace, after Configure. What a gateway before it has left is taken away.
func NewNeighbours(network Network) (*Neighbours, error) {
	device, err := netlink.LinkByName(network.Device)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", network.Device, err)
	}
	if err := allowLocal(device); err != nil {
		return nil, fmt.Errorf("route_localnet of %s: %w", network.Device, err)
	}
	way := netlink.Route{
		LinkIndex: device.Attrs().Index, Dst: everywhere(), Src: net.IP(network.Address.AsSlice()),
		Scope: netlink.SCOPE_LINK, Table: neighboursTable,
	}
	if err := netlink.RouteReplace(&way); err != nil {
		return nil, fmt.Errorf("route to the pod's other containers: %w", err)
	}
	return &Neighbours{network: network, led: map[Listener]struct{}{}}, prepareRules(network.Device)
}

// allowLocal sets route_localnet by netlink: /proc/sys is read-only in a container.
func allowLocal(device netlink.Link) error {
	request := nl.NewNetlinkRequest(unix.RTM_SETLINK, unix.NLM_F_ACK)
	message := nl.NewIfInfomsg(unix.AF_UNSPEC)
	message.Index = int32(device.Attrs().Index)
	request.AddData(message)
	families := nl.NewRtAttr(unix.IFLA_AF_SPEC|unix.NLA_F_NESTED, nil)
	conf := families.AddRtAttr(unix.AF_INET|unix.NLA_F_NESTED, nil).AddRtAttr(unix.IFLA_INET_CONF|unix.NLA_F_NESTED, nil)
	conf.AddRtAttr(routeLocalnet, nl.Uint32Attr(1))
	request.AddData(families)
	_, err := request.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

// prepareRules takes away what a gateway before has left, and makes room before the kernel's table of local
// addresses: its rule comes first, and a rule of the same priority would come behind it.
func prepareRules(device string) error {
	rules, err := netlink.RuleList(unix.AF_INET)
	if err != nil {
		return fmt.Errorf("list rules: %w", err)
	}
	arrived, local := netlink.NewRule(), netlink.NewRule()
	arrived.Priority, arrived.IifName, local.Priority = arrivedPriority, device, localPriority
	for _, rule := range []*netlink.Rule{arrived, local} {
		rule.Family, rule.Table = unix.AF_INET, unix.RT_TABLE_LOCAL
		if err := netlink.RuleAdd(rule); err != nil && !errors.Is(err, syscall.EEXIST) {
			return fmt.Errorf("rule %d: %w", rule.Priority, err)
		}
	}
	for _, rule := range rules {
		if rule.Priority != neighboursPriority && rule.Priority != 0 {
			continue
		}
		if err := netlink.RuleDel(&rule); err != nil {
			return fmt.Errorf("rule %d: %w", rule.Priority, err)
		}
	}
	return nil
}

// Lead makes these addresses the pod's, and no others: loopback's, and those of the pod. An unspecified one is both.
func (n *Neighbours) Lead(listeners []Listener) error {
	wanted := map[Listener]struct{}{}
	for _, listener := range listeners {
		for _, address := range n.places(listener.Addr()) {
			wanted[Listener{netip.AddrPortFrom(address, listener.Port()), listener.UDP}] = struct{}{}
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for at := range n.led {
		if _, stays := wanted[at]; stays {
			continue
		}
		if err := netlink.RuleDel(ruleFor(at)); err != nil && !errors.Is(err, syscall.ENOENT) {
			return fmt.Errorf("rule for %s: %w", at, err)
		}
		delete(n.led, at)
	}
	for at := range wanted {
		if _, stands := n.led[at]; stands {
			continue
		}
		if err := netlink.RuleAdd(ruleFor(at)); err != nil && !errors.Is(err, syscall.EEXIST) {
			return fmt.Errorf("rule for %s: %w", at, err)
		}
		n.led[at] = struct{}{}
	}
	return nil
}

// places are the IPv4 addresses at which a listener is called here.
func (n *Neighbours) places(address netip.Addr) []netip.Addr {
	loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	switch {
	case address.IsUnspecified():
		return []netip.Addr{loopback, n.network.Address}
	case address.Is4() && address.IsLoopback(), address == n.network.Address:
		return []netip.Addr{address}
	}
	return nil
}

func ruleFor(at Listener) *netlink.Rule {
	rule := netlink.NewRule()
	rule.Family, rule.Table, rule.Priority = unix.AF_INET, neighboursTable, neighboursPriority
	rule.Dst, rule.IPProto = host(at.Addr()), unix.IPPROTO_TCP
	if at.UDP {
		rule.IPProto = unix.IPPROTO_UDP
	}
	rule.Dport = netlink.NewRulePortRange(at.Port(), at.Port())
	return rule
}
