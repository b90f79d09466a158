package engine

import (
	"encoding/json"
	"time"

	"devcluster/agent/internal/sync/decide"
)

const flushFor = time.Minute

// flush is somebody who waits until both sides are equal.
type flush struct {
	id    json.RawMessage
	until time.Time
	looks int // rescans that are not over
}

// result is the answer to a request.
type result struct {
	ID json.RawMessage `json:"id"`
	OK any             `json:"ok"`
}

// Left is what a flush has not made equal.
type Left struct {
	Equal   bool       `json:"equal"`
	Left    []Problem  `json:"left"`
	Held    []HeldBack `json:"held_back"`
	Pending int        `json:"pending"`
}

// flush has both sides looked at, and everything that failed tried again.
func (e *engine) flush(asked order) {
	now := time.Now()
	limit := time.Duration(asked.MS) * time.Millisecond
	if limit <= 0 {
		limit = flushFor
	}
	f := &flush{id: asked.ID, until: now.Add(limit)}
	e.flushes = append(e.flushes, f)
	e.hurry(now)
	for _, side := range e.sides {
		if side == nil {
			continue
		}
		f.looks++
		e.work.Go(func() {
			_ = side.Rescan(e.ctx)
			e.post(func() { f.looks-- })
		})
	}
}

// answerFlushes answers those who wait for nothing any more.
func (e *engine) answerFlushes(now time.Time) {
	var waiting []*flush
	for _, f := range e.flushes {
		if now.Before(f.until) && !(f.looks == 0 && e.isDone()) {
			waiting = append(waiting, f)
			continue
		}
		e.host.say(result{f.id, e.left()})
	}
	e.flushes = waiting
}

// isDone is whether nothing is under way but what has failed.
func (e *engine) isDone() bool {
	if !e.isReady() || e.batch || e.large > 0 {
		return false
	}
	stubborn := 0
	for _, w := range e.waits {
		if w.why != "" && w.again {
			stubborn++
		}
	}
	return e.pending() <= stubborn
}

func (e *engine) pending() int { return max(0, e.plan.Pending-e.finished) }

func (e *engine) left() Left {
	left := Left{Left: append(e.conflicts(), e.problems()...), Held: e.heldBack(), Pending: e.pending()}
	if !e.isReady() {
		left.Left = append(left.Left, Problem{".", "the pod can't be reached"})
	}
	left.Equal = len(left.Left) == 0 && len(left.Held) == 0 && left.Pending == 0
	return left
}

// kept is the answer to keep.
type kept struct {
	Unknown names `json:"unknown"` // paths about which there was nothing to decide
}

// keep ends conflicts, and decides about deletions that were held back.
func (e *engine) keep(asked order) {
	side := decide.Pod
	if asked.Side == "laptop" {
		side = decide.Laptop
	}
	answer := kept{Unknown: names{}}
	for _, path := range asked.Paths {
		n := e.tree.Find(path)
		if n == nil || !e.tree.Keep(n, side) {
			answer.Unknown = append(answer.Unknown, path)
			continue
		}
		e.memorize(path, n)
	}
	e.host.say(result{asked.ID, answer})
}

// memorize writes down what is known of a name and all below it.
func (e *engine) memorize(path string, n *decide.Node) {
	e.memory.Remember(path, n.Base)
	for base, below := range n.Below() {
		if path == "." {
			e.memorize(base, below)
		} else {
			e.memorize(path+"/"+base, below)
		}
	}
}
