package connect

import (
	"context"
	"crypto/ed25519"
	"net"

	"devcluster/agent/internal/control"
	"devcluster/agent/internal/hold"
	"devcluster/agent/internal/lane"
)

// Config is what the port needs.
type Config struct {
	Key    ed25519.PrivateKey // the agent's
	Laptop ed25519.PublicKey  // who may enter
	Memory int64              // bytes for the lanes' windows; 0: lane.DefaultBudget
	// Writable are the mounts in which the laptop may change files.
	Writable []string
}

// Port is the agent's port and its lanes; it implements hold.Lanes.
type Port struct {
	config  Config
	lanes   registry
	resolve func() resolver
}

var _ hold.Lanes = (*Port)(nil)

// New makes a port. The keeper is given to Serve: keeper and port need each
// other.
func New(config Config) *Port {
	if config.Memory > 0 {
		lane.SetBudget(config.Memory)
	}
	return &Port{config: config, lanes: registry{lanes: map[*lane.Session]int64{}}, resolve: podResolver}
}

// Serve answers listener until ctx ends.
func (p *Port) Serve(ctx context.Context, listener net.Listener, keeper hold.Keeper) error {
	server, err := control.New(p.config.Key, p.config.Laptop, keeper, control.Mounts, p.config.Writable)
	if err != nil {
		return err
	}
	answering := &port{
		probe: map[string]func() (bool, string){pathReady: keeper.Ready, pathLive: keeper.Live},
		upgrades: map[string]upgrade{
			"ssh": server.Serve,
			"devcluster-lane": func(ctx context.Context, conn net.Conn, proved func()) {
				p.serveLane(ctx, conn, proved, keeper)
			},
		},
		waiting: &waiting{most: maxUnproved},
	}
	return answering.serve(ctx, listener)
}
