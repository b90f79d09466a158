package engine

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// The stream of the host process: frames of a channel (one byte), a length (uint32, big-endian) and so many
// bytes, both ways. Channel 0 is one JSON object a frame; the others are connections to the agent, each with a
// number of its own, so that what is still on its way from an old one is told from the new one.
const (
	control = 0
	maxText = 64 << 20
	maxPart = 64 << 10
)

// Host is the process that started us: it gives us connections, asks and answers.
type Host struct {
	in  *bufio.Reader
	mu  sync.Mutex
	out *bufio.Writer

	asking  sync.Mutex
	asked   int
	answers map[int]chan answer

	linking sync.Mutex
	links   map[int]*link
}

// NewHost speaks over the streams of a process.
func NewHost(in io.Reader, out io.Writer) *Host {
	return &Host{
		in: bufio.NewReaderSize(in, maxPart), out: bufio.NewWriterSize(out, maxPart),
		answers: map[int]chan answer{}, links: map[int]*link{},
	}
}

// order is what the host wants.
type order struct {
	Do      string          `json:"do"` // link, unlink, flush, keep, answer, end
	ID      json.RawMessage `json:"id"`
	Link    int             `json:"link"`
	MS      int64           `json:"ms"`
	Side    string          `json:"side"`
	Paths   names           `json:"paths"`
	Ask     int             `json:"ask"`
	Content []byte          `json:"content"`
	Refuse  string          `json:"refuse"`
}

// question asks the host how a file is written on the other side: rewrite gives the laptop's bytes for the pod's,
// restore the pod's for the laptop's and what the pod has now (null: nothing).
type question struct {
	Ask     int    `json:"ask"`
	Do      string `json:"do"`
	Path    name   `json:"path"`
	Content []byte `json:"content"`
	Pod     []byte `json:"pod"`
	Force   bool   `json:"force"` // somebody has decided for the laptop's
}

type answer struct {
	content []byte
	refuse  string
}

// send writes one frame.
func (h *Host) send(channel byte, body []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	head := binary.BigEndian.AppendUint32([]byte{channel}, uint32(len(body)))
	if _, err := h.out.Write(head); err != nil {
		return err
	}
	if _, err := h.out.Write(body); err != nil {
		return err
	}
	return h.out.Flush()
}

// say sends a JSON object.
func (h *Host) say(value any) {
	if body, err := json.Marshal(value); err == nil {
		_ = h.send(control, body) // a lost host ends the listening side
	}
}

// listen does what the host says until its stream ends.
func (h *Host) listen(e *engine) error {
	defer h.hangUp()
	for {
		var head [5]byte
		if _, err := io.ReadFull(h.in, head[:]); err != nil {
			return unlessEnd(err)
		}
		size := binary.BigEndian.Uint32(head[1:])
		if size > maxText {
			return fmt.Errorf("a frame of %d bytes from the host process", size)
		}
		body := make([]byte, size)
		if _, err := io.ReadFull(h.in, body); err != nil {
			return unlessEnd(err)
		}
		if channel := int(head[0]); channel != control {
			h.linking.Lock()
			link := h.links[channel]
			h.linking.Unlock()
			if link != nil {
				link.arrive(body)
			}
			continue
		}
		var asked order
		if err := json.Unmarshal(body, &asked); err != nil {
			return fmt.Errorf("the host process: %w", err)
		}
		if end := h.obey(e, asked); end {
			return nil
		}
	}
}

func unlessEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

func (h *Host) obey(e *engine, asked order) (end bool) {
	switch asked.Do {
	case "link":
		h.hangUp()
		if asked.Link > 0 && asked.Link < 256 && e.ctx.Err() == nil {
			opened := newLink(h, asked.Link)
			h.linking.Lock()
			h.links[asked.Link] = opened
			h.linking.Unlock()
			e.work.Go(func() { e.connect(opened) })
		}
	case "unlink":
		h.hangUp()
	case "flush":
		e.post(func() { e.flush(asked) })
	case "keep":
		e.post(func() { e.keep(asked) })
	case "answer":
		h.asking.Lock()
		waiting := h.answers[asked.Ask]
		delete(h.answers, asked.Ask)
		h.asking.Unlock()
		if waiting != nil {
			waiting <- answer{asked.Content, asked.Refuse}
		}
	case "end":
		return true
	}
	return false
}

// hangUp ends the connections there are.
func (h *Host) hangUp() {
	h.linking.Lock()
	defer h.linking.Unlock()
	for number, link := range h.links {
		link.close()
		delete(h.links, number)
	}
}

// rewrite asks for the bytes of a file on the other side.
func (h *Host) rewrite(ctx context.Context, asked question) ([]byte, error) {
	waiting := make(chan answer, 1)
	h.asking.Lock()
	h.asked++
	asked.Ask = h.asked
	h.answers[asked.Ask] = waiting
	h.asking.Unlock()
	h.say(asked)
	select {
	case got := <-waiting:
		if got.refuse != "" {
			return nil, refusal(got.refuse)
		}
		return got.content, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// link is a connection to the agent, carried by the host's stream.
type link struct {
	host   *Host
	number int
	in     *io.PipeReader
	to     *io.PipeWriter
}

func newLink(h *Host, number int) *link {
	in, to := io.Pipe()
	return &link{host: h, number: number, in: in, to: to}
}

func (l *link) arrive(part []byte) { _, _ = l.to.Write(part) }

func (l *link) close() { _ = l.to.Close() }

func (l *link) Read(part []byte) (int, error) { return l.in.Read(part) }

func (l *link) Write(part []byte) (int, error) {
	for sent := 0; sent < len(part); {
		next := part[sent:min(len(part), sent+maxPart)]
		if err := l.host.send(byte(l.number), next); err != nil {
			return sent, err
		}
		sent += len(next)
	}
	return len(part), nil
}
