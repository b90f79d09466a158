package guard

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"devcluster/agent/internal/hold"
)

// beside holds the workload and takes its connections while the application runs on.
func (w world) handBeside(t *testing.T) {
	t.Helper()
	w.until(t, "ready", func(s hold.State) bool { return s.Ready })
	w.untilAnswers(t)
	if _, err := w.Hold(context.Background(), ann); err != nil {
		t.Fatal(err)
	}
	if state := w.do(t, "take", w.takeBeside); state.Child != running || !state.Ready || state.Route != "laptop" {
		t.Fatalf("after take: %+v", state)
	}
}

// untilAnswers waits for the application's port: the probes of these tests do not ask it.
func (w world) untilAnswers(t *testing.T) {
	t.Helper()
	port := w.config.Settings.Ports[0].Port
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(look) {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// readyWhile is a world whose application is ready while a file exists.
func readyWhile(t *testing.T, change func(*Config)) (w world, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "well")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return newWorld(t, func(c *Config) {
		c.Readiness = never(t, path)
		if change != nil {
			change(c)
		}
	}), path
}

func TestWhatNeverStoppedIsGivenBackAtOnce(t *testing.T) {
	w, well := readyWhile(t, nil)
	w.handBeside(t)
	if word := w.ask(t); word != "laptop\n" {
		t.Errorf("beside: %q", word)
	}
	if err := os.Remove(well); err != nil { // unready at the moment: kubelet's matter, no start to wait for
		t.Fatal(err)
	}
	if err := within(t, "release", time.Second, func() error { _, err := w.release(context.Background(), 1); return err }); err != nil {
		t.Fatal(err)
	}
	if word := w.ask(t); word != "application\n" {
		t.Errorf("released: %q", word)
	}
}

// Broken before anybody came: its readiness probe has never succeeded.
func TestWhatIsNeverReadyIsGivenBackAtOnceWhenItsStartIsOver(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Readiness = never(t, filepath.Join(t.TempDir(), "well")) })
	w.until(t, "started", func(s hold.State) bool { return s.Started })
	w.untilAnswers(t)
	if _, err := w.Hold(context.Background(), ann); err != nil {
		t.Fatal(err)
	}
	w.do(t, "take", w.takeBeside)
	w.mu.Lock()
	w.begun = w.begun.Add(-slow)
	w.mu.Unlock()
	if err := within(t, "release", time.Second, func() error { _, err := w.release(context.Background(), 1); return err }); err != nil {
		t.Fatal(err)
	}
	if state := w.State(); state.Route != "child" || state.Ready || state.Reason == "" {
		t.Errorf("%+v", state)
	}
	if word := w.ask(t); word != "application\n" {
		t.Errorf("released: %q", word)
	}
}

func TestTheLeaseLeadsThoseThatWaitedToWhatRunsBeside(t *testing.T) {
	w, well := readyWhile(t, func(c *Config) { c.Settings.LeaseMS = 700 })
	w.handBeside(t)
	w.lanes.(*laptop).lose()
	if err := os.Remove(well); err != nil {
		t.Fatal(err)
	}
	if word := w.ask(t); word != "application\n" {
		t.Errorf("%q", word)
	}
	if state := w.State(); state.Holder != nil || state.Child != running || len(w.codes) != 0 {
		t.Errorf("%+v, %d exits", state, len(w.codes))
	}
}

func TestAnEndBesideTheLaptopIsAnEnd(t *testing.T) {
	w := newWorld(t, nil)
	w.handBeside(t)
	reaper.Signal(w.process, 15)
	if code := <-w.codes; code != 128+15 {
		t.Errorf("ended with %d", code)
	}
}

func TestAPodThatEndsBesideTheLaptopServesForAWhile(t *testing.T) {
	w := newWorld(t, nil)
	w.handBeside(t)
	w.Terminate(15)
	w.until(t, "stopped", func(s hold.State) bool { return s.Child == stopped })
	if word := w.ask(t); word != "laptop\n" || len(w.codes) != 0 {
		t.Errorf("%q, %d exits", word, len(w.codes))
	}
	if code := <-w.codes; code != 128+15 {
		t.Errorf("ended with %d", code)
	}
}

// A container that kubelet started anew, and a change of the mode.
func TestTakingBesideStartsWhatDoesNotRun(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Held, c.Record = true, ann })
	if _, err := w.Hold(context.Background(), ann); err != nil {
		t.Fatal(err)
	}
	w.do(t, "take", w.takeBeside)
	w.until(t, "running", func(s hold.State) bool { return s.Child == running })
	if word := w.ask(t); word != "laptop\n" {
		t.Errorf("%q", word)
	}
}

// Ready or not: its connections were never anywhere else.
func TestAHoldAloneLeavesTheConnectionsToTheApplication(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Settings.LeaseMS, c.Readiness = 700, never(t, filepath.Join(t.TempDir(), "well"))
	})
	w.until(t, "started", func(s hold.State) bool { return s.Started })
	if state, err := w.Hold(context.Background(), ann); err != nil || state.Route != "child" {
		t.Fatalf("held: %+v, %v", state, err)
	}
	w.until(t, "given back", func(s hold.State) bool { return s.Holder == nil })
	if word := w.ask(t); word != "application\n" {
		t.Errorf("%q", word)
	}
}

func TestWhatIsGivenBackMayBeHeldOn(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Held, c.Record = true, ann })
	if _, err := w.Hold(context.Background(), ann); err != nil {
		t.Fatal(err)
	}
	state, err := w.Release(context.Background(), 1, true)
	if err != nil || state.Holder == nil || state.Route != "child" || state.Child != running {
		t.Fatalf("%+v, %v", state, err)
	}
	if word := w.ask(t); word != "application\n" {
		t.Errorf("%q", word)
	}
	w.do(t, "take", w.take)
	if word := w.ask(t); word != "laptop\n" {
		t.Errorf("taken again: %q", word)
	}
}
