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
	"testing"
	"time"

	"devcluster/agent/internal/hold"
	"devcluster/agent/internal/probe"
)

func TestThereAndBack(t *testing.T) {
	w := newWorld(t, nil)
	w.hand(t)
	if word := w.ask(t); word != "laptop\n" {
		t.Errorf("held: %q", word)
	}
	if state := w.do(t, "release", w.release); state.Holder != nil || state.Route != "child" || state.Child != running {
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
	if _, err := w.release(context.Background(), 1); !errors.As(err, &refusal) || refusal.Kind != hold.ChildFailed {
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

func TestAConnectionThatIsOnlyKeptOpenKeepsNobodyWaiting(t *testing.T) {
	w := newWorld(t, nil)
	w.lanes.(*laptop).keeps = true
	w.hand(t)
	conn, err := net.Dial("tcp", w.front)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	words := bufio.NewReader(conn)
	if word, err := words.ReadString('\n'); word != "laptop\n" {
		t.Fatal(word, err)
	}
	if err := within(t, "release", 3*time.Second, func() error { _, err := w.release(context.Background(), 1); return err }); err != nil {
		t.Fatal(err)
	}
	if _, err := words.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("ended by %v", err)
	}
}

func TestAReleaseDoesNotWaitForAPause(t *testing.T) {
	w := newWorld(t, nil)
	w.lanes.(*laptop).keeps = true
	w.hand(t)
	conn, err := net.Dial("tcp", w.front)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() { // a request that nobody answers, since the laptop's engine is away
		for range time.Tick(time.Second) {
			if _, err := conn.Write([]byte("?")); err != nil {
				return
			}
		}
	}()
	if word, err := bufio.NewReader(conn).ReadString('\n'); word != "laptop\n" {
		t.Fatal(word, err)
	}
	go func() { _, _ = w.Pause(context.Background(), 1) }()
	w.until(t, "queueing", func(s hold.State) bool { return s.Route == "queue" })
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, _ = w.release(ctx, 1) // which waits for that one in vain
	if word := w.ask(t); word != "application\n" {
		t.Errorf("%q", word)
	}
}

func TestPatienceIsThePodsAndHalfAMinuteAtLeast(t *testing.T) {
	for grace, want := range map[int64]time.Duration{5000: 30 * time.Second, 90_000: 90 * time.Second} {
		settings := Settings{GraceMS: &grace}
		if settings.patience() != want {
			t.Errorf("%d: %s", grace, settings.patience())
		}
	}
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
	if _, err := w.take(context.Background(), 2); err != nil {
		t.Fatal(err)
	}
	if word := w.ask(t); word != "laptop\n" {
		t.Errorf("%q", word)
	}
}

// A pid file that is left, a mkdir: such a one needs a new container.
func TestAnApplicationThatStartsOnlyOnceLeavesTheLaptopServing(t *testing.T) {
	for _, pause := range []bool{false, true} {
		once := filepath.Join(t.TempDir(), "once")
		w := newWorld(t, func(c *Config) {
			script := fmt.Sprintf("mkdir %s || exit 3; exec /proc/%d/exe application %s", once, os.Getpid(), c.Command[2])
			c.Command = []string{"sh", "-c", script}
		})
		w.untilAnswers(t)
		w.hand(t)
		if pause {
			w.do(t, "pause", w.Pause)
		}
		var refusal *hold.Error
		_, err := w.release(context.Background(), 1)
		if !errors.As(err, &refusal) || refusal.Kind != hold.ChildFailed || refusal.Code == nil || *refusal.Code != 3 {
			t.Fatalf("release: %v", err)
		}
		state := w.State()
		if len(w.codes) != 0 || !state.Ready || state.Holder == nil || state.Child != stopped {
			t.Errorf("%+v, %d exits", state, len(w.codes))
		}
		if pause {
			w.do(t, "take", w.take)
		}
		if word := w.ask(t); word != "laptop\n" {
			t.Errorf("%q", word)
		}
	}
}
