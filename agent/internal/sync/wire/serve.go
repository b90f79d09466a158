package wire

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	"devcluster/agent/internal/sync/volume"
)

const (
	maxUnderWay = 512 // requests of one connection
	maxReading  = 4   // files that are read at once
)

// Serve answers one connection for the folder at root until ctx or the connection ends; settings are what the
// laptop does not decide.
func Serve(ctx context.Context, conn io.ReadWriter, root string, settings volume.Settings) error {
	in := newReader(conn, maxRequest)
	first, err := in.next()
	if err != nil {
		return err
	}
	if settings.Exclude, err = parseBegin(first); err != nil {
		return err
	}
	s := &server{
		out: newWriter(conn), staged: map[uint32]*volume.Staged{}, cancels: map[uint32]context.CancelFunc{},
		underWay: make(chan struct{}, maxUnderWay), reading: make(chan struct{}, maxReading),
	}
	settings.Tell = s.tell
	v, err := volume.Open(root, settings)
	if err != nil {
		return err
	}
	defer v.Close()
	s.Volume = v
	identity, err := v.Identity()
	if err != nil {
		return err
	}
	if err := s.out.send(hello, 0, appendHello(identity, v.Writable())); err != nil {
		return err
	}
	return s.run(ctx, in)
}

func appendBegin(exclude []string) []byte {
	body := binary.AppendUvarint(nil, Version)
	for _, pattern := range exclude {
		body = volume.AppendText(body, pattern)
	}
	return body
}

func parseBegin(f frame) (exclude []string, err error) {
	d := volume.Decode(f.body)
	if version := d.Number(); f.letter != begin || version != Version {
		return nil, fmt.Errorf("sync: another protocol than %d", Version)
	}
	for d.More() {
		exclude = append(exclude, d.Text())
	}
	return exclude, d.Err()
}

func appendHello(identity string, writable bool) []byte {
	body := append(binary.AppendUvarint(nil, Version), 0)
	if writable {
		body[len(body)-1] = 1
	}
	return volume.AppendText(body, identity)
}

type server struct {
	*volume.Volume
	out      *writer
	staged   map[uint32]*volume.Staged
	group    sync.WaitGroup
	underWay chan struct{}
	reading  chan struct{}

	mu      sync.Mutex
	cancels map[uint32]context.CancelFunc
}

func (s *server) run(ctx context.Context, in *reader) error {
	ctx, cancel := context.WithCancel(ctx)
	watching := make(chan error, 1)
	go func() {
		err := s.Run(ctx, s.scanned)
		cancel()
		watching <- err
	}()
	err := s.read(ctx, in)
	cancel()
	s.group.Wait()
	for _, staged := range s.staged {
		staged.Drop()
	}
	if ended := <-watching; err == nil {
		err = ended
	}
	return err
}

func (s *server) tell(all []volume.Told) {
	var body []byte
	for at, one := range all {
		if body = appendTold(body, one); len(body) > enoughTold || at == len(all)-1 {
			_ = s.out.send(told, 0, body) // a lost connection ends the reading side
			body = body[:0]
		}
	}
}

func (s *server) scanned() {
	_ = s.out.send(lacks, 0, []byte(s.Watching()))
	_ = s.out.send(scanned, 0, nil)
}

func (s *server) read(ctx context.Context, in *reader) error {
	for {
		f, err := in.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.request(ctx, f); err != nil {
			return err
		}
	}
}

// request begins what a frame asks for; an error ends the connection.
func (s *server) request(ctx context.Context, f frame) error {
	d := volume.Decode(f.body)
	switch f.letter {
	case digest:
		path := d.Text()
		s.answer(ctx, f.id, s.reading, func(ctx context.Context) ([]byte, error) {
			item, digest, err := s.Digest(ctx, path)
			return about(item, digest), err
		})
	case blocks:
		path := d.Text()
		s.answer(ctx, f.id, s.reading, func(ctx context.Context) ([]byte, error) {
			digests, err := s.Blocks(ctx, path)
			return appendDigests(about(volume.Item{}, volume.Digest{}), digests), err
		})
	case fetch:
		path, have := d.Text(), parseDigests(d)
		s.answer(ctx, f.id, s.reading, func(ctx context.Context) ([]byte, error) {
			item, digest, err := s.Fetch(ctx, path, have, &sending{s.out, f.id})
			return about(item, digest), err
		})
	case apply:
		change, err := parseChange(f.body)
		if err != nil {
			return err
		}
		s.answer(ctx, f.id, nil, func(ctx context.Context) ([]byte, error) {
			item, err := s.Apply(ctx, change)
			return about(item, volume.Digest{}), err
		})
		return nil
	case rescan:
		s.answer(ctx, f.id, nil, func(ctx context.Context) ([]byte, error) {
			err := s.Rescan(ctx)
			_ = s.out.send(lacks, 0, []byte(s.Watching()))
			return about(volume.Item{}, volume.Digest{}), err
		})
	default:
		return s.file(ctx, f)
	}
	return d.Err()
}

// file is what concerns one that arrives.
func (s *server) file(ctx context.Context, f frame) error {
	staged := s.staged[f.id]
	var err error
	switch {
	case f.letter == stage:
		return s.stage(f)
	case f.letter == drop && staged == nil:
		s.mu.Lock()
		defer s.mu.Unlock()
		if cancel := s.cancels[f.id]; cancel != nil {
			cancel()
		}
		return nil
	case staged == nil: // it has failed already
		return nil
	case f.letter == again:
		err = staged.Begin(volume.Item{})
	case f.letter == data:
		_, err = staged.Write(f.body)
	case f.letter == keep:
		err = staged.Keep(int64(volume.Decode(f.body).Number()))
	case f.letter == commit:
		return s.commit(ctx, f, staged)
	case f.letter != drop:
		return fmt.Errorf("sync: a frame %q", f.letter)
	}
	if err != nil || f.letter == drop {
		staged.Drop()
		delete(s.staged, f.id)
	}
	if err != nil {
		_ = s.out.send(failed, f.id, appendError(nil, err))
	}
	return nil
}

func (s *server) stage(f frame) error {
	change, err := parseChange(f.body)
	if err != nil {
		return err
	}
	staged, err := s.Stage(change)
	if err != nil {
		_ = s.out.send(failed, f.id, appendError(nil, err))
		return nil
	}
	s.staged[f.id] = staged
	return nil
}

func (s *server) commit(ctx context.Context, f frame, staged *volume.Staged) error {
	d := volume.Decode(f.body)
	item := d.Item()
	delete(s.staged, f.id)
	s.answer(ctx, f.id, nil, func(ctx context.Context) ([]byte, error) {
		now, err := staged.Commit(ctx, item)
		return about(now, volume.Digest{}), err
	})
	return d.Err()
}

func about(item volume.Item, digest volume.Digest) []byte {
	return append(item.Append(nil), digest[:]...)
}

// answer does something in its own time; turns bounds how many do that at once.
func (s *server) answer(ctx context.Context, id uint32, turns chan struct{}, do func(context.Context) ([]byte, error)) {
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	s.cancels[id] = cancel
	s.mu.Unlock()
	s.underWay <- struct{}{}
	s.group.Go(func() {
		if turns != nil {
			turns <- struct{}{}
			defer func() { <-turns }()
		}
		body, err := do(ctx)
		if err != nil {
			_ = s.out.send(failed, id, appendError(nil, err))
		} else {
			_ = s.out.send(done, id, body)
		}
		cancel()
		s.mu.Lock()
		delete(s.cancels, id)
		s.mu.Unlock()
		<-s.underWay
	})
}

// sending is a Sink at the other end of the connection.
type sending struct {
	out *writer
	id  uint32
}

func (s *sending) Begin(item volume.Item) error { return s.out.send(again, s.id, item.Append(nil)) }

func (s *sending) Keep(bytes int64) error {
	return s.out.send(keep, s.id, binary.AppendUvarint(nil, uint64(bytes)))
}

func (s *sending) Write(part []byte) (int, error) { return len(part), s.out.send(data, s.id, part) }
