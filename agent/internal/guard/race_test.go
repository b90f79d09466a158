package guard

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"devcluster/agent/internal/hold"
	"devcluster/agent/internal/probe"
)

var bob = hold.Claim{Epoch: 2, Holder: hold.Holder{User: "bob", Host: "desk", Project: "shop"}}

// never is a probe that does not succeed before path exists.
func never(t *testing.T, path string) *probe.Spec {
	t.Helper()
	spec, err := probe.Parse(fmt.Appendf(nil, `{"exec":{"command":["test","-e",%q]},"periodSeconds":1,"failureThreshold":1000}`, path))
	if err != nil {
		t.Fatal(err)
	}
	return &spec
}

// afterwards makes the application of the next start unready until path exists.
func afterwards(t *testing.T, w world) (path string) {
	path = filepath.Join(t.TempDir(), "well")
	w.config.Readiness = never(t, path)
	return path
}

func within(t *testing.T, what string, bound time.Duration, work func() error) error {
	t.Helper()
	began := time.Now()
	err := work()
	if took := time.Since(began); took > bound {
		t.Errorf("%s took %s", what, took)
	}
	return err
}

func TestATakeoverDuringAReleaseIsKept(t *testing.T) {
	w := newWorld(t, nil)
	w.hand(t)
	afterwards(t, w)
	released := make(chan error, 1)
	go func() {
		_, err := w.release(context.Background(), 1)
		released <- err
	}()
	w.until(t, "started again", func(s hold.State) bool { return s.Child == running })
	if _, err := w.Hold(context.Background(), bob); err != nil {
		t.Fatal(err)
	}
	var refusal *hold.Error
	err := within(t, "the former one's release", 5*time.Second, func() error { return <-released })
	if !errors.As(err, &refusal) || refusal.Kind != hold.StaleEpoch || refusal.Holder == nil || *refusal.Holder != bob.Holder {
		t.Errorf("the former one's release: %v", err)
	}
	if _, err := w.take(context.Background(), 2); err != nil {
		t.Fatalf("take: %v", err)
	}
	if state, err := w.Stop(context.Background(), 2); err != nil || state.Child != stopped || *state.Holder != bob.Holder {
		t.Fatalf("stop: %+v, %v", state, err)
	}
	if word := w.ask(t); word != "laptop\n" {
		t.Errorf("%q", word)
	}
}

// What served on the laptop has ended before the workload was given back.
func TestCallersWaitForTheApplicationThatIsBeingStarted(t *testing.T) {
	w, well := readyWhile(t, nil)
	w.hand(t)
	if err := os.Remove(well); err != nil {
		t.Fatal(err)
	}
	there := w.lanes.(*laptop)
	there.mu.Lock()
	there.refuses = true
	there.mu.Unlock()
	released := make(chan error, 1)
	go func() {
		_, err := w.release(context.Background(), 1)
		released <- err
	}()
	w.until(t, "starting", func(s hold.State) bool { return s.Child != stopped })
	word := make(chan string, 1)
	go func() { word <- w.ask(t) }()
	select {
	case got := <-word:
		t.Fatalf("answered by %q before the application was ready", got)
	case <-time.After(500 * time.Millisecond):
	}
	if err := os.WriteFile(well, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := <-word; got != "application\n" {
		t.Errorf("%q", got)
	}
	if err := <-released; err != nil {
		t.Error(err)
	}
}

func TestALaptopThatIsBackDoesNotWaitForTheApplication(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Settings.LeaseMS = 500 })
	w.hand(t)
	afterwards(t, w)
	w.until(t, "started again", func(s hold.State) bool { return s.Child == running })
	w.mu.Lock()
	w.config.Settings.LeaseMS = 60_000
	w.mu.Unlock()
	if _, err := w.Hold(context.Background(), ann); err != nil {
		t.Fatal(err)
	}
	err := within(t, "take", 5*time.Second, func() error { _, err := w.take(context.Background(), 1); return err })
	if err != nil {
		t.Fatalf("take: %v", err)
	}
	if state := w.do(t, "stop", w.Stop); state.Child != stopped || state.Holder == nil {
		t.Errorf("%+v", state)
	}
	if word := w.ask(t); word != "laptop\n" || len(w.codes) != 0 {
		t.Errorf("%q, %d exits", word, len(w.codes))
	}
}

func TestTheLeaseEndsWhatASilentLaptopWaitsFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "started")
	w := newWorld(t, func(c *Config) { c.Settings.LeaseMS, c.Startup = 700, never(t, path) })
	if _, err := w.Hold(context.Background(), ann); err != nil {
		t.Fatal(err)
	}
	w.do(t, "take", w.take)
	err := within(t, "stop", 5*time.Second, func() error { _, err := w.Stop(context.Background(), 1); return err })
	if err == nil {
		t.Error("an application that never started was stopped")
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.until(t, "given back", func(s hold.State) bool { return s.Holder == nil })
	if word := w.ask(t); word != "application\n" {
		t.Errorf("%q", word)
	}
}

func TestAPodThatEndsDuringAReleaseEndsTheApplicationToo(t *testing.T) {
	w := newWorld(t, nil)
	w.hand(t)
	go w.Terminate(15)
	w.until(t, "leaving", func(s hold.State) bool { return s.Reason == "the pod is ending" })
	var refusal *hold.Error
	if _, err := w.release(context.Background(), 1); !errors.As(err, &refusal) || refusal.Kind != hold.ChildFailed {
		t.Errorf("release: %v", err)
	}
	if state := w.State(); state.Child != stopped {
		t.Errorf("%+v", state)
	}
	if code := <-w.codes; code != 0 {
		t.Errorf("ended with %d", code)
	}
}

func TestAPodThatEndsWithBothServesByTheLaptopForAWhile(t *testing.T) {
	w := newWorld(t, nil)
	w.until(t, "started", func(s hold.State) bool { return s.Started })
	if _, err := w.Hold(context.Background(), ann); err != nil {
		t.Fatal(err)
	}
	w.do(t, "take", w.take)
	w.Terminate(15)
	w.until(t, "stopped", func(s hold.State) bool { return s.Child == stopped })
	if word := w.ask(t); word != "laptop\n" || len(w.codes) != 0 {
		t.Errorf("%q, %d exits", word, len(w.codes))
	}
	if code := <-w.codes; code != 128+15 {
		t.Errorf("ended with %d", code)
	}
}
