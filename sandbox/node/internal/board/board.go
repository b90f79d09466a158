// Package board is what a sandbox knows about itself: its programs and stages, and how far each is.
//
// One board, many writers (a goroutine for each program), many readers (`status`, the log).  Each change
// raises the version, so that a reader waits for the next one and never polls.
package board

import (
	"sync"
	"time"
)

// State of a unit.  A program that ended stays Failed until it works again.
type State string

// The states a unit goes through; Done is for stages, Running for programs.
const (
	Waiting  State = "waiting"
	Starting State = "starting"
	Running  State = "running"
	Done     State = "done"
	Failed   State = "failed"
)

// Unit is a program, or a stage of the start.  Exit says how it last ended, Lines are its last ones then.
type Unit struct {
	Name     string    `json:"name"`
	Kind     string    `json:"kind"` // program or stage
	State    State     `json:"state"`
	PID      int       `json:"pid,omitempty"`
	Restarts int       `json:"restarts"`
	Exit     string    `json:"exit,omitempty"`
	Lines    []string  `json:"lines,omitempty"`
	Since    time.Time `json:"since"`
}

// Snapshot is the board at one moment.  Seconds: from the start until everything worked, 0 before.
type Snapshot struct {
	Version int     `json:"version"`
	Ready   bool    `json:"ready"`
	Seconds float64 `json:"seconds"`
	Units   []Unit  `json:"units"`
}

// Board is safe for concurrent use.
type Board struct {
	mu      sync.Mutex
	changed chan struct{}
	start   time.Time
	state   Snapshot
}

// New returns an empty board whose clock starts now.
func New() *Board {
	return &Board{changed: make(chan struct{}), start: time.Now()}
}

// Elapsed is the time since the board was made.
func (b *Board) Elapsed() time.Duration { return time.Since(b.start) }

// Set changes the unit of that name, which is added where it is new.
func (b *Board) Set(name string, change func(*Unit)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	unit := b.unit(name)
	before := unit.State
	change(unit)
	if unit.State != before {
		unit.Since = time.Now().UTC()
	}
	b.settle()
}

// Snapshot returns a copy, and a channel that is closed at the next change.
func (b *Board) Snapshot() (Snapshot, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	state := b.state
	state.Units = append([]Unit(nil), b.state.Units...)
	return state, b.changed
}

func (b *Board) unit(name string) *Unit {
	for i := range b.state.Units {
		if b.state.Units[i].Name == name {
			return &b.state.Units[i]
		}
	}
	b.state.Units = append(b.state.Units, Unit{Name: name, State: Waiting, Since: time.Now().UTC()})
	return &b.state.Units[len(b.state.Units)-1]
}

// settle decides whether everything works, and wakes who waits.
func (b *Board) settle() {
	ready := true
	for _, unit := range b.state.Units {
		ready = ready && (unit.State == Running || unit.State == Done)
	}
	b.state.Ready = ready
	if ready && b.state.Seconds == 0 {
		b.state.Seconds = time.Since(b.start).Seconds()
	}
	b.state.Version++
	close(b.changed)
	b.changed = make(chan struct{})
}
