package tun

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	// Mark is SO_MARK of the gateway's own sockets that leave by the docker network.
	Mark = 0x6463
	// directTable holds the one way to the docker network's gateway.
	directTable = 100

	markedPriority   = 100
	answeredPriority = 101
)

// Network is what the routes are made of.
type Network struct {
	Device        string       // the TUN device
	Address       netip.Addr   // the pod's own
	DockerNetwork netip.Prefix // stays on link
	DockerGateway netip.Addr
}

// Link is the interface of the docker network and the namespace's own address there.
type Link struct {
	Name    string
	Index   int
	Address netip.Addr
}

// Configure moves the default route to the TUN device and keeps the docker network on link. It may run
// again after a gateway before it has died.
func Configure(network Network) (Link, error) {
	docker, err := findDockerLink(network.DockerNetwork)
	if err != nil {
		return Link{}, err
	}
	device, err := bringUp(network)
	if err != nil {
		return Link{}, err
	}
	if err := routeDirect(network, docker); err != nil {
		return Link{}, err
	}
	return docker, moveDefault(network, docker, device)
}

func findDockerLink(docker netip.Prefix) (Link, error) {
	addresses, err := netlink.AddrList(nil, unix.AF_INET)
	if err != nil {
		return Link{}, fmt.Errorf("list addresses: %w", err)
	}
	for _, address := range addresses {
		ip, ok := netip.AddrFromSlice(address.IP.To4())
		if !ok || !docker.Contains(ip) {
			continue
		}
		link, err := netlink.LinkByIndex(address.LinkIndex)
		if err != nil {
			return Link{}, fmt.Errorf("interface of %s: %w", ip, err)
		}
		if link.Attrs().Name != DeviceName {
			return Link{Name: link.Attrs().Name, Index: address.LinkIndex, Address: ip}, nil
		}
	}
	return Link{}, fmt.Errorf("no interface has an address in the docker network %s: start the netns container in that network", docker)
}

func bringUp(network Network) (netlink.Link, error) {
	device, err := netlink.LinkByName(network.Device)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", network.Device, err)
	}
	// The default queue of 500 packets overflows when many connections write at once, and each drop costs a
	// retransmission time-out.
	if err := netlink.LinkSetTxQLen(device, 4096); err != nil {
		return nil, fmt.Errorf("queue length of %s: %w", network.Device, err)
	}
	if err := netlink.LinkSetMTU(device, MTU); err != nil {
		return nil, fmt.Errorf("mtu of %s: %w", network.Device, err)
	}
	if err := netlink.LinkSetUp(device); err != nil {
		return nil, fmt.Errorf("bring up %s: %w", network.Device, err)
	}
	own := &netlink.Addr{IPNet: host(network.Address)}
	if err := netlink.AddrReplace(device, own); err != nil {
		return nil, fmt.Errorf("address %s on %s: %w", network.Address, network.Device, err)
	}
	return device, nil
}

// routeDirect makes table 100, the way past the TUN, and says who may take it: the gateway's marked sockets,
// and packets whose source is already the docker address. The latter are answers to connections that came to
// a published port from beyond the docker network. A connection that the workload opens has no source when
// its route is chosen; the main table then gives it the TUN and the pod's address, so it never matches.
func routeDirect(network Network, docker Link) error {
	source := net.IP(network.DockerGateway.AsSlice())
	own := net.IP(docker.Address.AsSlice())
	routes := []netlink.Route{
		{LinkIndex: docker.Index, Dst: prefix(network.DockerNetwork), Src: own, Scope: netlink.SCOPE_LINK, Table: directTable},
		{LinkIndex: docker.Index, Dst: everywhere(), Gw: source, Src: own, Table: directTable},
	}
	for _, route := range routes {
		if err := netlink.RouteReplace(&route); err != nil {
			return fmt.Errorf("route %s by %s: %w", route.Dst, docker.Name, err)
		}
	}
	marked := netlink.NewRule()
	marked.Priority, marked.Table, marked.Mark = markedPriority, directTable, Mark
	answers := netlink.NewRule()
	answers.Priority, answers.Table, answers.Src = answeredPriority, directTable, host(docker.Address)
	for _, rule := range []*netlink.Rule{marked, answers} {
		rule.Family = unix.AF_INET
		if err := netlink.RuleAdd(rule); err != nil && !errors.Is(err, syscall.EEXIST) {
			return fmt.Errorf("rule %d: %w", rule.Priority, err)
		}
	}
	return nil
}

func moveDefault(network Network, docker Link, device netlink.Link) error {
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		if err := dropDefaults(family, docker.Index); err != nil {
			return err
		}
	}
	route := netlink.Route{
		LinkIndex: device.Attrs().Index, Dst: everywhere(), Src: net.IP(network.Address.AsSlice()),
		Scope: netlink.SCOPE_LINK,
	}
	if err := netlink.RouteReplace(&route); err != nil {
		return fmt.Errorf("default route by %s: %w", network.Device, err)
	}
	return nil
}

// dropDefaults removes the docker network's default routes from the main table, IPv6 too: the pod's IPv6 way
// is not carried, and a way by the laptop would be a leak.
func dropDefaults(family, linkIndex int) error {
	routes, err := netlink.RouteListFiltered(family, &netlink.Route{LinkIndex: linkIndex, Table: unix.RT_TABLE_MAIN},
		netlink.RT_FILTER_OIF|netlink.RT_FILTER_TABLE)
	if family == unix.AF_INET6 && (errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP)) {
		return nil // a kernel without IPv6
	}
	if err != nil {
		return fmt.Errorf("list routes: %w", err)
	}
	for _, route := range routes {
		if route.Dst != nil {
			if ones, _ := route.Dst.Mask.Size(); ones != 0 {
				continue
			}
		}
		if err := netlink.RouteDel(&route); err != nil {
			return fmt.Errorf("remove default route: %w", err)
		}
	}
	return nil
}

func host(address netip.Addr) *net.IPNet {
	return prefix(netip.PrefixFrom(address, address.BitLen()))
}

func prefix(p netip.Prefix) *net.IPNet {
	p = p.Masked()
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func everywhere() *net.IPNet { return &net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)} }
