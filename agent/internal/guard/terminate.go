package guard

import (
	"syscall"
	"time"

	"devcluster/agent/internal/child"
)

// quiet is how long no connection must have come before a pod that ends is
// taken for out of use.
const quiet = 2 * time.Second

// Pass hands on a signal that a process of this container sent to PID 1: a
// preStop hook or the application itself, which mean the application. False
// where none runs and none is being stopped.
func (g *Guard) Pass(sig syscall.Signal) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.process == nil {
		return g.halting
	}
	g.bidden = g.bidden || sig == g.config.Stop || sig == syscall.SIGTERM
	g.reaper.Signal(g.process, sig)
	return true
}

// Terminate is what PID 1 does when it is told to stop. The application gets
// the same signal; without one, what the laptop still answers is let end.
func (g *Guard) Terminate(sig syscall.Signal) {
	g.mu.Lock()
	process := g.process
	g.leaving = g.leaving || sig == g.config.Stop || sig == syscall.SIGTERM
	ending := g.leaving
	told := g.app == stopping && sig == g.config.Stop
	g.tell()
	g.mu.Unlock()
	switch {
	case told: // once is enough: to some a second one means at once
		return
	case process != nil:
		g.pass(process, sig)
		return
	}
	if !ending {
		return
	}
	g.linger()
	g.mu.Lock()
	process = g.process
	g.mu.Unlock()
	if process != nil { // it was being started; its end is ours
		g.pass(process, sig)
		return
	}
	g.exit(0)
}

// pass hands a signal to the application. kubelet has run the preStop hook
// before its stop signal, unless the hook calls the application's port: then it
// is not in the pod's template, and the agent's to run.
func (g *Guard) pass(process *child.Process, sig syscall.Signal) {
	hook := g.config.Settings.PreStop
	if sig == g.config.Stop && hook != nil && (hook.HTTPGet != nil || hook.TCPSocket != nil) {
		g.mu.Lock()
		g.app = stopping
		g.mu.Unlock()
		g.quit(process, g.config.Settings.grace())
		return
	}
	g.reaper.Signal(process, sig)
}

// linger goes on serving by the laptop until no connection has come for a
// while: kube-proxy may need more than a second to send new ones elsewhere.
// Where no lane stands nobody can serve. It is over before kubelet's patience,
// unless the laptop asked for more, and from kubelet, too.
func (g *Guard) linger() {
	began := time.Now()
	end := began.Add(max(g.config.Settings.grace()-2*time.Second, 0))
	for {
		g.mu.Lock()
		epoch, stays := g.epoch, g.stays()
		g.mu.Unlock()
		now := time.Now()
		if stays {
			end = later(end, now.Add(2*quiet))
		}
		silent := now.Sub(began) >= quiet && g.front.Quiet(now.Add(-quiet))
		if g.lanes.Count(epoch) == 0 || (!stays && silent) || now.After(end) {
			return
		}
		time.Sleep(look)
	}
}

func later(one, other time.Time) time.Time {
	if one.After(other) {
		return one
	}
	return other
}
