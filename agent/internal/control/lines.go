package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"

	"golang.org/x/crypto/ssh"

	"devcluster/agent/internal/hold"
)

const (
	maxLine    = 256 << 10
	maxPending = 64 // requests of one client under way
)

// answer is what a request gets, by its id.
type answer struct {
	ID    json.RawMessage `json:"id"`
	OK    any             `json:"ok,omitempty"`
	Error *hold.Error     `json:"error,omitempty"`
}

type stateEvent struct {
	Event string     `json:"event"`
	State hold.State `json:"state"`
}

// control answers JSON lines, each in its own time.
func (s *Server) control(ctx context.Context, channel ssh.Channel) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out := &lines{to: json.NewEncoder(channel)}
	var group sync.WaitGroup
	defer group.Wait()
	go s.tell(ctx, out)
	in := bufio.NewReaderSize(channel, maxLine)
	places := make(chan struct{}, maxPending)
	for {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return errors.New("control: a line is too long")
		}
		if err != nil {
			cancel()
			return endOf(err)
		}
		request, refusal := parse(line)
		if refusal != nil {
			out.send(answer{ID: request.id(), Error: refusal})
			continue
		}
		places <- struct{}{}
		group.Go(func() {
			defer func() { <-places }()
			out.send(s.respond(ctx, request))
		})
	}
}

func endOf(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// lines writes whole lines from several goroutines. A client that does not
// read blocks here who writes to it, and nobody else.
type lines struct {
	mu sync.Mutex
	to *json.Encoder
}

func (l *lines) send(value any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.to.Encode(value) // a lost client ends the reading side
}
