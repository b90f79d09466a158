package guard

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"math"
	"os"
	"sync"
	"syscall"
	"time"

	"devcluster/agent/internal/front"
	"devcluster/agent/internal/hold"
)

// version is the first 12 hex digits of the SHA-256 of boot and this program
// joined, as the laptop names what it published.
var version = sync.OnceValue(func() string {
	digest := sha256.New()
	for _, path := range []string{"/.devcluster/bin/boot", "/proc/self/exe"} {
		if file, err := os.Open(path); err == nil {
			_, _ = io.Copy(digest, file)
			_ = file.Close()
		}
	}
	return hex.EncodeToString(digest.Sum(nil))[:12]
})

// Hello introduces this agent.
func (g *Guard) Hello() hold.Hello {
	name, _ := os.Hostname()
	return hold.Hello{Protocol: protocol, Version: version(), Pod: name, State: g.State()}
}

// Hold takes the workload. Of two holders the higher epoch wins; the same one
// renews.
func (g *Guard) Hold(_ context.Context, claim hold.Claim) (hold.State, error) {
	route := g.front.Route()
	g.mu.Lock()
	if claim.Epoch < g.epoch || (claim.Epoch == g.epoch && g.holder != nil && *g.holder != claim.Holder) {
		defer g.mu.Unlock()
		return hold.State{}, g.stale(claim.Epoch)
	}
	above := claim.Epoch > g.epoch
	if above && route == front.Laptop { // from one laptop to the other, and never without an endpoint
		g.handover, _ = g.ready(route)
	}
	holder := claim.Holder
	g.epoch, g.holder, g.since, g.reason = claim.Epoch, &holder, claim.Since, ""
	g.renew()
	g.tell()
	g.mu.Unlock()
	if above {
		if route == front.Laptop {
			g.front.Set(front.Queue, claim.Epoch)
		}
		g.lanes.Drop(claim.Epoch)
	}
	return g.State(), nil
}

// Beat renews the lease.
func (g *Guard) Beat(_ context.Context, epoch int64) (hold.State, error) {
	if err := g.allow(epoch); err != nil {
		return hold.State{}, err
	}
	return g.State(), nil
}

// Take leads new connections to the laptop.
func (g *Guard) Take(ctx context.Context, epoch int64) (hold.State, error) {
	err := g.inTurn(ctx, epoch, func() error {
		if g.lanes.Count(epoch) == 0 {
			return &hold.Error{Kind: hold.Timeout, Text: "no lane stands yet"}
		}
		g.front.Set(front.Laptop, epoch)
		g.setHandover(false)
		return nil
	})
	return g.State(), err
}

// Pause queues new connections and lets those under way end.
func (g *Guard) Pause(ctx context.Context, epoch int64) (hold.State, error) {
	err := g.inTurn(ctx, epoch, func() error {
		ready, _ := g.Ready()
		g.setHandover(ready)
		g.front.Set(front.Queue, epoch)
		bounded, cancel := context.WithTimeout(ctx, g.config.Settings.drain())
		defer cancel()
		g.front.Drain(bounded, front.Child, front.Laptop)
		return nil
	})
	return g.State(), err
}

// Stop stops the application, once it has started.
func (g *Guard) Stop(ctx context.Context, epoch int64) (hold.State, error) {
	err := g.inTurn(ctx, epoch, func() error {
		if g.front.Route() == front.Child {
			return &hold.Error{Kind: hold.BadRequest, Text: "connections still go to the application: take or pause first"}
		}
		if !g.untilStarted(ctx) {
			return &hold.Error{Kind: hold.Timeout, Text: "the application has not started yet"}
		}
		bounded, cancel := context.WithTimeout(ctx, g.config.Settings.drain())
		g.front.Drain(bounded, front.Child)
		cancel()
		g.halt()
		return nil
	})
	return g.State(), err
}

// Release gives the workload back to the application and ends the hold.
func (g *Guard) Release(ctx context.Context, epoch int64) (hold.State, error) {
	err := g.inTurn(ctx, epoch, func() error { return g.giveBack(ctx, false) })
	return g.State(), err
}

// giveBack starts the application, routes to it when it accepts, and forgets
// the holder. silent: the laptop is gone, so nothing can go there meanwhile.
func (g *Guard) giveBack(ctx context.Context, silent bool) error {
	ready, _ := g.Ready()
	g.setHandover(ready)
	if silent {
		g.front.Set(front.Queue, g.epoch)
		g.lanes.Drop(math.MaxInt64)
	}
	g.mu.Lock()
	runs := g.process != nil
	g.mu.Unlock()
	if !runs {
		if err := g.start(); err != nil {
			g.setHandover(false)
			return &hold.Error{Kind: hold.ChildFailed, Text: err.Error()}
		}
	}
	if !g.accepting(ctx) {
		g.mu.Lock()
		runs = g.process != nil
		g.mu.Unlock()
		if !runs {
			return &hold.Error{Kind: hold.ChildFailed, Text: "the application ended while it was starting"}
		}
		if !silent {
			return &hold.Error{Kind: hold.Timeout, Text: "the application does not accept connections yet"}
		}
	}
	g.front.Set(front.Child, g.epoch)
	if !silent {
		bounded, cancel := context.WithTimeout(ctx, g.config.Settings.drain())
		g.front.Drain(bounded, front.Laptop)
		cancel()
	}
	g.mu.Lock()
	g.holder, g.since, g.handover = nil, "", false
	if g.lease != nil {
		g.lease.Stop()
	}
	g.tell()
	g.mu.Unlock()
	g.lanes.Drop(math.MaxInt64)
	return nil
}

// renew begins the lease anew; with mu.
func (g *Guard) renew() {
	g.beaten = time.Now()
	if g.lease != nil {
		g.lease.Stop()
	}
	g.lease = time.AfterFunc(g.config.Settings.lease(), g.expire)
}

// expire ends the hold of a laptop that was silent for the lease.
func (g *Guard) expire() {
	g.turn <- struct{}{}
	defer func() { <-g.turn }()
	g.mu.Lock()
	over := g.holder != nil && time.Since(g.beaten) >= g.config.Settings.lease() && !g.leaving
	g.mu.Unlock()
	if !over {
		return
	}
	Log("the laptop was silent for %s: the application serves again", g.config.Settings.lease())
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(g.config.Settings.Queue.MS)*time.Millisecond)
	defer cancel()
	if err := g.giveBack(ctx, true); err != nil {
		Log("%v", err)
		g.exit(1)
	}
}

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
func (g *Guard) inTurn(ctx context.Context, epoch int64, work func() error) error {
	select {
	case g.turn <- struct{}{}:
	case <-ctx.Done():
		return &hold.Error{Kind: hold.Timeout, Text: "another request is still being worked on"}
	}
	defer func() { <-g.turn }()
	if err := g.allow(epoch); err != nil {
		return err
	}
	return work()
}

// allow lets the holder's own requests pass, and takes each for a beat.
func (g *Guard) allow(epoch int64) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.holder == nil || epoch != g.epoch {
		return g.stale(epoch)
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

func (g *Guard) setHandover(on bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.handover = on
	g.tell()
}

// quiet is how long no connection must have come before a pod that ends is
// taken for out of use.
const quiet = 2 * time.Second

// Terminate is what PID 1 does when it is told to stop. The application gets
// the same signal; without one, what the laptop still answers is let end.
func (g *Guard) Terminate(sig syscall.Signal) {
	g.mu.Lock()
	process := g.process
	g.leaving = g.leaving || sig == g.config.Stop || sig == syscall.SIGTERM
	ending := g.leaving
	g.tell()
	g.mu.Unlock()
	if process != nil {
		g.reaper.Signal(process, sig)
		return
	}
	if !ending {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), max(g.config.Settings.grace()-2*time.Second, 0))
	defer cancel()
	g.linger(ctx)
	g.exit(0)
}

// linger goes on serving by the laptop until no connection has come for a
// while: kube-proxy may need more than a second to send new ones elsewhere.
// Where no lane stands nobody can serve.
func (g *Guard) linger(ctx context.Context) {
	began := time.Now()
	for time.Since(began) < quiet || !g.front.Quiet(time.Now().Add(-quiet)) {
		g.mu.Lock()
		epoch := g.epoch
		g.mu.Unlock()
		if g.lanes.Count(epoch) == 0 {
			return
		}
		timer := time.NewTimer(look)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}
