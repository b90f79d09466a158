package guard

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"devcluster/agent/internal/child"
	"devcluster/agent/internal/front"
	"devcluster/agent/internal/hold"
	"devcluster/agent/internal/probe"
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
}

type end struct{ *net.TCPConn }

func (e end) Abort() { _ = e.SetLinger(0); _ = e.Close() }

func (l *laptop) Open(context.Context, int64, string, string) (hold.Stream, error) {
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
	_ = far.Close()
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

func freePort(t *testing.T) int {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
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
	w.do(t, "take", w.Take)
	if state := w.do(t, "stop", w.Stop); state.Child != stopped || !state.Ready {
		t.Fatalf("after stop: %+v", state)
	}
}

func TestThereAndBack(t *testing.T) {
	w := newWorld(t, nil)
	w.hand(t)
	if word := w.ask(t); word != "laptop\n" {
		t.Errorf("held: %q", word)
	}
	if state := w.do(t, "release", w.Release); state.Holder != nil || state.Route != "child" || state.Child != running {
		t.Errorf("after release: %+v", state)
	}
	if word := w.ask(t); word != "application\n" {
		t.Errorf("released: %q", word)
	}
}

func TestASilentLaptopLosesTheWorkload(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Settings.LeaseMS = 700 })
	w.hand(t)
	w.until(t, "given back", func(s hold.State) bool { return s.Holder == nil })
	if word := w.ask(t); word != "application\n" {
		t.Errorf("%q", word)
	}
}

func TestAStartingPodWaitsForItsHolder(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Held, c.Record, c.Settings.LeaseMS = true, ann, 700 })
	if state := w.State(); state.Child != waiting || state.Ready {
		t.Fatalf("at once: %+v", state)
	}
	if word := w.ask(t); word != "application\n" { // queued until the lease is over
		t.Errorf("%q", word)
	}
}

func TestWhoeverHoldsAgainLosesTheLanesThatStood(t *testing.T) {
	w := newWorld(t, nil)
	for range 2 {
		if _, err := w.Hold(context.Background(), ann); err != nil {
			t.Fatal(err)
		}
	}
	lanes := w.lanes.(*laptop)
	lanes.mu.Lock()
	defer lanes.mu.Unlock()
	if want := []int64{ann.Epoch + 1, ann.Epoch + 1}; !slices.Equal(lanes.dropped, want) {
		t.Errorf("dropped below %v, not %v", lanes.dropped, want)
	}
}

func TestOthersAreRefused(t *testing.T) {
	w := newWorld(t, nil)
	if _, err := w.Hold(context.Background(), hold.Claim{Epoch: 5, Holder: ann.Holder}); err != nil {
		t.Fatal(err)
	}
	bob := hold.Holder{User: "bob", Host: "desk", Project: "shop"}
	for _, c := range []struct {
		claim hold.Claim
		kind  string
	}{{hold.Claim{Epoch: 5, Holder: bob}, hold.Held}, {hold.Claim{Epoch: 4, Holder: bob}, hold.StaleEpoch}} {
		var refusal *hold.Error
		if _, err := w.Hold(context.Background(), c.claim); !errors.As(err, &refusal) || refusal.Kind != c.kind || *refusal.Holder != ann.Holder {
			t.Errorf("%+v: %v", c.claim, err)
		}
	}
	if _, err := w.Beat(context.Background(), 4); err == nil {
		t.Error("a former holder's beat counts")
	}
}

func TestAnApplicationThatCannotStartIsTold(t *testing.T) {
	w := newWorld(t, nil)
	w.hand(t)
	w.config.Command = []string{"/no/such"}
	var refusal *hold.Error
	if _, err := w.Release(context.Background(), 1); !errors.As(err, &refusal) || refusal.Kind != hold.ChildFailed {
		t.Fatalf("%v", err)
	}
	if word := w.ask(t); word != "laptop\n" || len(w.codes) != 0 {
		t.Errorf("%q, %d exits", word, len(w.codes))
	}
}

func TestAnApplicationThatEndsTakesPIDOneAlong(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Command = []string{"sh", "-c", "exit 9"} })
	if code := <-w.codes; code != 9 {
		t.Errorf("%d", code)
	}
}

func TestAPodThatEndsServesForAsLongAsConnectionsCome(t *testing.T) {
	w := newWorld(t, nil)
	w.hand(t)
	began := time.Now()
	go w.Terminate(15)
	for time.Since(began) < 2*quiet { // longer than an idle pod would stay
		if word := w.ask(t); word != "laptop\n" {
			t.Fatalf("%s after the signal: %q", time.Since(began), word)
		}
		if len(w.codes) != 0 {
			t.Fatalf("ended %s after the signal, while connections came", time.Since(began))
		}
		time.Sleep(quiet / 4)
	}
	if code := <-w.codes; code != 0 {
		t.Errorf("ended with %d", code)
	}
}

func TestAPortThatIsLateIsWaitedFor(t *testing.T) {
	late, before := freePort(t), freePort(t)
	w := newWorld(t, func(c *Config) {
		c.Command = append(c.Command, fmt.Sprintf("127.0.0.1:%d", late))
		c.Settings.Ports = append(c.Settings.Ports, front.Port{Port: late, Front: before})
	})
	w.hand(t)
	w.do(t, "release", w.Release)
	w.front = fmt.Sprintf("127.0.0.1:%d", before)
	if word := w.ask(t); word != "application\n" {
		t.Errorf("%q", word)
	}
}

func TestAPortThatNobodyListensOnIsNotWaitedForForEver(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Settings.Ports = append(c.Settings.Ports, front.Port{Port: freePort(t)})
	})
	w.hand(t)
	w.do(t, "release", w.Release)
	if word := w.ask(t); word != "application\n" {
		t.Errorf("%q", word)
	}
}

func TestAStartupProbeIsOverOnceItSucceeded(t *testing.T) {
	asked, ready := filepath.Join(t.TempDir(), "startup"), filepath.Join(t.TempDir(), "readiness")
	w := newWorld(t, func(c *Config) {
		c.Startup, c.Readiness = noting(t, asked), noting(t, ready)
	})
	w.until(t, "ready", func(s hold.State) bool { return s.Ready })
	for deadline := time.Now().Add(20 * time.Second); lines(ready) < 3; time.Sleep(look) {
		if time.Now().After(deadline) {
			t.Fatal("the readiness probe is not asked on")
		}
	}
	if count := lines(asked); count != 1 {
		t.Errorf("asked %d times", count)
	}
}

// noting is a probe that succeeds each second and adds a line to a file.
func noting(t *testing.T, path string) *probe.Spec {
	t.Helper()
	spec, err := probe.Parse(fmt.Appendf(nil, `{"exec":{"command":["sh","-c","echo >> %s"]},"periodSeconds":1}`, path))
	if err != nil {
		t.Fatal(err)
	}
	return &spec
}

func lines(path string) int {
	text, _ := os.ReadFile(path)
	return bytes.Count(text, []byte("\n"))
}

func TestTheGracePeriodIsKubelets(t *testing.T) {
	for text, want := range map[string]time.Duration{
		`{}`:                30 * time.Second,
		`{"grace_ms":0}`:    2 * time.Second,
		`{"grace_ms":5000}`: 5 * time.Second,
	} {
		var settings Settings
		if err := json.Unmarshal([]byte(text), &settings); err != nil {
			t.Fatal(err)
		}
		if settings.fill(); settings.grace() != want {
			t.Errorf("%s: %s", text, settings.grace())
		}
	}
}

func TestATakeoverKeepsThePodReady(t *testing.T) {
	w := newWorld(t, nil)
	w.hand(t)
	bob := hold.Claim{Epoch: 2, Holder: hold.Holder{User: "bob", Host: "desk", Project: "shop"}}
	state, err := w.Hold(context.Background(), bob)
	if err != nil || state.Route != "queue" || !state.Ready {
		t.Fatalf("taken over: %+v, %v", state, err)
	}
	if _, err := w.Take(context.Background(), 2); err != nil {
		t.Fatal(err)
	}
	if word := w.ask(t); word != "laptop\n" {
		t.Errorf("%q", word)
	}
}
