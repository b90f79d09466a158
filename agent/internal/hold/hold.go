// Package hold is what the agent's parts know of one another: who keeps the
// workload, what control may ask of it, and how a connection gets to the
// laptop. Types only; guard keeps, connect carries, control asks.
package hold

import (
	"context"
	"io"
	"time"
)

// Holder is who has the workload.
type Holder struct {
	User    string `json:"user"`
	Host    string `json:"host"`
	Project string `json:"project"`
}

// Claim is what `hold` says.
type Claim struct {
	Epoch  int64  `json:"epoch"`
	Holder Holder `json:"holder"`
	Since  string `json:"since"`
}

// State is the agent's, as its JSON.
type State struct {
	Epoch   int64   `json:"epoch"`
	Holder  *Holder `json:"holder"`
	Since   string  `json:"since"`
	Route   string  `json:"route"` // child, laptop, queue
	Child   string  `json:"child"` // waiting, starting, running, stopping, stopped
	Started bool    `json:"-"`     // of the application; Reason tells who is not ready, and why
	Ready   bool    `json:"-"`
	Reason  string  `json:"reason"`
	Lanes   int     `json:"lanes"`
	LeaseMS int64   `json:"lease_ms"`
	// Listeners are where the application listens, or did before it was stopped;
	// Neighbours where the pod's other containers do.
	Listeners  []Listener `json:"listeners"`
	Neighbours []Listener `json:"neighbours"`
	// Versions name what kubelet wrote last into each volume that it writes anew:
	// the folders that their ..data leads to.
	Versions []string `json:"versions"`
}

// Listener is a port that somebody listens on; the address is 0.0.0.0 or :: where
// it is every one.
type Listener struct {
	Address  string `json:"address"`
	Port     int    `json:"port"`
	Protocol string `json:"protocol"` // TCP or UDP
}

// Facts is what the application has, as the JSON of `inspect`.
type Facts struct {
	Environment []string `json:"environment"` // base64 of K=V, in the agent's order
	Command     []string `json:"command"`     // base64, the argv behind --
	Cwd         string   `json:"cwd"`
	UID         int      `json:"uid"`
	GID         int      `json:"gid"`
	Groups      []int    `json:"groups"`
	Hostname    string   `json:"hostname"`
	Address     string   `json:"address"`
	ResolvConf  string   `json:"resolv_conf"`
	Hosts       string   `json:"hosts"`
	Mounts      []Mount  `json:"mounts"`
	Rights      Rights   `json:"rights"`
	// Real is where the paths lead that were asked for, through the image's links.
	Real map[string]string `json:"real"`
	// As State has them.
	Listeners  []Listener `json:"listeners"`
	Neighbours []Listener `json:"neighbours"`
}

// Rights are what the kernel lets the application do, whoever asked for it.
type Rights struct {
	Capabilities    string `json:"capabilities"` // those that it can ever have, in hexadecimal
	NoNewPrivileges bool   `json:"no_new_privileges"`
	ReadOnlyRoot    bool   `json:"read_only_root"`
}

// Mount is one of the container's own.
type Mount struct {
	Path      string `json:"path"`
	File      bool   `json:"file"` // and no folder
	ReadOnly  bool   `json:"read_only"`
	Kind      string `json:"kind"`      // of its file system: tmpfs is in memory
	Size      int64  `json:"size"`      // bytes that a tmpfs may have, or 0
	Projected bool   `json:"projected"` // kubelet writes it anew: a secret, a token, a ConfigMap
}

// Kinds of Error.
const (
	StaleEpoch  = "stale-epoch"
	Held        = "held"
	ChildFailed = "child-failed"
	Timeout     = "timeout"
	BadRequest  = "bad-request"
	Unknown     = "unknown-request" // of a laptop that is newer than this agent
)

// Error is a refusal, as control tells it.
type Error struct {
	Kind   string  `json:"kind"`
	Text   string  `json:"text"`
	Holder *Holder `json:"holder,omitempty"`
	Code   *int    `json:"code,omitempty"` // with which the application ended
}

func (e *Error) Error() string { return e.Kind + ": " + e.Text }

// Hello is the answer to `hello`.
type Hello struct {
	Protocol int `json:"protocol"`
}

// Keeper is guard: the one place that decides. Every method may be called from
// any goroutine. One that waits (Pause, Stop, Release) gives up waiting when
// its context ends, and what it began goes on.
type Keeper interface {
	Hello() Hello
	Inspect(ctx context.Context) (Facts, error)
	Hold(ctx context.Context, claim Claim) (State, error)
	Beat(ctx context.Context, epoch int64) (State, error)
	// Take leads new connections to the laptop. With beside the application is
	// to run on, and is started where it does not.
	Take(ctx context.Context, epoch int64, beside bool) (State, error)
	Pause(ctx context.Context, epoch int64) (State, error)
	Stop(ctx context.Context, epoch int64) (State, error)
	// Release gives the connections back to the application, and ends the hold
	// unless it is to be kept.
	Release(ctx context.Context, epoch int64, keep bool) (State, error)
	// Stay has the pod, told to end, serve on by the laptop for so long at most.
	Stay(epoch int64, span time.Duration) (State, error)
	State() State
	// Expect looks for proofs of the route with key for so long.
	Expect(key []byte, span time.Duration) error
	// Watch gives a channel that gets a token after a change; it holds one, so
	// that a slow reader misses steps and never the last state. It is closed
	// when ctx ends.
	Watch(ctx context.Context) <-chan struct{}
	// LaneUp asks whether a lane of this epoch may stand; the error is ESTALE's
	// reason. The number of lanes has changed when LanesChanged is called.
	LaneUp(epoch int64) error
	LanesChanged()
	// Ready and Live answer kubelet, with one line of reason.
	Ready() (bool, string)
	Live() (bool, string)
}

// Stream is one connection to the laptop: its directions close apart, and it
// can be reset.
type Stream interface {
	io.ReadWriteCloser
	CloseWrite() error
	Abort()
}

// Lanes is connect: the way to the laptop.
type Lanes interface {
	// Open asks the holder of epoch for a connection from the caller to one of
	// the pod's addresses (both host:port); it returns when the local
	// application has accepted. Errors name an errno, EAGAIN where no lane
	// stands.
	Open(ctx context.Context, epoch int64, from, to string) (Stream, error)
	// Count is how many lanes of epoch stand.
	Count(epoch int64) int
	// Drop ends all lanes of epochs below this one.
	Drop(below int64)
}
