package guard

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"devcluster/agent/internal/hold"
	"devcluster/agent/internal/probe"
)

// hooked is a world whose preStop hook makes a file and then runs a script.
func hooked(t *testing.T, script string) (w world, begun string) {
	t.Helper()
	begun = filepath.Join(t.TempDir(), "begun")
	spec, err := probe.Parse(fmt.Appendf(nil, `{"exec":{"command":["sh","-c","echo > %s; %s"]}}`, begun, script))
	if err != nil {
		t.Fatal(err)
	}
	return newWorld(t, func(c *Config) { c.Settings.PreStop, c.Stop = &spec.Action, syscall.SIGQUIT }), begun
}

func untilExists(t *testing.T, path string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s is not made", path)
		}
	}
}

// A hook may wait for the end of process 1, which stays.
func TestAHookThatSignalsProcessOneMeansTheApplication(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGTERM} {
		w, begun := hooked(t, "sleep 300")
		w.until(t, "started", func(s hold.State) bool { return s.Started })
		if _, err := w.Hold(context.Background(), ann); err != nil {
			t.Fatal(err)
		}
		w.do(t, "take", w.take)
		stopping := make(chan error, 1)
		go func() { _, err := w.Stop(context.Background(), 1); stopping <- err }()
		untilExists(t, begun)
		if !w.Pass(sig) {
			t.Error("the signal was not for the application")
		}
		if err := within(t, "stop", 5*time.Second, func() error { return <-stopping }); err != nil {
			t.Fatal(err)
		}
		if state := w.State(); state.Child != stopped || !state.Ready || state.Holder == nil {
			t.Errorf("%s: %+v", sig, state)
		}
		w.do(t, "release", w.release)
		if word := w.ask(t); word != "application\n" || len(w.codes) != 0 {
			t.Errorf("%s: %q, %d exits", sig, word, len(w.codes))
		}
	}
}

func TestASignalFromInsideEndsNoPod(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Command = []string{"sh", "-c", "trap '' TERM; while :; do sleep 1; done"} })
	w.until(t, "started", func(s hold.State) bool { return s.Started })
	if !w.Pass(syscall.SIGTERM) {
		t.Error("the signal was not for the application")
	}
	if state := w.State(); !state.Ready || state.Child != running {
		t.Errorf("an application that heeds no signal: %+v", state)
	}
}

func TestAnEndThatTheApplicationAskedForIsAnEnd(t *testing.T) {
	w := newWorld(t, nil)
	w.until(t, "started", func(s hold.State) bool { return s.Started })
	w.Pass(syscall.SIGTERM)
	if code := <-w.codes; code != 128+15 {
		t.Errorf("ended with %d", code)
	}
}

// kubelet's hook comes before its stop signal.
func TestAHookThatEndsWhatRunsBesideLetsTheLaptopServeForAWhile(t *testing.T) {
	w := newWorld(t, nil)
	w.handBeside(t)
	w.Pass(syscall.SIGTERM)
	w.until(t, "stopped", func(s hold.State) bool { return s.Child == stopped && !s.Ready })
	if word := w.ask(t); word != "laptop\n" || len(w.codes) != 0 {
		t.Errorf("%q, %d exits", word, len(w.codes))
	}
	if code := <-w.codes; code != 128+15 {
		t.Errorf("ended with %d", code)
	}
}

func TestASignalFromInsideIsForNobodyWhereNothingRuns(t *testing.T) {
	w := newWorld(t, nil)
	w.hand(t)
	if w.Pass(syscall.SIGTERM) {
		t.Error("taken for the application's")
	}
}
