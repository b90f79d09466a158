package guard

import (
	"context"
	"fmt"
	"math"
	"time"

	"devcluster/agent/internal/front"
	"devcluster/agent/internal/hold"
)

// back is how a workload is given back. silent: the laptop is gone, so nothing
// can go there meanwhile. keep: it is there, and only the connections go back.
type back struct{ silent, keep bool }

// giveBack starts the application, routes to it when it accepts, and forgets
// the holder. One that never stopped has nothing to wait for. Whoever claims the
// workload while this waits keeps it.
func (g *Guard) giveBack(ctx context.Context, how back) error {
	claims, runs, err := g.beginBack(how.silent)
	if err != nil {
		return err
	}
	if g.front.Route() != front.Child {
		if err := g.lead(ctx, how, claims, runs); err != nil {
			return err
		}
	}
	if !how.keep {
		g.endHold(claims)
	}
	return nil
}

// lead brings the connections back to the application.
func (g *Guard) lead(ctx context.Context, how back, claims int, runs bool) error {
	g.front.Yield(true)
	defer g.front.Yield(false)
	if !runs {
		g.setTrial(!how.silent)
		if err := g.start(); err != nil {
			return &hold.Error{Kind: hold.ChildFailed, Text: err.Error()}
		}
	}
	accepts := g.ranOn() || g.accepting(ctx)
	if !accepts && !how.silent && g.runs() {
		return &hold.Error{Kind: hold.Timeout, Text: "the application does not accept connections yet"}
	}
	if err := g.toChild(claims, accepts); err != nil {
		return err
	}
	if !how.silent {
		g.finish(ctx, front.Laptop)
	}
	return nil
}

// ranOn is whether the application ran on beside the laptop, and its start is
// long over: there is nothing to wait for. If it can't take connections, that is
// kubelet's matter, as before.
func (g *Guard) ranOn() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.beside && g.started && time.Since(g.begun) > slow
}

// beginBack tells the number of claims so far, and whether the application runs.
func (g *Guard) beginBack(silent bool) (claims int, runs bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.leaving && g.process == nil {
		return 0, false, &hold.Error{Kind: hold.ChildFailed, Text: "the pod is ending, the application is not started any more"}
	}
	route := g.front.Route()
	if route != front.Child {
		g.handover, _ = g.ready(route)
	}
	if silent && route != front.Child {
		g.front.Set(front.Queue, g.epoch)
	}
	if silent {
		g.lanes.Drop(math.MaxInt64)
	}
	g.tell()
	return g.claims, g.process != nil, nil
}

// toChild routes to the application, unless somebody has claimed the workload
// before it accepts. One that has ended must not be routed to: its ports are
// ours, and a connection would go round in circles. The laptop serves on, or
// connections wait on, until whoever holds it has made way for another pod: some
// applications can't start twice in one container.
func (g *Guard) toChild(claims int, accepts bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.process == nil {
		code := g.code
		text := fmt.Sprintf("the application ended with %d while it was starting", code)
		return &hold.Error{Kind: hold.ChildFailed, Text: text, Code: &code}
	}
	if g.claims == claims || accepts {
		g.front.Set(front.Child, g.epoch)
		g.handover, g.trial = g.handover && !accepts, false
		g.tell()
	}
	return nil
}

// finish lets the requests under way to these end. What is only kept open must
// not keep anybody waiting.
func (g *Guard) finish(ctx context.Context, routes ...front.Route) {
	bounded, cancel := context.WithTimeout(ctx, g.config.Settings.patience())
	defer cancel()
	g.front.Drain(bounded, routes...)
}

func (g *Guard) endHold(claims int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.claims != claims {
		return
	}
	g.holder, g.since, g.handover, g.beside = nil, "", false, false
	if g.lease != nil {
		g.lease.Stop()
	}
	g.tell()
	g.front.Part(front.Laptop)
	g.lanes.Drop(math.MaxInt64)
}

func (g *Guard) runs() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.process != nil
}
