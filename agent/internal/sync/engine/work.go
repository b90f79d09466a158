package engine

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"devcluster/agent/internal/sync/decide"
	"devcluster/agent/internal/sync/volume"
	"devcluster/agent/internal/sync/wire"
)

const (
	largeFile  = 4 << 20 // travels beside the batches
	maxLarge   = 2
	batchSteps = 1024
	batchBytes = 32 << 20
	atOnce     = 256 // changes under way
	moving     = 32  // files whose bytes are on their way
)

// worker does steps for the engine, away from its goroutine.
type worker struct {
	*engine
	sides  [2]side
	link   int
	places chan struct{}
}

func (e *engine) worker() *worker {
	return &worker{engine: e, sides: e.sides, link: e.link, places: make(chan struct{}, moving)}
}

// begin takes from the plan what can be done now.
func (e *engine) begin() {
	e.forgive()
	w := e.worker()
	var batch []decide.Step
	var bytes int64
	for _, step := range e.plan.Steps {
		isFile := step.Verb == decide.Put && step.Source.Kind == volume.File
		if isFile && !step.Node.Busy {
			step.Moved = new(atomic.Int64)
		}
		switch {
		case step.Verb == decide.Settle || step.Node.Busy:
			continue
		case isFile && step.Source.Size > largeFile || step.Verb == decide.Ask && step.Expect.Size > largeFile:
			if e.large < maxLarge {
				e.large++
				e.busy(step)
				e.work.Go(func() { w.alone(step) })
			}
			continue
		case isFile:
			bytes += step.Source.Size
		}
		e.busy(step)
		if batch = append(batch, step); len(batch) == batchSteps || bytes > batchBytes {
			break
		}
	}
	if len(batch) > 0 {
		e.batch = true
		e.work.Go(func() { w.together(batch) })
	}
}

func (e *engine) busy(step decide.Step) {
	step.Node.Busy = true
	if step.Moved != nil {
		e.under[step.Node] = step.Moved
	}
}

func (w *worker) alone(step decide.Step) {
	w.do(step)
	w.post(func() { w.engine.large-- })
}

// together does the steps of a batch: those of one rank at once, one rank after the other.
func (w *worker) together(batch []decide.Step) {
	for len(batch) > 0 {
		end := 1
		for end < len(batch) && batch[end].Verb == batch[0].Verb && batch[end].Rank() == batch[0].Rank() {
			end++
		}
		w.atOnce(batch[:end])
		batch = batch[end:]
	}
	w.post(func() { w.engine.batch = false })
}

func (w *worker) atOnce(steps []decide.Step) {
	next := make(chan decide.Step)
	var group sync.WaitGroup
	for range min(len(steps), atOnce) {
		group.Go(func() {
			for step := range next {
				w.do(step)
			}
		})
	}
	for _, step := range steps {
		next <- step
	}
	close(next)
	group.Wait()
}

// outcome is what came of a step.
type outcome struct {
	base   *decide.Base // what both sides have now; nil where it is for the next plan to see
	item   volume.Item  // of Ask and Dress: what it is
	digest volume.Digest
	took   time.Duration // on the way
	err    error
}

// do does one step and tells the engine.
func (w *worker) do(step decide.Step) {
	result := w.perform(step)
	w.post(func() { w.engine.concluded(step, result, w.link) })
}

// concluded notes what came of a step.
func (e *engine) concluded(step decide.Step, result outcome, link int) {
	n, now := step.Node, time.Now()
	n.Busy = false
	e.finished++
	if link != e.link && result.err == nil {
		result.err = wire.ErrLink // it may have been about another volume
	}
	if e.config.trace != nil {
		e.config.trace(step, result.err)
	}
	var refused refusal
	if errors.As(result.err, &refused) {
		n.Stuck = string(refused)
		e.tree.Touch(n)
		return
	}
	if result.err != nil {
		e.failed(step, result.err, now)
		return
	}
	switch step.Verb {
	case decide.Ask:
		e.tree.Read(n, step.To, result.item, result.digest)
	case decide.Dress:
		e.dressed(step, result.item)
	case decide.Clear, decide.Remove:
		if step.Counts {
			e.countRemoval(step.To, now)
		}
		e.remember(n, step.Path, nil)
	default:
		e.remember(n, step.Path, result.base)
	}
	e.worked(n, result.took, now)
	if step.Verb != decide.Ask {
		e.status.last[step.To] = now
	}
}

// dressed: where a file system does not keep what it was given, that is how it is.
func (e *engine) dressed(step decide.Step, now volume.Item) {
	n, want := step.Node, step.Want
	kept := now.Mode == want.Mode && now.UID == want.UID && now.GID == want.GID && now.Mtime == want.Mtime
	if kept {
		e.tree.Touch(n)
		return
	}
	base := &decide.Base{Digest: n.View[decide.Pod].Digest}
	base.Item[step.To], base.Item[step.To.Other()] = now, step.Source
	if n.Base != nil {
		base.Digest, base.Mine = n.Base.Digest, n.Base.Mine
	}
	base.Item[step.To].Ctime = 0 // its bytes may be others by now
	e.remember(n, step.Path, base)
}
