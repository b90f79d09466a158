package process

import (
	"cmp"
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"devcluster/agent/internal/lane"
	"devcluster/agent/internal/laptop"
	"devcluster/agent/internal/sockets"
)

// hosts are asked one after the other: what listens on "localhost" may have chosen either.
var hosts = []string{"127.0.0.1", "::1"}

// listening lists the sockets of this machine.
var listening = sockets.Listening

// listeners gives the ports at which 127.0.0.1 or ::1 is heard; false where the system does not tell.
func listeners() (map[uint16]bool, bool) {
	all, known := listening()
	found := map[uint16]bool{}
	for _, at := range all {
		if address := at.Addr(); address.IsUnspecified() || slices.Contains(hosts, address.String()) {
			found[at.Port()] = true
		}
	}
	return found, known
}

// ports leads the pod's ports to the laptop's, and remembers who answered. It is safe for concurrent use.
type ports struct {
	locals   map[uint16]uint16
	patience time.Duration

	mu       sync.Mutex
	answered map[uint16]bool      // by the pod's port: whether the last connection was accepted
	silence  map[uint16]time.Time // by the pod's port: when the first of those was refused that found nobody
}

func newPorts(locals map[uint16]uint16, patience time.Duration) *ports {
	return &ports{locals: locals, patience: patience, answered: map[uint16]bool{}, silence: map[uint16]time.Time{}}
}

func (p *ports) local(port uint16) uint16 {
	if local, known := p.locals[port]; known {
		return local
	}
	return port
}

// dial connects to whoever serves port here.
func (p *ports) dial(ctx context.Context, port uint16) (*net.TCPConn, error) {
	local := strconv.Itoa(int(p.local(port)))
	var first error
	for _, host := range hosts {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(host, local))
		if err == nil {
			p.note(port, true)
			return conn.(*net.TCPConn), nil
		}
		first = cmp.Or(first, err) // no IPv6 at all is no answer
		if !errors.Is(err, syscall.ECONNREFUSED) {
			break
		}
	}
	if since := p.note(port, false); errors.Is(first, syscall.ECONNREFUSED) && since < p.patience {
		return nil, &lane.ErrnoError{Name: "ECONNREFUSED", Text: "nobody listens yet", Again: true}
	}
	return nil, first
}

// note gives for how long nobody has answered.
func (p *ports) note(port uint16, answered bool) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answered[port] = answered
	if answered {
		delete(p.silence, port)
		return 0
	}
	if _, known := p.silence[port]; !known {
		p.silence[port] = time.Now()
	}
	return time.Since(p.silence[port])
}

// silent tells the ports on which nobody listens: by the kernel's own list where it can be read, and else by
// the last connection. One that was accepted shows somebody whom that list does not (a port that is forwarded).
func (p *ports) silent() []laptop.Silent {
	heard, known := listeners()
	p.mu.Lock()
	defer p.mu.Unlock()
	all := map[uint16]bool{}
	for port := range p.locals {
		all[port] = true
	}
	for port := range p.answered {
		all[port] = true
	}
	var found []laptop.Silent
	for port := range all {
		local := p.local(port)
		answered, asked := p.answered[port]
		if silent := asked && !answered; answered || (known && heard[local]) || (!known && !silent) {
			continue
		}
		found = append(found, laptop.Silent{Port: port, Local: local})
	}
	slices.SortFunc(found, func(a, b laptop.Silent) int { return cmp.Compare(a.Port, b.Port) })
	return found
}
