package engine

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"devcluster/agent/internal/files"
	"devcluster/agent/internal/sync/decide"
)

const (
	statusEvery = 200 * time.Millisecond // at most
	mostNamed   = 100                    // names of one kind
)

type (
	name  = files.Name
	names = files.Names
)

// traffic is how many bytes of files have moved to each side.
type traffic struct{ bytes [2]atomic.Int64 }

func (t *traffic) add(to decide.Side, bytes int) { t.bytes[to].Add(int64(bytes)) }

// Problem is a name that can't be made equal now.
type Problem struct {
	Path name   `json:"path"`
	Why  string `json:"why"`
}

// HeldBack are deletions that nobody believes.
type HeldBack struct {
	DeletedOn string `json:"deleted_on"` // pod, laptop
	Count     int    `json:"count"`
	Paths     names  `json:"paths"` // the first of them
}

// Status is what the host process is told after each change. Files and Bytes are the pod's, or the laptop's as
// long as the pod's are not known.
type Status struct {
	State         string     `json:"state"` // starting, unreachable, comparing, busy, settled
	Files         int        `json:"files"`
	Bytes         int64      `json:"bytes"`
	Pending       int        `json:"pending"`
	PendingBytes  int64      `json:"pending_bytes"`
	Conflicts     []Problem  `json:"conflicts"`
	HeldBack      []HeldBack `json:"held_back"`
	Problems      []Problem  `json:"problems"`
	Databases     names      `json:"databases"` // of what belongs to one, the first
	LastSent      *time.Time `json:"last_sent"`
	LastReceived  *time.Time `json:"last_received"`
	SentBytes     int64      `json:"sent_bytes"`
	ReceivedBytes int64      `json:"received_bytes"`
	ReadOnly      bool       `json:"read_only"`
	Unwatched     string     `json:"unwatched"` // why some changes are seen later
	Trouble       string     `json:"trouble"`
}

// teller knows what the host was told, and when the next telling is due.
type teller struct {
	link    bool
	refused string // how the last connection ended
	trouble string
	last    [2]time.Time
	told    []byte
	at      time.Time
	due     time.Time
}

// tellStatus tells it where it is another one, but not all the time.
func (e *engine) tellStatus(now time.Time) {
	if now.Sub(e.status.at) < statusEvery {
		e.status.due = e.status.at.Add(statusEvery)
		return
	}
	e.status.due = time.Time{}
	body, err := json.Marshal(map[string]Status{"status": e.describe()})
	if err != nil || bytes.Equal(body, e.status.told) {
		return
	}
	e.status.told, e.status.at = body, now
	_ = e.host.send(control, body)
}

func (e *engine) describe() Status {
	side := decide.Pod
	if !e.scanned[side] {
		side = decide.Laptop
	}
	files, size := e.tree.Totals(side)
	status := Status{
		State: e.state(), Files: files, Bytes: size, Pending: e.pending(), PendingBytes: e.pendingBytes(),
		Conflicts: e.conflicts(), HeldBack: e.heldBack(), Problems: e.problems(), Databases: e.suspects.left(e.tree),
		LastSent: stamp(e.status.last[decide.Pod]), LastReceived: stamp(e.status.last[decide.Laptop]),
		SentBytes: e.moved.bytes[decide.Pod].Load(), ReceivedBytes: e.moved.bytes[decide.Laptop].Load(),
		ReadOnly: e.tree.OneWay, Unwatched: e.lacks[decide.Pod], Trouble: e.status.trouble,
	}
	if status.Trouble == "" && !e.status.link {
		status.Trouble = e.status.refused
	}
	return status
}

// pendingBytes are those of the plan that have not moved yet.
func (e *engine) pendingBytes() int64 {
	left := e.plan.PendingBytes
	for _, moved := range e.under {
		left -= moved.Load()
	}
	return max(0, left)
}

func (e *engine) state() string {
	switch {
	case !e.scanned[decide.Laptop]:
		return "starting"
	case e.sides[decide.Pod] == nil:
		return "unreachable"
	case !e.scanned[decide.Pod]:
		return "comparing"
	case e.batch || e.large > 0 || e.pending() > len(e.problems()):
		return "busy"
	}
	return "settled"
}

func stamp(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	at = at.UTC().Truncate(time.Millisecond)
	return &at
}

func (e *engine) conflicts() []Problem {
	found := e.tree.Conflicts()
	list := []Problem{}
	for _, path := range slices.Sorted(maps.Keys(found)) {
		list = append(list, Problem{name(path), found[path]})
	}
	return list
}

func (e *engine) problems() []Problem {
	found := map[string]string{}
	for n, w := range e.waits {
		if w.why != "" {
			found[n.Path()] = w.why
		}
	}
	list := []Problem{}
	for _, path := range slices.Sorted(maps.Keys(found)) {
		if list = append(list, Problem{name(path), found[path]}); len(list) == mostNamed {
			break
		}
	}
	return list
}

func (e *engine) heldBack() []HeldBack {
	list := []HeldBack{}
	for side, held := range e.plan.Held {
		if len(held) > 0 {
			from := [2]string{"pod", "laptop"}[decide.Side(side).Other()]
			list = append(list, HeldBack{from, len(held), held[:min(len(held), mostNamed)]})
		}
	}
	return list
}
