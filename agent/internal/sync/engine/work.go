package engine

import (
	"context"
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

	manyBlocks    = 256 << 10 // a file from which it is worth asking which blocks are there
	tooManyBlocks = 2 << 30   // beyond it they would not fit into a request
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

// perform does what a step says.
func (w *worker) perform(step decide.Step) outcome {
	if w.sides[decide.Pod] == nil {
		return outcome{err: wire.ErrLink}
	}
	to := w.sides[step.To]
	change := volume.Change{Path: step.Path, Item: step.Want, Expect: step.Expect}
	switch step.Verb {
	case decide.Ask:
		return w.read(step)
	case decide.Put:
		if step.Source.Kind == volume.File {
			return w.put(step)
		}
		change.Verb = volume.Make
	case decide.Make:
		change.Verb = volume.Make
	case decide.Tie:
		change.Verb, change.From, change.Source = volume.Tie, step.From, step.FromItem
	case decide.Dress:
		change.Verb = volume.Dress
	default:
		change.Verb = volume.Remove
	}
	item, err := to.Apply(w.ctx, change)
	if err != nil {
		return outcome{err: failure{step.To, err}}
	}
	return outcome{item: item, base: made(step, item)}
}

// made is the base of a name that was made.
func made(step decide.Step, item volume.Item) *decide.Base {
	base := &decide.Base{Digest: step.Digest, Mine: step.To == decide.Pod}
	base.Item[step.To], base.Item[step.To.Other()] = item, step.Source
	switch step.Verb {
	case decide.Make: // a mode that keeps its owner out comes when all is in it
		base.Item[step.To.Other()].Mode |= item.Mode & 0o700 &^ step.Want.Mode
	case decide.Tie: // to be read again: it was not read by this name
		base.Item[step.To.Other()].Ctime = 0
	}
	return base
}

func (w *worker) read(step decide.Step) outcome {
	if rewritten(step) && step.To == decide.Pod {
		return w.readRewritten(step)
	}
	w.places <- struct{}{}
	defer func() { <-w.places }()
	item, digest, err := w.sides[step.To].Digest(w.ctx, step.Path)
	if err == nil && item.Ctime == 0 {
		err = volume.ErrBusy
	}
	if err != nil {
		return outcome{err: failure{step.To, err}}
	}
	return outcome{item: item, digest: digest}
}

// put brings a file from the other side.
func (w *worker) put(step decide.Step) outcome {
	if rewritten(step) {
		return w.putRewritten(step)
	}
	from := step.To.Other()
	if step.From != "" {
		if result := w.copy(step, from); result.err == nil {
			return result
		}
	}
	w.places <- struct{}{}
	began := time.Now()
	item, digest, arriving, err := w.carry(step, from)
	took := time.Since(began)
	<-w.places
	if err != nil {
		return outcome{err: err}
	}
	result := w.commit(step, arriving, item, digest)
	result.took = took
	return result
}

// copy makes a file out of one that the side has already, if that has the same bytes.
func (w *worker) copy(step decide.Step, from decide.Side) outcome {
	item, digest, err := w.sides[from].Digest(w.ctx, step.Path)
	if err == nil && digest != step.Digest {
		err = volume.ErrChanged
	}
	if err != nil {
		return outcome{err: err}
	}
	return w.commit(step, &copied{w, step}, item, digest)
}

// copied is a file that need not travel.
type copied struct {
	*worker
	step decide.Step
}

func (c *copied) Begin(volume.Item) error        { return nil }
func (c *copied) Keep(int64) error               { return nil }
func (c *copied) Write(part []byte) (int, error) { return len(part), nil }
func (c *copied) Drop()                          {}

func (c *copied) Commit(ctx context.Context, want volume.Item) (volume.Item, error) {
	return c.sides[c.step.To].Apply(ctx, volume.Change{
		Path: c.step.Path, Verb: volume.Copy, Item: want, Expect: c.step.Expect, From: c.step.From, Source: c.step.FromItem,
	})
}

// carry moves a file's bytes beside its place.
func (w *worker) carry(step decide.Step, from decide.Side) (volume.Item, volume.Digest, staged, error) {
	have, err := w.blocks(step)
	if err != nil {
		return volume.Item{}, volume.Digest{}, nil, failure{step.To, err}
	}
	arriving, err := w.sides[step.To].stage(volume.Change{Path: step.Path, Expect: step.Expect})
	if err != nil {
		return volume.Item{}, volume.Digest{}, nil, failure{step.To, err}
	}
	counted := &counting{Sink: arriving, traffic: &w.moved, to: step.To, moved: step.Moved}
	item, digest, err := w.sides[from].Fetch(w.ctx, step.Path, have, counted)
	if counted.err != nil {
		err = failure{step.To, counted.err}
	} else if err != nil {
		err = failure{from, err}
	}
	if err != nil {
		arriving.Drop()
	}
	return item, digest, arriving, err
}

// blocks are those of the file that is replaced, where it and the new one are large: of a log that has grown only
// the end travels.
func (w *worker) blocks(step decide.Step) ([]volume.Digest, error) {
	size := step.Expect.Size
	if step.Expect.Kind != volume.File || min(size, step.Source.Size) < manyBlocks || size > tooManyBlocks {
		return nil, nil
	}
	return w.sides[step.To].Blocks(w.ctx, step.Path)
}

// commit puts a file that has arrived in its place. That it is about to happen is written down before.
func (w *worker) commit(step decide.Step, arriving staged, item volume.Item, digest volume.Digest) outcome {
	source := item
	source.Mode, source.UID, source.GID = step.Source.Mode, step.Source.UID, step.Source.GID // as the plan saw them
	want := step.Want
	want.Mtime = item.Mtime
	coming := decide.Coming{To: step.To, Source: source, Want: want, Digest: digest}
	if err := w.memory.Expect(step.Path, coming); err != nil {
		arriving.Drop()
		return outcome{err: failure{decide.Laptop, err}}
	}
	w.post(func() { step.Node.Coming = &coming })
	now, err := arriving.Commit(w.ctx, want)
	if err != nil {
		return outcome{err: failure{step.To, err}}
	}
	base := &decide.Base{Digest: digest, Mine: step.To == decide.Pod}
	base.Item[step.To], base.Item[step.To.Other()] = now, source
	return outcome{base: base}
}

// counting is a Sink that counts, and knows whether it was it that failed.
type counting struct {
	volume.Sink
	*traffic
	to    decide.Side
	moved *atomic.Int64 // of this file, with what is kept of the former one
	err   error
}

func (c *counting) Begin(item volume.Item) error {
	c.moved.Store(0)
	c.err = c.Sink.Begin(item)
	return c.err
}

func (c *counting) Keep(bytes int64) error {
	c.moved.Add(bytes)
	c.err = c.Sink.Keep(bytes)
	return c.err
}

func (c *counting) Write(part []byte) (int, error) {
	n, err := c.Sink.Write(part)
	if err != nil {
		c.err = err
	}
	c.add(c.to, n)
	c.moved.Add(int64(n))
	return n, err
}
