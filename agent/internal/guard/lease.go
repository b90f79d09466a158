package guard

import (
	"context"
	"time"
)

// renew begins the lease anew; with mu.
func (g *Guard) renew() {
	g.beaten = time.Now()
	if g.lease != nil {
		g.lease.Stop()
	}
	g.lease = time.AfterFunc(g.config.Settings.lease(), g.expire)
}

// expire ends the hold of a laptop that was silent for the lease. What it had
// asked for waits no longer.
func (g *Guard) expire() {
	g.mu.Lock()
	if g.isOver() {
		g.interrupt()
	}
	g.mu.Unlock()
	g.turn <- struct{}{}
	defer func() { <-g.turn }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(g.config.Settings.Queue.MS)*time.Millisecond)
	defer cancel()
	g.mu.Lock()
	over := g.isOver()
	if over {
		g.working, g.silent = cancel, true
	}
	g.mu.Unlock()
	if !over {
		return
	}
	defer g.worked()
	Log("the laptop was silent for %s: the application serves again", g.config.Settings.lease())
	if err := g.giveBack(ctx, back{silent: true}); err != nil {
		Log("%v", err)
		g.exit(1)
	}
}

// isOver is whether the holder was silent for the lease; with mu.
func (g *Guard) isOver() bool {
	return g.holder != nil && time.Since(g.beaten) >= g.config.Settings.lease() && !g.leaving
}
