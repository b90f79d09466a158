package wire

import (
	"context"
	"encoding/binary"
	"io"
	"sync"
	"sync/atomic"

	"devcluster/agent/internal/sync/volume"
)

// Remote is a Volume at the other end of a connection. Its methods may be called from any goroutine, while Run
// reads.
type Remote struct {
	Identity string
	Writable bool

	in   *reader
	out  *writer
	last atomic.Uint32

	mu    sync.Mutex
	calls map[uint32]*call
	ended bool
}

// call is a request that waits for its answer.
type call struct {
	sink   volume.Sink
	broken error         // of the sink; the rest is not for it
	tired  chan struct{} // closed when the sink is broken
	done   chan struct{}
	item   volume.Item
	digest volume.Digest
	blocks []volume.Digest
	err    error
}

// Dial says hello over a connection and waits for the answer.
func Dial(conn io.ReadWriter, exclude []string) (*Remote, error) {
	r := &Remote{in: newReader(conn, maxAnswer), out: newWriter(conn), calls: map[uint32]*call{}}
	if err := r.out.send(begin, 0, appendBegin(exclude)); err != nil {
		return nil, err
	}
	f, err := r.in.next()
	if err != nil {
		return nil, err
	}
	d := volume.Decode(f.body)
	if version := d.Number(); f.letter != hello || version != Version {
		return nil, volume.ErrCoding
	}
	r.Writable, r.Identity = d.Byte() == 1, d.Text()
	return r, d.Err()
}

// Listener hears what comes unasked.
type Listener interface {
	Tell(all []volume.Told)
	Scanned()
	Lacks(why string)
}

// Run reads until the connection ends; what is under way then ends with ErrLink.
func (r *Remote) Run(listener Listener) error {
	defer r.end()
	for {
		f, err := r.in.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		switch f.letter {
		case told:
			all, err := parseTold(f.body)
			if err != nil {
				return err
			}
			listener.Tell(all)
		case scanned:
			listener.Scanned()
		case lacks:
			listener.Lacks(string(f.body))
		default:
			if err := r.hear(f); err != nil {
				return err
			}
		}
	}
}

func (r *Remote) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	for _, waiting := range r.calls {
		waiting.err = ErrLink
		close(waiting.done)
	}
	r.calls = nil
}

// hear is for an answer, or a part of one.
func (r *Remote) hear(f frame) error {
	r.mu.Lock()
	waiting := r.calls[f.id]
	if f.letter == done || f.letter == failed {
		delete(r.calls, f.id)
	}
	r.mu.Unlock()
	if waiting == nil {
		return nil
	}
	switch f.letter {
	case again:
		d := volume.Decode(f.body)
		if item := d.Item(); waiting.broken == nil && d.Err() == nil {
			waiting.breaks(waiting.sink.Begin(item))
		}
		return d.Err()
	case data:
		if waiting.broken == nil {
			_, err := waiting.sink.Write(f.body)
			waiting.breaks(err)
		}
		return nil
	case keep:
		if waiting.broken == nil {
			waiting.breaks(waiting.sink.Keep(int64(volume.Decode(f.body).Number())))
		}
		return nil
	case done:
		d := volume.Decode(f.body)
		waiting.item, waiting.digest, waiting.blocks = d.Item(), d.Digest(), parseDigests(d)
		if waiting.err = waiting.broken; waiting.err == nil {
			waiting.err = d.Err()
		}
	case failed:
		if waiting.err = waiting.broken; waiting.err == nil {
			waiting.err = parseError(f.body)
		}
	default:
		return volume.ErrCoding
	}
	close(waiting.done)
	return nil
}

func (c *call) breaks(err error) {
	if err != nil {
		c.broken = err
		close(c.tired)
	}
}

// begin makes a call known before it is sent.
func (r *Remote) begin(sink volume.Sink) (uint32, *call, error) {
	id, waiting := r.last.Add(1), &call{sink: sink, tired: make(chan struct{}), done: make(chan struct{})}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return 0, nil, ErrLink
	}
	r.calls[id] = waiting
	return id, waiting, nil
}

func (r *Remote) ask(ctx context.Context, letter byte, body []byte, sink volume.Sink) (*call, error) {
	id, waiting, err := r.begin(sink)
	if err != nil {
		return &call{}, err
	}
	if r.out.send(letter, id, body) != nil {
		return &call{}, ErrLink
	}
	return waiting, r.wait(ctx, id, waiting)
}

func (r *Remote) wait(ctx context.Context, id uint32, waiting *call) error {
	select {
	case <-waiting.done:
	case <-waiting.tired:
		_ = r.out.send(drop, id, nil)
		<-waiting.done
	case <-ctx.Done():
		_ = r.out.send(drop, id, nil)
		<-waiting.done
	}
	return waiting.err
}

// Digest is Volume's.
func (r *Remote) Digest(ctx context.Context, path string) (volume.Item, volume.Digest, error) {
	got, err := r.ask(ctx, digest, volume.AppendText(nil, path), nil)
	return got.item, got.digest, err
}

// Blocks is Volume's.
func (r *Remote) Blocks(ctx context.Context, path string) ([]volume.Digest, error) {
	got, err := r.ask(ctx, blocks, volume.AppendText(nil, path), nil)
	return got.blocks, err
}

// Fetch is Volume's.
func (r *Remote) Fetch(ctx context.Context, path string, have []volume.Digest, sink volume.Sink) (volume.Item, volume.Digest, error) {
	got, err := r.ask(ctx, fetch, appendDigests(volume.AppendText(nil, path), have), sink)
	return got.item, got.digest, err
}

// Apply is Volume's.
func (r *Remote) Apply(ctx context.Context, change volume.Change) (volume.Item, error) {
	got, err := r.ask(ctx, apply, appendChange(nil, change), nil)
	return got.item, err
}

// Rescan is Volume's.
func (r *Remote) Rescan(ctx context.Context) error {
	_, err := r.ask(ctx, rescan, nil, nil)
	return err
}

// Staged is a file on its way to the other end.
type Staged struct {
	remote  *Remote
	id      uint32
	waiting *call
}

// Stage is Volume's; what is wrong is known at the latest when it is committed.
func (r *Remote) Stage(change volume.Change) (*Staged, error) {
	id, waiting, err := r.begin(nil)
	if err != nil {
		return nil, err
	}
	if r.out.send(stage, id, appendChange(nil, change)) != nil {
		return nil, ErrLink
	}
	return &Staged{r, id, waiting}, nil
}

func (s *Staged) send(letter byte, body []byte) error {
	select {
	case <-s.waiting.done: // it has failed there
		return s.waiting.err
	default:
	}
	if s.remote.out.send(letter, s.id, body) != nil {
		return ErrLink
	}
	return nil
}

// Begin is Sink's.
func (s *Staged) Begin(item volume.Item) error { return s.send(again, item.Append(nil)) }

// Keep is Sink's.
func (s *Staged) Keep(bytes int64) error {
	return s.send(keep, binary.AppendUvarint(nil, uint64(bytes)))
}

// Write is Sink's.
func (s *Staged) Write(part []byte) (int, error) {
	if err := s.send(data, part); err != nil {
		return 0, err
	}
	return len(part), nil
}

// Commit is volume.Staged's.
func (s *Staged) Commit(ctx context.Context, want volume.Item) (volume.Item, error) {
	if err := s.send(commit, want.Append(nil)); err != nil {
		return volume.Item{}, err
	}
	err := s.remote.wait(ctx, s.id, s.waiting)
	return s.waiting.item, err
}

// Drop is volume.Staged's.
func (s *Staged) Drop() {
	_ = s.send(drop, nil)
	s.remote.mu.Lock()
	delete(s.remote.calls, s.id)
	s.remote.mu.Unlock()
}
