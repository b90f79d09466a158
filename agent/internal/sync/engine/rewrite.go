package engine

import (
	"bytes"
	"crypto/sha256"

	"devcluster/agent/internal/sync/decide"
	"devcluster/agent/internal/sync/volume"
)

// maxRewritten is the largest file that is rewritten: beyond it is no configuration.
const maxRewritten = 1 << 20

// rewritten is whether a step is about a file that has other bytes on the laptop.
func rewritten(step decide.Step) bool {
	return step.Node.Rewrite && max(step.Source.Size, step.Expect.Size) <= maxRewritten
}

// refusal is why a file can't be given to the other side; it becomes a conflict.
type refusal string

func (r refusal) Error() string { return string(r) }

// text is a Sink that keeps a file.
type text struct{ bytes.Buffer }

func (t *text) Begin(volume.Item) error {
	t.Reset()
	return nil
}

func (t *text) Keep(int64) error { return volume.ErrChanged } // nothing is there to be kept

func (t *text) Write(part []byte) (int, error) {
	if t.Len()+len(part) > maxRewritten {
		return 0, refusal("it is too large to be rewritten")
	}
	return t.Buffer.Write(part)
}

// fetch reads a small file of one side.
func (w *worker) fetch(at decide.Side, path string) ([]byte, volume.Item, error) {
	w.places <- struct{}{}
	defer func() { <-w.places }()
	var got text
	item, _, err := w.sides[at].Fetch(w.ctx, path, nil, &got)
	if err != nil {
		return nil, item, failure{at, err}
	}
	return got.Bytes(), item, nil
}

func digestOf(content []byte) volume.Digest {
	sum := sha256.New()
	_, _ = sum.Write(content)
	return volume.SumDigest(sum)
}

// readRewritten is the digest that a file of the pod has once it is rewritten.
func (w *worker) readRewritten(step decide.Step) outcome {
	content, item, err := w.fetch(decide.Pod, step.Path)
	if err == nil {
		content, err = w.host.rewrite(w.ctx, question{Do: "rewrite", Path: name(step.Path), Content: content})
	}
	if err != nil {
		return outcome{err: err}
	}
	return outcome{item: item, digest: digestOf(content)}
}

// putRewritten brings a file to the other side as it is written there. What the laptop has changed is put into
// what the pod has.
func (w *worker) putRewritten(step decide.Step) outcome {
	content, item, err := w.fetch(step.To.Other(), step.Path)
	if err != nil {
		return outcome{err: err}
	}
	asked := question{Do: "rewrite", Path: name(step.Path), Content: content}
	if step.To == decide.Pod {
		asked.Do, asked.Force = "restore", step.Allowed
		if step.Expect.Kind == volume.File {
			if asked.Pod, _, err = w.fetch(decide.Pod, step.Path); err != nil {
				return outcome{err: err}
			}
		}
	}
	other, err := w.host.rewrite(w.ctx, asked)
	if err != nil {
		return outcome{err: err}
	}
	arriving, err := w.sides[step.To].stage(volume.Change{Path: step.Path, Expect: step.Expect})
	if err != nil {
		return outcome{err: failure{step.To, err}}
	}
	counted := &counting{Sink: arriving, traffic: &w.moved, to: step.To, moved: step.Moved}
	if counted.Begin(item) == nil {
		_, _ = counted.Write(other)
	}
	if counted.err != nil {
		arriving.Drop()
		return outcome{err: failure{step.To, counted.err}}
	}
	digest := digestOf(other)
	if step.To == decide.Pod {
		digest = digestOf(content)
	}
	return w.commit(step, arriving, item, digest)
}
