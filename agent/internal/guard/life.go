package guard

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"devcluster/agent/internal/child"
	"devcluster/agent/internal/front"
	"devcluster/agent/internal/probe"
)

// Exit codes of a shell for what could not be started.
const (
	notExecutable = 126
	notFound      = 127
)

// start starts the application; its ports are given back to it first.
func (g *Guard) start() error {
	g.front.CloseOwn()
	process, err := g.reaper.Start(g.config.Command, child.Inherit)
	if err != nil {
		Log("the application can't be started: %v", err)
		code := notExecutable
		if errors.Is(err, os.ErrNotExist) {
			code = notFound
		}
		g.mu.Lock()
		held := g.holder != nil
		g.mu.Unlock()
		if !held {
			g.exit(code)
		}
		g.front.OpenOwn(g.places()) // whoever holds it is told, and goes on serving
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	g.mu.Lock()
	g.begun, g.wanted = time.Now(), g.heard
	g.process, g.life, g.app = process, cancel, starting
	g.gone = make(chan struct{})
	gone := g.gone
	g.started, g.well, g.accepted, g.bidden, g.sick, g.said, g.reason = false, false, false, false, "", "", ""
	if g.holder == nil {
		g.front.Set(front.Child, g.epoch)
	}
	g.tell()
	g.mu.Unlock()
	go g.follow(process, gone)
	go g.bringUp(ctx, process)
	return nil
}

// bringUp is what kubelet does after a start: the hook, then the probes.
func (g *Guard) bringUp(ctx context.Context, process *child.Process) {
	if hook := g.config.Settings.PostStart; hook != nil {
		if err := probe.Hook(ctx, g.config.Address, *hook, g.execute); err != nil && ctx.Err() == nil {
			g.die("the postStart hook failed: "+err.Error(), nil)
			return
		}
	}
	if g.config.Startup == nil {
		g.bear(ctx, process)
		return
	}
	asking, cancel := context.WithCancel(ctx) // once it has succeeded it is not asked again
	defer cancel()
	probe.Watch(asking, g.config.Address, *g.config.Startup, g.began(), g.execute, func(well bool, err error) {
		cancel()
		if !well {
			g.die("the startup probe failed: "+err.Error(), g.config.Startup)
			return
		}
		g.bear(ctx, process)
	})
}

// bear is the moment from which the application counts as started.
func (g *Guard) bear(ctx context.Context, process *child.Process) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.process != process || g.started {
		return
	}
	g.started, g.app = true, running
	g.tell()
	if spec := g.config.Readiness; spec != nil {
		go probe.Watch(ctx, g.config.Address, *spec, g.begun, g.execute, g.heed)
	}
	if spec := g.config.Liveness; spec != nil {
		go probe.Watch(ctx, g.config.Address, *spec, g.begun, g.execute, func(well bool, err error) {
			if !well {
				g.die("the liveness probe failed: "+err.Error(), spec)
			}
		})
	}
}

// began is when the application was started last.
func (g *Guard) began() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.begun
}

// slow is how long an application may start before its log tells what its
// readiness probe says.
const slow = 10 * time.Second

// heed notes the readiness probe's verdict.
func (g *Guard) heed(well bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	before, sick := g.sick, ""
	if err != nil {
		sick = "readiness probe: " + err.Error()
	}
	changed := well != g.well || sick != before
	if sick != "" && sick != g.said && time.Since(g.begun) > slow {
		Log("%s", sick)
		g.said = sick
	}
	g.well, g.accepted, g.sick = well, g.accepted || well, sick
	if changed {
		g.tell()
	}
}

// execute runs a probe's or a hook's command beside the application.
func (g *Guard) execute(ctx context.Context, argv []string) error {
	if len(argv) == 0 {
		return errors.New("the command is empty")
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	process, err := g.reaper.StartApart(argv, child.Files{null, null, null})
	if err != nil {
		return fmt.Errorf("%w: %w", probe.ErrNotMade, err)
	}
	select {
	case <-process.Done():
		if code := process.Code(); code != 0 {
			return fmt.Errorf("the command ended with %d", code)
		}
		return nil
	case <-ctx.Done():
		g.reaper.Kill(process)
		<-process.Done()
		return ctx.Err()
	}
}

// follow waits for the application's end. One that ends by itself takes PID 1
// along, so that kubelet gives a fresh container; not while the laptop serves
// in its place, or was to when it started, and nobody would miss it. One that
// runs beside the laptop is missed.
func (g *Guard) follow(process *child.Process, gone chan<- struct{}) {
	defer close(gone)
	<-process.Done()
	g.mu.Lock()
	if g.process != process {
		g.mu.Unlock()
		return
	}
	asked := g.app == stopping && !g.leaving
	g.process, g.started, g.app, g.code = nil, false, stopped, process.Code()
	g.life()
	served := g.front.Route() == front.Laptop && g.holder != nil
	if served && g.beside && g.bidden && !asked { // a hook of kubelet's, as a rule: the pod ends
		g.leaving = true
	}
	leaving := g.leaving
	served = served && (leaving || !g.beside) || g.trial && g.holder != nil
	g.tell()
	g.mu.Unlock()
	if !asked && !served {
		g.exit(process.Code())
		return
	}
	g.reaper.KillDescendants()
	g.front.OpenOwn(g.places())
	if leaving {
		g.linger()
		g.exit(process.Code())
	}
}

// die ends the application because a probe says so, and PID 1 with it. A
// probe may have a grace period of its own.
func (g *Guard) die(reason string, spec *probe.Spec) {
	g.mu.Lock()
	process, held := g.process, g.app == stopping
	g.mu.Unlock()
	if process == nil || held {
		return
	}
	Log("%s; ending the application", reason)
	grace := g.config.Settings.grace()
	if spec != nil && spec.TerminationGracePeriodSeconds != nil {
		grace = atLeast(time.Duration(*spec.TerminationGracePeriodSeconds) * time.Second)
	}
	g.quit(process, grace)
	<-process.Done() // follow ends this process
}

// halt stops the application as kubelet would, and returns when it is gone and
// its ports are ours.
func (g *Guard) halt() {
	g.look()
	g.mu.Lock()
	process, gone := g.process, g.gone
	if process == nil {
		g.mu.Unlock()
		return
	}
	g.app = stopping
	g.halting = true
	g.tell()
	g.mu.Unlock()
	g.quit(process, g.config.Settings.grace())
	<-gone
	g.mu.Lock()
	g.halting = false
	g.mu.Unlock()
}

// quit is the hook, the stop signal, the grace period, SIGKILL. A hook that
// outlives the application ends with it, as it would with its container: some
// wait for the end of process 1.
// Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination
func (g *Guard) quit(process *child.Process, grace time.Duration) {
	end := time.Now().Add(grace)
	if preStop := g.config.Settings.PreStop; preStop != nil {
		ctx, cancel := context.WithDeadline(context.Background(), end)
		go func() {
			defer cancel()
			select {
			case <-process.Done():
			case <-ctx.Done():
			}
		}()
		if err := probe.Hook(ctx, g.config.Address, *preStop, g.execute); err != nil && !process.Ended() {
			Log("the preStop hook failed: %v", err)
		}
		cancel()
	}
	g.reaper.Signal(process, g.config.Stop)
	timer := time.NewTimer(atLeast(time.Until(end)))
	defer timer.Stop()
	select {
	case <-process.Done():
	case <-timer.C:
		Log("the application did not end in %s; SIGKILL", grace)
		g.reaper.Signal(process, 9)
	}
}
