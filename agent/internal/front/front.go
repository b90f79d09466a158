// Package front is where connections to the application enter, and the one
// place that decides to whom each goes: to the application itself, to the
// laptop, or into a queue until one of them accepts.
//
// A port that a Service names is never closed while the pod lives, so a
// handover refuses nobody. Besides, while the application does not run, front
// listens on the application's own ports, declared or not, for those who come by
// the pod's address or from its other containers; there a refusal is possible in
// the moment when the application takes its ports back.
package front

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"devcluster/agent/internal/hold"
	"devcluster/agent/internal/lane"
	"devcluster/agent/internal/proof"
)

// Route is where new connections go.
type Route string

// Routes.
const (
	Child  Route = "child"
	Laptop Route = "laptop"
	Queue  Route = "queue"
)

// Port is one of the application's ports; Front is ours for it, or 0. No
// protocol is TCP.
type Port struct {
	Port     int    `json:"port"`
	Protocol string `json:"protocol"`
	Front    int    `json:"front"`
}

// Config is what front needs to know.
type Config struct {
	Address   string // the pod's own, under which the application is called
	Ports     []Port
	Most      int           // connections that wait, in the queue or for a lane
	QueueTime time.Duration // for one of them
	Log       func(format string, arguments ...any)
}

// counts are the connections under way, by where they went.
type counts struct{ Child, Laptop, Queued int }

// Front has the listeners and the connections.
type Front struct {
	config Config
	lanes  hold.Lanes
	guests proof.Guests

	mu      sync.Mutex
	route   Route
	epoch   int64
	changed chan struct{} // closed and replaced at each change
	yields  bool          // the application is being started, to take them back
	counts  counts
	arrived time.Time // the newest connection
	talks   map[*talk]struct{}
	weaning bool // somebody is at work in Wean
	waiting int  // connections that nobody has taken yet
	own     *own
}

// New has no listener yet and queues.
func New(config Config, lanes hold.Lanes) *Front {
	return &Front{config: config, lanes: lanes, route: Queue, changed: make(chan struct{}), talks: map[*talk]struct{}{}}
}

// Listen opens the front ports, for good.
func (f *Front) Listen() error {
	for _, port := range f.config.Ports {
		if port.Front == 0 {
			continue
		}
		listener, err := net.Listen("tcp", everywhere(port.Front))
		if err != nil {
			return fmt.Errorf("front port %d of the application's %d: %w", port.Front, port.Port, err)
		}
		go f.accept(listener, entrance{port: port.Port})
	}
	return nil
}

// Set routes new connections, and those in the queue.
func (f *Front) Set(route Route, epoch int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.route, f.epoch = route, epoch
	f.wake()
}

// Yield says whether the application is being started to take the connections
// back: whoever the laptop refuses until then waits for it.
func (f *Front) Yield(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.yields = on
	f.wake()
}

// Notify makes those in the queue look again: a lane came up.
func (f *Front) Notify() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wake()
}

// Route is where new connections go now.
func (f *Front) Route() Route {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.route
}

// Quiet is whether no request to the laptop or in the queue is under way and no
// connection has arrived since then.
func (f *Front) Quiet(since time.Time) bool {
	if f.busy(Laptop, Queue) > 0 {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.arrived.Before(since)
}

func (f *Front) wake() {
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *Front) count(route Route) *int {
	switch route {
	case Child:
		return &f.counts.Child
	case Laptop:
		return &f.counts.Laptop
	default:
		return &f.counts.Queued
	}
}

// entrance is where a connection came in: by a front, or by the application's
// own port while it does not run.
type entrance struct {
	port int // the application's
	own  bool
}

func (f *Front) accept(listener net.Listener, by entrance) {
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of files, say: a pause, then on
			time.Sleep(50 * time.Millisecond)
			continue
		}
		f.mu.Lock()
		f.arrived = time.Now()
		f.mu.Unlock()
		go f.serve(conn.(*net.TCPConn), by)
	}
}

// visit is a connection's look at the switch; it is counted from then on.
type visit struct {
	route   Route
	epoch   int64
	changed <-chan struct{}
	yields  bool
}

// enter gives a connection its place among those that wait, unless it is for
// the application or has one. A laptop that has fallen silent is waited for, too,
// and each that waits costs memory of the application's.
func (f *Front) enter(placed *bool) (visit, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.route != Child && !*placed {
		if f.waiting >= f.config.Most {
			return visit{}, false
		}
		f.waiting++
		*placed = true
	}
	*f.count(f.route)++
	return visit{f.route, f.epoch, f.changed, f.yields}, true
}

func (f *Front) leave(v visit) {
	f.mu.Lock()
	defer f.mu.Unlock()
	*f.count(v.route)--
}

// taken gives the place back: somebody has the connection, or it is lost.
func (f *Front) taken(placed *bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if *placed {
		f.waiting--
		*placed = false
	}
}

// serve leads one connection to its end. Whoever can't be served is reset.
func (f *Front) serve(conn *net.TCPConn, by entrance) {
	defer f.survive(conn)
	guest, client := f.receive(conn)
	deadline := time.NewTimer(f.config.QueueTime)
	defer deadline.Stop()
	placed := false
	defer f.taken(&placed)
	for {
		v, ok := f.enter(&placed)
		if !ok {
			break
		}
		other, err := f.open(v, conn, by)
		if err == nil {
			f.taken(&placed)
			guest.Meet(f.answer(by.port, v, nil), func() { cut(other) })
			f.carry(v.route, client, other)
			f.leave(v)
			return
		}
		final := f.final(v, err)
		if guest.Look(patience(final)) {
			guest.Tell(f.answer(by.port, v, err))
			f.leave(v)
			return
		}
		if final {
			f.leave(v)
			break
		}
		waited := wait(v.changed, deadline)
		f.leave(v)
		if !waited {
			break
		}
	}
	_ = conn.SetLinger(0)
	_ = conn.Close()
}

// survive keeps a fault of ours to the connection it happened on: the
// application lives and dies with this process.
func (f *Front) survive(conn *net.TCPConn) {
	if fault := recover(); fault != nil {
		f.config.Log("a connection ended by a fault of the agent: %v", fault)
		_ = conn.SetLinger(0)
		_ = conn.Close()
	}
}

var errQueued = errors.New("queued")

// open reaches whoever serves. Who came by the application's own port is led to
// the address that was called: there it listens, on loopback only, say.
func (f *Front) open(v visit, conn *net.TCPConn, by entrance) (lane.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), f.config.QueueTime)
	defer cancel()
	switch v.route {
	case Child:
		if by.own {
			return dial(ctx, conn.LocalAddr().String())
		}
		return dial(ctx, f.target(by.port))
	case Laptop:
		return f.lanes.Open(ctx, v.epoch, conn.RemoteAddr().String(), f.target(by.port))
	default:
		return nil, errQueued
	}
}

// final is whether trying again is of no use: the application itself refused.
// What the way to the laptop lacks at the moment may come back.
func (f *Front) final(v visit, err error) bool {
	var errno *lane.ErrnoError
	switch {
	case v.route == Child:
		return true
	case v.route == Laptop && errors.As(err, &errno):
		return errno.Name != "EAGAIN" && errno.Name != "ESTALE" && !errno.Again && !v.yields
	}
	return false
}

// wait for a change at the switch; a lane that broke tells nobody, hence the
// short second look.
func wait(changed <-chan struct{}, deadline *time.Timer) bool {
	again := time.NewTimer(250 * time.Millisecond)
	defer again.Stop()
	select {
	case <-changed:
		return true
	case <-again.C:
		return true
	case <-deadline.C:
		return false
	}
}

func dial(ctx context.Context, address string) (lane.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

func (f *Front) target(port int) string {
	return net.JoinHostPort(f.config.Address, strconv.Itoa(port))
}

func everywhere(port int) string { return ":" + strconv.Itoa(port) }
