package guard

import (
	"context"
	"time"

	"devcluster/agent/internal/front"
	"devcluster/agent/internal/hold"
)

// Hello tells which protocol this agent speaks.
func (g *Guard) Hello() hold.Hello { return hold.Hello{Protocol: protocol} }

// Hold takes the workload. Of two holders the higher epoch wins; the same one
// renews.
func (g *Guard) Hold(_ context.Context, claim hold.Claim) (hold.State, error) {
	if err := g.claim(claim); err != nil {
		return hold.State{}, err
	}
	g.look()
	return g.State(), nil
}

func (g *Guard) claim(claim hold.Claim) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if claim.Epoch < g.epoch || (claim.Epoch == g.epoch && g.holder != nil && *g.holder != claim.Holder) {
		return g.stale(claim.Epoch)
	}
	if claim.Epoch > g.epoch {
		if route := g.front.Route(); route == front.Laptop { // from one laptop to the other, and never without an endpoint
			g.handover, _ = g.ready(route)
			g.front.Set(front.Queue, claim.Epoch)
		}
		g.interrupt()
	} else if g.silent {
		g.interrupt() // it is back, and does not wait for the application
	}
	// Whoever holds opens its lanes after that. Those that stand are of somebody
	// else, or of a laptop that lost them: a network that died without a word
	// leaves them looking well.
	g.lanes.Drop(claim.Epoch + 1)
	holder := claim.Holder
	g.epoch, g.holder, g.since, g.reason = claim.Epoch, &holder, claim.Since, ""
	g.claims++
	g.renew()
	g.tell()
	return nil
}

// interrupt ends the waiting of what has turn; with mu. What it began goes on.
func (g *Guard) interrupt() {
	if g.working != nil {
		g.working()
	}
}

// Beat renews the lease.
func (g *Guard) Beat(_ context.Context, epoch int64) (hold.State, error) {
	if err := g.allow(epoch); err != nil {
		return hold.State{}, err
	}
	return g.State(), nil
}

// Take leads new connections to the laptop. The application stops by Stop; or it
// runs on beside the laptop, for its queues and timers, and its end is then an
// end as ever. A connection that is only kept open to it is closed, so that its
// caller comes to the laptop, too.
func (g *Guard) Take(ctx context.Context, epoch int64, beside bool) (hold.State, error) {
	err := g.inTurn(ctx, epoch, func(context.Context) error {
		if err := g.toLaptop(epoch, beside); err != nil || !beside {
			return err
		}
		go g.front.Wean(front.Child)
		if g.runs() {
			return nil
		}
		if err := g.start(); err != nil {
			return &hold.Error{Kind: hold.ChildFailed, Text: err.Error()}
		}
		return nil
	})
	return g.State(), err
}

func (g *Guard) toLaptop(epoch int64, beside bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.holder == nil || epoch != g.epoch { // since it came to its turn
		return g.stale(epoch)
	}
	if g.lanes.Count(epoch) == 0 {
		return &hold.Error{Kind: hold.Timeout, Text: "no lane stands yet"}
	}
	g.front.Set(front.Laptop, epoch)
	g.handover, g.beside = false, beside
	g.tell()
	return nil
}

// Pause queues new connections and lets the requests under way end. A release
// that is asked for meanwhile has no need of that.
func (g *Guard) Pause(ctx context.Context, epoch int64) (hold.State, error) {
	err := g.inTurn(ctx, epoch, func(ctx context.Context) error {
		g.setPausing(true)
		defer g.setPausing(false)
		g.queue()
		g.finish(ctx, g.ending()...)
		return nil
	})
	return g.State(), err
}

// ending are those who may be about to stop: the application only if it does not
// run beside the laptop.
func (g *Guard) ending() []front.Route {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.beside {
		return []front.Route{front.Laptop}
	}
	return []front.Route{front.Child, front.Laptop}
}

// Stop stops the application, once it has started.
func (g *Guard) Stop(ctx context.Context, epoch int64) (hold.State, error) {
	err := g.inTurn(ctx, epoch, func(ctx context.Context) error {
		if g.front.Route() == front.Child {
			return &hold.Error{Kind: hold.BadRequest, Text: "connections still go to the application: take or pause first"}
		}
		if !g.untilStarted(ctx) {
			return &hold.Error{Kind: hold.Timeout, Text: "the application has not started yet"}
		}
		g.finish(ctx, front.Child)
		if ctx.Err() != nil {
			return &hold.Error{Kind: hold.Timeout, Text: "whoever asked for it is gone"}
		}
		g.mu.Lock()
		g.beside = false
		g.mu.Unlock()
		g.halt()
		return nil
	})
	return g.State(), err
}

// Release gives the workload back to the application and ends the hold; with
// keep the laptop holds on, for the application's files and its network.
func (g *Guard) Release(ctx context.Context, epoch int64, keep bool) (hold.State, error) {
	g.mu.Lock()
	if g.pausing && epoch == g.epoch {
		g.interrupt()
	}
	g.mu.Unlock()
	err := g.inTurn(ctx, epoch, func(ctx context.Context) error { return g.giveBack(ctx, back{keep: keep}) })
	return g.State(), err
}

// Stay is for a pod that is about to be replaced: told to end, it serves on by
// the laptop, ready, until its successor does; 0 ends that.
func (g *Guard) Stay(epoch int64, span time.Duration) (hold.State, error) {
	if err := g.allow(epoch); err != nil {
		return hold.State{}, err
	}
	g.mu.Lock()
	g.staying = time.Now().Add(span)
	g.tell()
	g.mu.Unlock()
	return g.State(), nil
}

// stays is whether the pod is to serve on though it ends; with mu.
func (g *Guard) stays() bool { return time.Now().Before(g.staying) }

// Expect makes the front look for proofs of the route.
func (g *Guard) Expect(key []byte, span time.Duration) error { return g.front.Expect(key, span) }

// untilStarted waits for the first start to be complete; an application that
// does not run has nothing to wait for.
func (g *Guard) untilStarted(ctx context.Context) bool {
	watched, cancel := context.WithCancel(ctx)
	defer cancel()
	changes := g.Watch(watched)
	for {
		g.mu.Lock()
		settled := g.process == nil || g.started
		g.mu.Unlock()
		if settled {
			return true
		}
		select {
		case <-changes:
		case <-ctx.Done():
			return false
		}
	}
}

// inTurn does work for the holder of epoch, when nothing else is being done.
// The context that work gets ends with the hold, too: a laptop that is lost
// while it waits must not hold up its successor or the application.
func (g *Guard) inTurn(ctx context.Context, epoch int64, work func(context.Context) error) error {
	select {
	case g.turn <- struct{}{}:
	case <-ctx.Done():
		return &hold.Error{Kind: hold.Timeout, Text: "another request is still being worked on"}
	}
	defer func() { <-g.turn }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := g.allowWork(epoch, cancel); err != nil {
		return err
	}
	defer g.worked()
	err := work(ctx)
	if err != nil {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.holder == nil || epoch != g.epoch {
			return g.stale(epoch)
		}
	}
	return err
}

func (g *Guard) worked() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.working, g.silent = nil, false
}

// allow lets the holder's own requests pass, and takes each for a beat.
func (g *Guard) allow(epoch int64) error { return g.allowWork(epoch, nil) }

// allowWork is allow for a request that may wait until cancel.
func (g *Guard) allowWork(epoch int64, cancel context.CancelFunc) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.holder == nil || epoch != g.epoch {
		return g.stale(epoch)
	}
	if cancel != nil {
		g.working = cancel
	}
	g.renew()
	return nil
}

func (g *Guard) stale(epoch int64) error {
	if g.holder == nil {
		return &hold.Error{Kind: hold.StaleEpoch, Text: "nobody holds this pod any more"}
	}
	kind := hold.StaleEpoch
	if epoch == g.epoch {
		kind = hold.Held
	}
	text := "held by " + g.holder.User + "@" + g.holder.Host + " since " + g.since
	return &hold.Error{Kind: kind, Text: text, Holder: g.holder}
}

// queue holds new connections; the pod stays as ready as it is.
func (g *Guard) queue() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.handover, _ = g.ready(g.front.Route())
	g.front.Set(front.Queue, g.epoch)
	g.tell()
}

func (g *Guard) setPausing(on bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pausing = on
}

func (g *Guard) setTrial(on bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.trial = on
}
