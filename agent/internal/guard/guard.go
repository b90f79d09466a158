package guard

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"

	"devcluster/agent/internal/child"
	"devcluster/agent/internal/control"
	"devcluster/agent/internal/front"
	"devcluster/agent/internal/hold"
	"devcluster/agent/internal/sockets"
)

// What the application is doing, as State says it.
const (
	waiting  = "waiting" // not started yet
	starting = "starting"
	running  = "running"
	stopping = "stopping"
	stopped  = "stopped"
)

// Guard is the state and its one lock. Two kinds of change: what is told at
// once (hold, beat, take) happens under mu; what takes time (pause, stop,
// release, the end of a lease) has turn, so that two of them never overlap.
type Guard struct {
	config Config
	reaper *child.Reaper
	front  *front.Front
	lanes  hold.Lanes
	pod    *sockets.Table
	exit   func(code int)
	turn   chan struct{}

	mu       sync.Mutex
	epoch    int64
	holder   *hold.Holder
	since    string
	claims   int // how often it was claimed
	beaten   time.Time
	lease    *time.Timer
	app      string
	process  *child.Process
	heard    []netip.AddrPort // where the application listens, or did when it was seen last
	wanted   []netip.AddrPort // where it did before this start
	others   []hold.Listener  // where the pod's other containers listen
	versions []string         // of the volumes that kubelet writes anew
	begun    time.Time
	gone     chan struct{}      // closed when this start's end is dealt with
	life     context.CancelFunc // ends the probes of this start
	started  bool
	well     bool // the readiness probe's verdict
	sick     string
	said     string    // what the log was told of it
	accepted bool      // this start has been seen to accept
	beside   bool      // it is to run on while the laptop serves
	trial    bool      // it was started while the laptop serves, and has not served since
	code     int       // with which it ended last
	handover bool      // it began ready
	leaving  bool      // PID 1 was told to stop
	staying  time.Time // until then it serves on by the laptop, all the same
	bidden   bool      // a hook, or the application itself, told it to end
	halting  bool      // a stop of ours is under way, with its hook
	reason   string
	working  context.CancelFunc // ends the waiting of what has turn
	silent   bool               // what has turn is the end of a lease
	pausing  bool               // it is a pause
	watchers map[chan struct{}]struct{}
}

var _ hold.Keeper = (*Guard)(nil)

// New makes a guard; Begin sets it going. exit ends this process.
func New(config Config, reaper *child.Reaper, lanes hold.Lanes, exit func(code int)) *Guard {
	g := &Guard{
		config: config, reaper: reaper, lanes: lanes, pod: sockets.New(), exit: exit, turn: make(chan struct{}, 1),
		epoch: config.Record.Epoch, app: waiting, watchers: map[chan struct{}]struct{}{},
	}
	g.front = front.New(front.Config{
		Address: config.Address, Ports: config.Settings.Ports, Most: config.Settings.Queue.Connections,
		QueueTime: time.Duration(config.Settings.Queue.MS) * time.Millisecond, Log: Log,
	}, lanes)
	return g
}

// Log writes one line for whoever reads the container's log.
func Log(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "devcluster-agent: "+format+"\n", arguments...)
}

// Begin opens the front ports and starts the application; or, where the record
// names a holder, waits up to one lease for that laptop first, so that a new
// replica of a held workload never answers as the original.
func (g *Guard) Begin() error {
	if err := g.front.Listen(); err != nil {
		return err
	}
	go g.watchPod()
	if !g.config.Held {
		return g.start()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	holder := g.config.Record.Holder
	g.holder, g.since, g.reason = &holder, g.config.Record.Since, "waiting for the laptop that holds it"
	g.front.OpenOwn(nil)
	g.renew()
	return nil
}

// State tells everything at this moment.
func (g *Guard) State() hold.State {
	route := g.front.Route()
	g.mu.Lock()
	defer g.mu.Unlock()
	ready, reason := g.ready(route)
	state := hold.State{
		Epoch: g.epoch, Holder: g.holder, Since: g.since, Route: string(route), Child: g.app, Started: g.started,
		Ready: ready, Reason: reason, Listeners: listeners(g.heard, "TCP"), Neighbours: append([]hold.Listener{}, g.others...),
		Versions: append([]string{}, g.versions...),
	}
	if reason == "" && route != front.Child && g.process != nil { // what its release waits for
		state.Reason = g.sick
	}
	if g.holder != nil {
		state.Lanes = g.lanes.Count(g.epoch)
		state.LeaseMS = max(0, (g.config.Settings.lease() - time.Since(g.beaten)).Milliseconds())
	}
	return state
}

// Inspect tells what the application has.
func (g *Guard) Inspect(context.Context) (hold.Facts, error) {
	facts, err := control.Gather(g.config.Command, g.config.Settings.Figures)
	g.look()
	state := g.State()
	facts.Listeners, facts.Neighbours = state.Listeners, state.Neighbours
	return facts, err
}

// Watch gets a token after each change.
func (g *Guard) Watch(ctx context.Context) <-chan struct{} {
	token := make(chan struct{}, 1)
	g.mu.Lock()
	g.watchers[token] = struct{}{}
	g.mu.Unlock()
	context.AfterFunc(ctx, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.watchers, token)
		close(token)
	})
	return token
}

// tell wakes the watchers; with mu.
func (g *Guard) tell() {
	for token := range g.watchers {
		select {
		case token <- struct{}{}:
		default:
		}
	}
}

// LaneUp lets in the lanes of the holder's own epoch.
func (g *Guard) LaneUp(epoch int64) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.holder == nil || epoch != g.epoch {
		return fmt.Errorf("epoch %d does not hold this pod, %d does", epoch, g.epoch)
	}
	return nil
}

// LanesChanged lets the queue look again.
func (g *Guard) LanesChanged() {
	g.front.Notify()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tell()
}

// Ready answers kubelet's readiness probe.
func (g *Guard) Ready() (bool, string) {
	route := g.front.Route()
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ready(route)
}

func (g *Guard) ready(route front.Route) (bool, string) {
	switch {
	case g.leaving && !(g.stays() && route == front.Laptop):
		return false, "the pod is ending"
	case route == front.Laptop && g.holder != nil:
		return true, ""
	case g.handover:
		return true, ""
	case g.app != running || !g.started:
		return false, orReason(g.reason, "the application is "+g.app)
	case route != front.Child:
		return false, orReason(g.reason, "connections are held")
	case g.config.Readiness != nil && !g.well:
		return false, orReason(g.sick, "the readiness probe has not succeeded yet")
	}
	return true, ""
}

// Live answers kubelet's liveness probe: the application's own probe is run
// here, and ends this process when it fails.
func (g *Guard) Live() (bool, string) { return true, "" }

func orReason(reason, other string) string {
	if reason == "" {
		return other
	}
	return reason
}
