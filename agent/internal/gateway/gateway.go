// Package gateway is the local pod's way in and out: it joins its TUN device, the lanes to the agents (laptop),
// the DNS questions and the host process at the door.
//
// Rules:
//   - what the local pod opens is opened in the cluster first and answered then;
//   - what comes from the cluster is accepted only when the application has accepted;
//   - nothing takes another way where no lane stands.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"devcluster/agent/internal/dns"
	"devcluster/agent/internal/door"
	"devcluster/agent/internal/lane"
	"devcluster/agent/internal/laptop"
	"devcluster/agent/internal/tun"
)

// budget bounds the receive windows of all lanes; the laptop has more room than an application's container.
const budget = 128 << 20

// Gateway is one local pod's way in and out.
type Gateway struct {
	ctx      context.Context
	settings Settings
	end      *laptop.End
	ways     *ways
	resolver *dns.Resolver
	asking   exchanges
	stack    *tun.Stack

	neighbours *tun.Neighbours

	flows atomic.Int64
}

// Run sets the local pod's network up, writes "ready" to stdout and serves until ctx ends.
func Run(ctx context.Context, settings Settings, stdout io.Writer) error {
	gateway, err := newGateway(ctx, settings)
	if err != nil {
		return err
	}
	lane.SetBudget(budget)
	listener, err := gateway.setUp(files{Hosts: "/etc/hosts", Resolv: "/etc/resolv.conf"})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(stdout, "ready"); err != nil {
		return err
	}
	return door.New(settings.Token, gateway.end).Serve(ctx, listener)
}

func newGateway(ctx context.Context, settings Settings) (*Gateway, error) {
	g := &Gateway{ctx: ctx, settings: settings}
	var err error
	g.end, err = laptop.New(laptop.Config{
		Key: settings.Key, Agent: settings.Agent, Epoch: settings.Epoch, Inbound: g.inbound, Answer: g.request,
	})
	if err != nil {
		return nil, err
	}
	conf := parseResolvConf(settings.ResolvConf)
	g.ways = newWays(settings.LocalNames, settings.LocalNetworks, conf.servers)
	g.resolver = &dns.Resolver{
		Upstream: g.askPod, Laptop: g.askLaptop, Remember: g.ways.remember, IsLocal: g.ways.isLocal,
		Inside: append(append([]string(nil), settings.ClusterDomains...), conf.search...), Host: settings.DockerGateway,
	}
	return g, nil
}

// setUp makes the network and the files; what it makes is gone with the process, or made again by the next.
func (g *Gateway) setUp(files files) (net.Listener, error) {
	fd, err := tun.OpenDevice(tun.DeviceName)
	if err != nil {
		return nil, err
	}
	network := tun.Network{
		Device: tun.DeviceName, Address: g.settings.Address,
		DockerNetwork: g.settings.DockerNetwork, DockerGateway: g.settings.DockerGateway,
	}
	docker, err := tun.Configure(network)
	if err != nil {
		return nil, err
	}
	if g.neighbours, err = tun.NewNeighbours(network); err != nil {
		return nil, err
	}
	if err := files.write(g.settings); err != nil {
		return nil, err
	}
	if g.stack, err = tun.NewStack(fd, g); err != nil {
		return nil, err
	}
	if err := g.neighbours.Lead(g.settings.Neighbours); err != nil {
		return nil, err
	}
	// Only on the docker network's address: 0.0.0.0 would take the port from the application.
	at := netip.AddrPortFrom(docker.Address, g.settings.Listen)
	listener, err := net.Listen("tcp4", at.String())
	if err != nil {
		return nil, fmt.Errorf("the door: %w: choose another listen port", err)
	}
	return listener, nil
}

// exchanges keeps one DNS stream open, by the pod by which connections leave: names are those of its resolver.
type exchanges struct {
	mu      sync.Mutex
	current *dns.Exchange
	pod     string
}

func (g *Gateway) askPod(ctx context.Context, query []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, dnsTime)
	defer cancel()
	for {
		exchange, err := g.exchange(ctx)
		if err != nil {
			return nil, err
		}
		answer, err := exchange.Ask(ctx, query)
		if !errors.Is(err, dns.ErrClosed) {
			return answer, err
		}
	}
}

func (g *Gateway) exchange(ctx context.Context) (*dns.Exchange, error) {
	g.asking.mu.Lock()
	defer g.asking.mu.Unlock()
	if current := g.asking.current; current != nil {
		select {
		case <-current.Done():
		default:
			if g.end.LeadsBy(g.asking.pod) {
				return current, nil
			}
			current.Close() // questions under way are asked again
		}
	}
	stream, pod, err := g.end.Open(ctx, lane.Header{Net: "dns"})
	if err != nil {
		return nil, err
	}
	g.asking.current, g.asking.pod = dns.NewExchange(stream), pod
	return g.asking.current, nil
}
