package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"sync"
)

// ErrClosed is the end of an exchange: its stream is gone, and another may be opened.
var ErrClosed = errors.New("the way to the pod's resolver is closed")

// Exchange asks many questions on one stream, framed as by TCP (RFC 1035 4.2.2). Answers come in any order,
// so each question gets an ID of its own on the way; two processes may have chosen the same.
type Exchange struct {
	stream io.ReadWriteCloser
	write  sync.Mutex

	mu      sync.Mutex
	next    uint16
	waiting map[uint16]chan []byte
	done    chan struct{}
	once    sync.Once
}

// NewExchange owns stream from now on.
func NewExchange(stream io.ReadWriteCloser) *Exchange {
	e := &Exchange{stream: stream, waiting: make(map[uint16]chan []byte), done: make(chan struct{})}
	go e.read()
	return e
}

// Done is closed when the stream is gone.
func (e *Exchange) Done() <-chan struct{} { return e.done }

// Close ends the stream.
func (e *Exchange) Close() {
	e.once.Do(func() { close(e.done); _ = e.stream.Close() })
}

// Ask sends query and waits for its answer.
func (e *Exchange) Ask(ctx context.Context, query []byte) ([]byte, error) {
	if len(query) < headerSize {
		return nil, errors.New("shorter than a DNS header")
	}
	id, answer, err := e.register()
	if err != nil {
		return nil, err
	}
	defer e.forget(id)
	if err := e.send(id, query); err != nil {
		e.Close()
		return nil, ErrClosed
	}
	select {
	case message := <-answer:
		copy(message, query[:2])
		return message, nil
	case <-e.done:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (e *Exchange) register() (uint16, chan []byte, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.waiting) >= 1<<15 {
		return 0, nil, errors.New("too many questions at once")
	}
	for {
		e.next++
		if _, taken := e.waiting[e.next]; !taken {
			answer := make(chan []byte, 1)
			e.waiting[e.next] = answer
			return e.next, answer, nil
		}
	}
}

func (e *Exchange) forget(id uint16) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.waiting, id)
}

func (e *Exchange) send(id uint16, query []byte) error {
	framed := frame(query)
	binary.BigEndian.PutUint16(framed[2:], id)
	e.write.Lock()
	defer e.write.Unlock()
	_, err := e.stream.Write(framed)
	return err
}

func (e *Exchange) read() {
	defer e.Close()
	for {
		message, err := ReadMessage(e.stream)
		if err != nil {
			return
		}
		if len(message) < headerSize {
			continue
		}
		e.mu.Lock()
		answer := e.waiting[binary.BigEndian.Uint16(message)]
		e.mu.Unlock()
		if answer != nil {
			select {
			case answer <- message:
			default: // a second answer to the same question
			}
		}
	}
}

// ReadMessage reads one message with its length in front.
func ReadMessage(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(r, message)
	return message, err
}

func frame(message []byte) []byte {
	framed := make([]byte, 2, 2+len(message))
	binary.BigEndian.PutUint16(framed, uint16(len(message)))
	return append(framed, message...)
}

// parallel bounds the questions of one TCP connection that are answered at the same time.
const parallel = 64

// ServeStream answers the questions of one TCP connection until it ends.
func (r *Resolver) ServeStream(ctx context.Context, stream io.ReadWriter) {
	var write sync.Mutex
	var answers sync.WaitGroup
	defer answers.Wait()
	slots := make(chan struct{}, parallel)
	for {
		query, err := ReadMessage(stream)
		if err != nil {
			return
		}
		slots <- struct{}{}
		answers.Go(func() {
			defer func() { <-slots }()
			if answer := r.Answer(ctx, query); answer != nil && len(answer) <= 0xffff {
				write.Lock()
				defer write.Unlock()
				_, _ = stream.Write(frame(answer))
			}
		})
	}
}
