package engine

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"devcluster/agent/internal/files"
	"devcluster/agent/internal/sync/volume"
	"devcluster/agent/internal/sync/wire"
)

// world is a pod's folder, a laptop's folder, an engine, and a host process between the two.
type world struct {
	t      *testing.T
	folder [2]string // of the pod, of the laptop
	config Config
	agent  volume.Settings

	over chan error     // the engine's end
	in   *io.PipeWriter // to the engine
	stop context.CancelFunc

	mu      sync.Mutex
	writing sync.Mutex
	link    int
	conn    io.WriteCloser // to the agent
	served  chan struct{}
	asked   int
	answers map[string]chan json.RawMessage
	status  Status
	news    chan struct{}
	rewrite func(question) map[string]any
}

const (
	pod    = 0
	laptop = 1
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func realFolder(t *testing.T) string {
	t.Helper()
	folder, err := filepath.EvalSymlinks(t.TempDir())
	check(t, err)
	return folder
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, agent: volume.Settings{Write: true}, answers: map[string]chan json.RawMessage{}, news: make(chan struct{}, 1)}
	w.folder = [2]string{realFolder(t), realFolder(t)}
	w.config = Config{Root: w.folder[laptop], State: filepath.Join(realFolder(t), "state"), Copy: "copy"}
	t.Cleanup(func() {
		if w.over != nil {
			w.end()
		}
	})
	return w
}

// begin starts the engine.
func (w *world) begin() {
	theirs, in := io.Pipe()
	out, mine := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	w.in, w.stop, w.over = in, cancel, make(chan error, 1)
	over := w.over
	go func() {
		err := Run(ctx, w.config, NewHost(theirs, mine))
		_ = mine.Close()
		_ = theirs.Close()
		over <- err
	}()
	go w.hear(out)
}

// end ends the engine as the host process would.
func (w *world) end() {
	w.t.Helper()
	w.cut()
	w.say(map[string]any{"do": "end"})
	w.wait()
}

// kill ends the engine in the middle of whatever it does.
func (w *world) kill() {
	w.t.Helper()
	w.stop()
	_ = w.in.Close()
	w.wait()
	w.cut()
}

func (w *world) wait() {
	w.t.Helper()
	select {
	case err := <-w.over:
		if err != nil && err != io.ErrClosedPipe {
			w.t.Errorf("the engine ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		w.t.Fatal("the engine does not end")
	}
	w.over = nil
}

// hear reads what the engine says.
func (w *world) hear(out io.Reader) {
	for {
		var head [5]byte
		if _, err := io.ReadFull(out, head[:]); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head[1:]))
		if _, err := io.ReadFull(out, body); err != nil {
			return
		}
		if head[0] == control {
			w.told(body)
			continue
		}
		w.mu.Lock()
		conn := w.conn
		if int(head[0]) != w.link {
			conn = nil
		}
		w.mu.Unlock()
		if conn != nil {
			_, _ = conn.Write(body)
		}
	}
}

func (w *world) told(body []byte) {
	var message struct {
		Status *Status         `json:"status"`
		ID     string          `json:"id"`
		OK     json.RawMessage `json:"ok"`
		question
	}
	if err := json.Unmarshal(body, &message); err != nil {
		w.t.Errorf("%s: %v", body, err)
		return
	}
	if message.Ask > 0 {
		answer := w.rewrite(message.question)
		answer["do"], answer["ask"] = "answer", message.Ask
		go w.say(answer)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if message.Status != nil {
		w.status = *message.Status
	}
	if waiting := w.answers[message.ID]; waiting != nil && message.ID != "" {
		waiting <- message.OK
	}
	select {
	case w.news <- struct{}{}:
	default:
	}
}

func (w *world) send(channel byte, body []byte) {
	w.writing.Lock()
	defer w.writing.Unlock()
	head := binary.BigEndian.AppendUint32([]byte{channel}, uint32(len(body)))
	_, _ = w.in.Write(append(head, body...)) // an engine that was killed reads nothing
}

func (w *world) say(order map[string]any) {
	body, err := json.Marshal(order)
	if err != nil {
		w.t.Error(err)
	}
	w.send(control, body)
}

func (w *world) ask(order map[string]any, answer any) {
	w.t.Helper()
	w.mu.Lock()
	w.asked++
	id := fmt.Sprint(w.asked)
	waiting := make(chan json.RawMessage, 1)
	w.answers[id] = waiting
	w.mu.Unlock()
	order["id"] = id
	w.say(order)
	select {
	case got := <-waiting:
		check(w.t, json.Unmarshal(got, answer))
	case <-time.After(30 * time.Second):
		w.t.Fatalf("no answer to %v", order)
	}
}

// connect opens a connection to an agent.
func (w *world) connect() {
	theirs, mine := net.Pipe()
	served := make(chan struct{})
	w.mu.Lock()
	w.link = w.link%200 + 1
	w.conn, w.served = mine, served
	number := w.link
	w.mu.Unlock()
	w.say(map[string]any{"do": "link", "link": number})
	go func() {
		_ = wire.Serve(context.Background(), theirs, w.folder[pod], w.agent)
		_ = theirs.Close()
		close(served)
	}()
	go func() {
		buffer := make([]byte, 32<<10)
		for {
			n, err := mine.Read(buffer)
			if err != nil {
				return
			}
			w.send(byte(number), buffer[:n])
		}
	}()
}

// cut ends the connection in the middle of whatever travels.
func (w *world) cut() {
	w.mu.Lock()
	conn, served := w.conn, w.served
	w.conn = nil
	w.mu.Unlock()
	if conn != nil {
		_ = conn.Close()
		<-served
		w.say(map[string]any{"do": "unlink"})
	}
}

func (w *world) start() *world {
	w.begin()
	w.connect()
	return w
}

// flush waits until both sides are equal but for what it gives.
func (w *world) flush() Left {
	w.t.Helper()
	var left Left
	w.ask(map[string]any{"do": "flush", "ms": 20_000}, &left)
	return left
}

func (w *world) settle() {
	w.t.Helper()
	if left := w.flush(); !left.Equal {
		w.t.Fatalf("left: %+v", left)
	}
	w.equal()
}

// until waits for a status.
func (w *world) until(what string, holds func(Status) bool) {
	w.t.Helper()
	late := time.After(10 * time.Second)
	for {
		w.mu.Lock()
		status := w.status
		w.mu.Unlock()
		if holds(status) {
			return
		}
		select {
		case <-w.news:
		case <-late:
			w.t.Fatalf("not %s: %+v", what, status)
		}
	}
}

func (w *world) path(side int, name string) string { return filepath.Join(w.folder[side], name) }

func (w *world) write(side int, name, text string) {
	w.t.Helper()
	check(w.t, os.MkdirAll(filepath.Dir(w.path(side, name)), 0o755))
	check(w.t, os.WriteFile(w.path(side, name), []byte(text), 0o644))
}

func (w *world) read(side int, name string) string {
	text, err := os.ReadFile(w.path(side, name))
	if os.IsNotExist(err) {
		return "(none)"
	}
	check(w.t, err)
	return string(text)
}

// tree is a folder as lines; times of folders and links are nobody's.
func (w *world) tree(side int) []string {
	w.t.Helper()
	var lines []string
	for entry, err := range files.Scan(w.folder[side], nil) {
		check(w.t, err)
		line := fmt.Sprintf("%s %q %o %d:%d %q", entry.Type, entry.Name(), entry.Mode, entry.UID, entry.GID, entry.Link+entry.Link64)
		if entry.Type == "f" {
			line += fmt.Sprintf(" %d %q", entry.MtimeNS, w.read(side, entry.Name()))
		}
		lines = append(lines, line)
	}
	return lines
}

func (w *world) equal() {
	w.t.Helper()
	theirs, mine := w.tree(pod), w.tree(laptop)
	if slices.Equal(theirs, mine) {
		return
	}
	for _, line := range theirs {
		if !slices.Contains(mine, line) {
			w.t.Errorf("only in the pod: %.300s", line)
		}
	}
	for _, line := range mine {
		if !slices.Contains(theirs, line) {
			w.t.Errorf("only on the laptop: %.300s", line)
		}
	}
}

func paths(problems []Problem) string {
	var all []string
	for _, one := range problems {
		all = append(all, string(one.Path))
	}
	return strings.Join(all, " ")
}
