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

const look = 100 * time.Millisecond // between two looks at an application that starts

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
		g.front.OpenOwn() // whoever holds it is told, and goes on serving
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	g.mu.Lock()
	g.process, g.life, g.app = process, cancel, starting
	g.gone = make(chan struct{})
	gone := g.gone
	g.started, g.well, g.sick, g.reason = false, false, "", ""
	nobody := g.holder == nil
	g.tell()
	g.mu.Unlock()
	if nobody {
		g.front.Set(front.Child, g.epoch)
	}
	go g.follow(process, gone)
	go g.bringUp(ctx, process)
	return nil
}

// bringUp is what kubelet does after a start: the hook, then the probes.
func (g *Guard) bringUp(ctx context.Context, process *child.Process) {
	if hook := g.config.Settings.PostStart; hook != nil {
		if err := probe.Act(ctx, g.config.Address, *hook, g.execute); err != nil && ctx.Err() == nil {
			g.die("the postStart hook failed: " + err.Error())
			return
		}
	}
	if g.config.Startup == nil {
		g.bear(ctx, process)
		return
	}
	probe.Watch(ctx, g.config.Address, *g.config.Startup, g.execute, func(well bool, err error) {
		if !well {
			g.die("the startup probe failed: " + err.Error())
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
		go probe.Watch(ctx, g.config.Address, *spec, g.execute, g.heed)
	}
	if spec := g.config.Liveness; spec != nil {
		go probe.Watch(ctx, g.config.Address, *spec, g.execute, func(well bool, err error) {
			if !well {
				g.die("the liveness probe failed: " + err.Error())
			}
		})
	}
}

// heed notes the readiness probe's verdict.
func (g *Guard) heed(well bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.well, g.sick = well, ""
	if err != nil {
		g.sick = "readiness probe: " + err.Error()
	}
	g.tell()
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
	process, err := g.reaper.Start(argv, child.Files{null, null, null})
	if err != nil {
		return err
	}
	select {
	case <-process.Done():
		if code := process.Code(); code != 0 {
			return fmt.Errorf("the command ended with %d", code)
		}
		return nil
	case <-ctx.Done():
		g.reaper.Signal(process, 9)
		<-process.Done()
		return ctx.Err()
	}
}

// follow waits for the application's end. One that ends by itself takes PID 1
// along, so that kubelet gives a fresh container; not while the laptop serves
// in its place, when nobody would miss it.
func (g *Guard) follow(process *child.Process, gone chan<- struct{}) {
	defer close(gone)
	<-process.Done()
	route := g.front.Route()
	g.mu.Lock()
	if g.process != process {
		g.mu.Unlock()
		return
	}
	asked := g.app == stopping && !g.leaving
	g.process, g.started, g.app = nil, false, stopped
	g.life()
	spared := route == front.Laptop && g.holder != nil && !g.leaving
	g.tell()
	g.mu.Unlock()
	if !asked && !spared {
		g.exit(process.Code())
		return
	}
	g.reaper.KillDescendants()
	g.front.OpenOwn()
}

// die ends the application because a probe says so, and PID 1 with it.
func (g *Guard) die(reason string) {
	g.mu.Lock()
	process, held := g.process, g.app == stopping
	g.mu.Unlock()
	if process == nil || held {
		return
	}
	Log("%s; ending the application", reason)
	g.quit(process, false)
	<-process.Done() // follow ends this process
}

// halt stops the application as kubelet would, and returns when it is gone and
// its ports are ours.
func (g *Guard) halt() {
	g.mu.Lock()
	process, gone := g.process, g.gone
	if process == nil {
		g.mu.Unlock()
		return
	}
	g.app = stopping
	g.tell()
	g.mu.Unlock()
	g.quit(process, true)
	<-gone
}

// quit is the hook, the stop signal, the grace period, SIGKILL.
// Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination
func (g *Guard) quit(process *child.Process, hook bool) {
	grace := g.config.Settings.grace()
	end := time.Now().Add(grace)
	if preStop := g.config.Settings.PreStop; hook && preStop != nil {
		ctx, cancel := context.WithDeadline(context.Background(), end)
		if err := probe.Act(ctx, g.config.Address, *preStop, g.execute); err != nil {
			Log("the preStop hook failed: %v", err)
		}
		cancel()
	}
	g.reaper.Signal(process, g.config.Stop)
	timer := time.NewTimer(max(time.Until(end), 2*time.Second))
	defer timer.Stop()
	select {
	case <-process.Done():
	case <-timer.C:
		Log("the application did not end in %s; SIGKILL", grace)
		g.reaper.Signal(process, 9)
	}
}

// accepting returns when the application has started and can take connections:
// its readiness probe succeeds, or a port answers. False where it ended or ctx did.
func (g *Guard) accepting(ctx context.Context) bool {
	for {
		g.mu.Lock()
		process, started := g.process, g.started
		g.mu.Unlock()
		if process == nil {
			return false
		}
		if started && g.answers(ctx) {
			return true
		}
		timer := time.NewTimer(look)
		select {
		case <-timer.C:
		case <-process.Done():
			return false
		case <-ctx.Done():
			return false
		}
	}
}

func (g *Guard) answers(ctx context.Context) bool {
	if g.config.Readiness != nil {
		if err := probe.Run(ctx, g.config.Address, *g.config.Readiness, g.execute); err != nil {
			return false
		}
		g.heed(true, nil)
		return true
	}
	return g.front.Accepts(ctx)
}
