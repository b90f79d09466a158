package engine

import (
	"context"
	"sync/atomic"
	"time"

	"devcluster/agent/internal/sync/decide"
	"devcluster/agent/internal/sync/volume"
	"devcluster/agent/internal/sync/wire"
)

const (
	manyBlocks    = 256 << 10 // a file from which it is worth asking which blocks are there
	tooManyBlocks = 2 << 30   // beyond it they would not fit into a request
)

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
