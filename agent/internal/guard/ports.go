package guard

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"devcluster/agent/internal/child"
	"devcluster/agent/internal/control"
	"devcluster/agent/internal/hold"
	"devcluster/agent/internal/probe"
	"devcluster/agent/internal/sockets"
)

const (
	look     = 100 * time.Millisecond // between two looks at an application that starts
	straggle = 3 * time.Second        // for the rest of its ports, once it listens on one
	guess    = 5 * time.Second        // for ports that it may never listen on
	settle   = time.Second            // for one that is expected on no port at all
	watch    = time.Second            // between two looks at the pod
	frugal   = 50                     // one look lasts at most this part of the time
	chosen   = 32768                  // from here on the kernel gives ports to who asks for any
)

// watchPod looks who listens, and what kubelet wrote last, while somebody wants to
// know: both at once, since waking up costs as much as looking. A container's
// mounts stay what they are.
func (g *Guard) watchPod() {
	renewed := renewedFolders()
	for pause := watch; ; {
		time.Sleep(pause)
		if g.held() {
			began := time.Now()
			g.look()
			if len(renewed) > 0 {
				g.setVersions(control.Versions(renewed))
			}
			pause = max(watch, frugal*time.Since(began))
		}
	}
}

// look sees who listens in the pod at this moment, and gives the application's.
// What it listened on before it was stopped is not forgotten.
func (g *Guard) look() []netip.AddrPort {
	found, err := g.pod.Look(child.Family)
	if err != nil { // a runtime without the table: the declared ports are all that is known
		return nil
	}
	for _, unsure := range found.Unsure {
		if g.declares(int(unsure.Port())) {
			found.Child = append(found.Child, unsure)
		} else {
			found.Neighbours = append(found.Neighbours, unsure)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	heard, others := g.heard, neighbours(found)
	if g.process != nil && len(found.Child) > 0 {
		heard = found.Child
	}
	if !slices.Equal(heard, g.heard) || !slices.Equal(others, g.others) {
		g.heard, g.others = heard, others
		g.tell()
	}
	return found.Child
}

func (g *Guard) declares(port int) bool {
	for _, declared := range g.config.Settings.Ports {
		if declared.Port == port {
			return true
		}
	}
	return false
}

// places are where the application is to be stood in for.
func (g *Guard) places() []netip.AddrPort {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.heard
}

func neighbours(found sockets.Found) []hold.Listener {
	return append(listeners(found.Neighbours, "TCP"), listeners(found.Datagrams, "UDP")...)
}

func listeners(addresses []netip.AddrPort, protocol string) []hold.Listener {
	found := make([]hold.Listener, 0, len(addresses))
	for _, at := range addresses {
		found = append(found, hold.Listener{Address: at.Addr().String(), Port: int(at.Port()), Protocol: protocol})
	}
	return found
}

// accepting returns when the application has started and can take connections.
// What has accepted once is not asked again: if it can't at the moment, its
// readiness probe tells kubelet. False where it ended or ctx did.
func (g *Guard) accepting(ctx context.Context) bool {
	var heard time.Time // when it was first heard on one of its ports
	for {
		g.mu.Lock()
		process, started, accepted := g.process, g.started, g.accepted
		g.mu.Unlock()
		if process == nil {
			return false
		}
		if started && (accepted || g.answers(ctx, &heard)) {
			g.mu.Lock()
			g.accepted = g.process == process
			g.mu.Unlock()
			return true
		}
		timer := time.NewTimer(look)
		select {
		case <-timer.C:
		case <-ctx.Done():
			return false
		}
	}
}

// answers is whether its readiness probe succeeds; or without one, whether it
// listens on all the ports that it is expected on, or does on one and the others
// had their time.
func (g *Guard) answers(ctx context.Context, heard *time.Time) bool {
	if g.config.Readiness != nil {
		if err := probe.Run(ctx, g.config.Address, *g.config.Readiness, g.execute); err != nil {
			if ctx.Err() == nil {
				g.heed(false, err)
			}
			return false
		}
		g.heed(true, nil)
		return true
	}
	expected, certain := g.expected()
	here := 0
	for _, at := range g.look() {
		if index := slices.Index(expected, at.Port()); index >= 0 {
			expected[index] = expected[len(expected)-1]
			expected = expected[:len(expected)-1]
			here++
		}
	}
	if here > 0 && heard.IsZero() {
		*heard = time.Now()
	}
	switch {
	case len(expected) == 0:
		return time.Since(g.began()) >= settle
	case here > 0:
		return time.Since(*heard) >= straggle
	default:
		return !certain && time.Since(g.began()) >= guess
	}
}

// expected are the ports to wait for: those that it listened on before this
// start; at a first one those that are declared, which is no promise, unless its
// startup probe has told enough. Ports that the kernel chose do not come again.
func (g *Guard) expected() (ports []uint16, certain bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, at := range g.wanted {
		ports = append(ports, at.Port())
		certain = certain || at.Port() < chosen
	}
	if len(ports) == 0 && g.config.Startup == nil {
		for _, declared := range g.config.Settings.Ports {
			ports = append(ports, uint16(declared.Port))
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports), certain
}
