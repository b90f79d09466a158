package guard

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"devcluster/agent/internal/child"
	"devcluster/agent/internal/front"
	"devcluster/agent/internal/hold"
	"devcluster/agent/internal/lane"
)

var reaper = func() *child.Reaper {
	r, err := child.NewReaper()
	if err != nil {
		panic(err)
	}
	return r
}()

// TestMain is the application, too: it answers each connection with one word.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "application" {
		for _, late := range os.Args[3:] {
			go func() {
				time.Sleep(time.Second)
				serveWord(late)
			}()
		}
		serveWord(os.Args[2])
		return
	}
	os.Exit(m.Run())
}

func serveWord(address string) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, "application\n")
		_ = conn.Close()
	}
}

// laptop is the other end of the lanes: it answers with its own word.
type laptop struct {
	mu      sync.Mutex
	dropped []int64
	lost    bool
	keeps   bool // a connection stays open behind its word
	refuses bool // nobody listens there
}

// lose makes the laptop fall silent: its lanes break.
func (l *laptop) lose() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost = true
}

type end struct{ *net.TCPConn }

func (e end) Abort() { _ = e.SetLinger(0); _ = e.Close() }

func (l *laptop) Open(context.Context, int64, string, string) (hold.Stream, error) {
	l.mu.Lock()
	lost, keeps, refuses := l.lost, l.keeps, l.refuses
	l.mu.Unlock()
	switch {
	case lost:
		return nil, &lane.ErrnoError{Name: "EAGAIN"}
	case refuses:
		return nil, &lane.ErrnoError{Name: "ECONNREFUSED"}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	near, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		return nil, err
	}
	far, err := listener.Accept()
	if err != nil {
		return nil, err
	}
	_, _ = io.WriteString(far, "laptop\n")
	if !keeps {
		_ = far.Close()
	}
	return end{near.(*net.TCPConn)}, nil
}

func (l *laptop) Count(int64) int { return 1 }

func (l *laptop) Drop(below int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropped = append(l.dropped, below)
}

type world struct {
	*Guard
	front string
	codes chan int
}

var lastPort atomic.Int32

// freePort lies below the kernel's own choices: the end of a connection would
// take one of those meanwhile.
func freePort(t *testing.T) int {
	t.Helper()
	for range 1000 {
		port := 20_000 + (os.Getpid()*64+int(lastPort.Add(1)))%10_000
		if listener, err := net.Listen("tcp", fmt.Sprintf(":%d", port)); err == nil {
			_ = listener.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

func newWorld(t *testing.T, change func(*Config)) world {
	t.Helper()
	port, before := freePort(t), freePort(t)
	config := Config{Address: "127.0.0.1", Stop: 15, Command: []string{"/proc/self/exe", "application", fmt.Sprintf("127.0.0.1:%d", port)}}
	config.Settings.fill()
	config.Settings.LeaseMS = 60_000
	config.Settings.Ports = []front.Port{{Port: port, Front: before}}
	if change != nil {
		change(&config)
	}
	codes := make(chan int, 8)
	w := world{New(config, reaper, &laptop{}, func(code int) { codes <- code }), fmt.Sprintf("127.0.0.1:%d", before), codes}
	if err := w.Begin(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.mu.Lock()
		process := w.process
		w.leaving = true
		w.mu.Unlock()
		if process != nil {
			reaper.Signal(process, 9)
			<-process.Done()
		}
	})
	return w
}

func (w world) ask(t *testing.T) string {
	t.Helper()
	conn, err := net.DialTimeout("tcp", w.front, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	word, _ := bufio.NewReader(conn).ReadString('\n')
	return word
}

func (w world) until(t *testing.T, what string, true func(hold.State) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	changes := w.Watch(ctx)
	for !true(w.State()) {
		if _, open := <-changes; !open {
			t.Fatalf("never %s: %+v", what, w.State())
		}
	}
}

func (w world) take(ctx context.Context, epoch int64) (hold.State, error) {
	return w.Take(ctx, epoch, false)
}

func (w world) takeBeside(ctx context.Context, epoch int64) (hold.State, error) {
	return w.Take(ctx, epoch, true)
}

func (w world) release(ctx context.Context, epoch int64) (hold.State, error) {
	return w.Release(ctx, epoch, false)
}

func (w world) do(t *testing.T, name string, step func(context.Context, int64) (hold.State, error)) hold.State {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	state, err := step(ctx, 1)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return state
}

var ann = hold.Claim{Epoch: 1, Holder: hold.Holder{User: "ann", Host: "laptop", Project: "shop"}}

func (w world) hand(t *testing.T) {
	t.Helper()
	w.until(t, "started", func(s hold.State) bool { return s.Started })
	if _, err := w.Hold(context.Background(), ann); err != nil {
		t.Fatal(err)
	}
	w.do(t, "take", w.take)
	if state := w.do(t, "stop", w.Stop); state.Child != stopped || !state.Ready {
		t.Fatalf("after stop: %+v", state)
	}
}
