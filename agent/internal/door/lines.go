package door

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// maxLine bounds a request; probes with headers and lists of networks fit.
const maxLine = 1 << 20

// lineTime bounds the write of one line: a host process that does not read is gone.
const lineTime = 10 * time.Second

// Refusal is the other side's error, or ours to it.
type Refusal struct {
	Kind string `json:"kind"`
	Text string `json:"text"`
}

func (r *Refusal) Error() string { return r.Text }

// Handler answers one request; body is the whole line. Its error becomes the answer's.
type Handler func(ctx context.Context, do string, body []byte) (any, error)

// Lines is a conversation of requests, answers and events, a JSON object a line, both ways.
type Lines struct {
	conn   net.Conn
	handle Handler
	write  sync.Mutex

	mu      sync.Mutex
	next    int64
	waiting map[int64]chan message
	done    chan struct{}
}

type message struct {
	ID    int64           `json:"id,omitempty"`
	Do    string          `json:"do,omitempty"`
	Event string          `json:"event,omitempty"`
	OK    json.RawMessage `json:"ok,omitempty"`
	Error *Refusal        `json:"error,omitempty"`
}

// NewLines makes a conversation on conn; Run must be running for Call to work.
func NewLines(conn net.Conn, handle Handler) *Lines {
	return &Lines{conn: conn, handle: handle, waiting: make(map[int64]chan message), done: make(chan struct{})}
}

// Run reads until the other side ends or ctx does. Requests are answered concurrently.
func (l *Lines) Run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = l.conn.Close() })
	defer stop()
	defer close(l.done)
	scanner := bufio.NewScanner(l.conn)
	scanner.Buffer(make([]byte, 0, 4<<10), maxLine)
	for scanner.Scan() {
		line := append([]byte(nil), scanner.Bytes()...)
		var got message
		if json.Unmarshal(line, &got) != nil {
			_ = l.send(message{Error: &Refusal{Kind: "bad-request", Text: "expected one JSON object a line"}})
			continue
		}
		switch {
		case got.Do != "":
			go l.answer(ctx, got, line)
		case got.Event == "":
			l.deliver(got)
		}
	}
}

func (l *Lines) deliver(got message) {
	l.mu.Lock()
	waiting := l.waiting[got.ID]
	delete(l.waiting, got.ID)
	l.mu.Unlock()
	if waiting != nil {
		waiting <- got
	}
}

func (l *Lines) answer(ctx context.Context, got message, line []byte) {
	result, err := l.handle(ctx, got.Do, line)
	reply := message{ID: got.ID}
	if err == nil {
		reply.OK, err = json.Marshal(result)
	}
	if err != nil {
		var refusal *Refusal
		if !errors.As(err, &refusal) {
			refusal = &Refusal{Kind: "failed", Text: err.Error()}
		}
		reply.OK, reply.Error = nil, refusal
	}
	_ = l.send(reply)
}

// Event tells the other side something unasked. value's JSON must have "event".
func (l *Lines) Event(value any) error { return l.send(value) }

// Call asks the other side; arguments is merged beside id and do. A *Refusal is its own error.
func (l *Lines) Call(ctx context.Context, do string, arguments map[string]any, result any) error {
	answer := make(chan message, 1)
	l.mu.Lock()
	l.next++
	id := l.next
	l.waiting[id] = answer
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.waiting, id)
		l.mu.Unlock()
	}()
	request := map[string]any{"id": id, "do": do}
	for name, value := range arguments {
		request[name] = value
	}
	if err := l.send(request); err != nil {
		return fmt.Errorf("the host process can't be asked: %w", err)
	}
	select {
	case got := <-answer:
		if got.Error != nil {
			return got.Error
		}
		return json.Unmarshal(got.OK, result)
	case <-l.done:
		return errors.New("the host process has ended the conversation")
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *Lines) send(value any) error {
	line, err := json.Marshal(value)
	if err != nil {
		return err
	}
	l.write.Lock()
	defer l.write.Unlock()
	if err := l.conn.SetWriteDeadline(time.Now().Add(lineTime)); err != nil {
		return err
	}
	_, err = l.conn.Write(append(line, '\n'))
	if err != nil {
		_ = l.conn.Close()
	}
	return err
}
