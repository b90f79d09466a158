package guard

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"devcluster/agent/internal/front"
	"devcluster/agent/internal/hold"
)

// undeclared is a world whose application listens on a second port, which nobody declared, a second later.
func undeclared(t *testing.T) (w world, address string) {
	t.Helper()
	address = fmt.Sprintf("127.0.0.1:%d", freePort(t))
	w = newWorld(t, func(c *Config) { c.Command = append(c.Command, address) })
	w.untilListens(t, address)
	return w, address
}

func (w world) untilListens(t *testing.T, address string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !slices.Contains(texts(w.look()), address); time.Sleep(look) {
		if time.Now().After(end) {
			t.Fatalf("%s is not listened on: %v", address, w.look())
		}
	}
}

func texts[T fmt.Stringer](values []T) (found []string) {
	for _, value := range values {
		found = append(found, value.String())
	}
	return found
}

func TestWhatTheApplicationListensOnIsTakenOver(t *testing.T) {
	w, address := undeclared(t)
	w.hand(t)
	if found := fmt.Sprint(w.State().Listeners); found != fmt.Sprint(listeners(w.heard, "TCP")) || len(w.heard) != 2 {
		t.Errorf("told %s, seen %v", found, w.heard)
	}
	before := w.front
	if w.front = address; w.ask(t) != "laptop\n" {
		t.Error("by the port that nobody declared: not the laptop")
	}
	w.do(t, "release", w.release) // which waits for the late one
	for _, w.front = range []string{before, address} {
		if word := w.ask(t); word != "application\n" {
			t.Errorf("%s: %q", w.front, word)
		}
	}
}

func TestWhatWasNeverListenedOnDelaysNothing(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Settings.Ports = append(c.Settings.Ports, front.Port{Port: freePort(t)})
	})
	w.untilListens(t, fmt.Sprintf("127.0.0.1:%d", w.config.Settings.Ports[0].Port))
	w.hand(t)
	began := time.Now()
	w.do(t, "release", w.release)
	if took := time.Since(began); took > straggle/2 {
		t.Errorf("released after %s", took)
	}
	if word := w.ask(t); word != "application\n" {
		t.Errorf("%q", word)
	}
}

func TestAWorkerThatDeclaresAPortIsWaitedForAMoment(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Command = []string{"sleep", "1000"} })
	w.hand(t)
	began := time.Now()
	if state := w.do(t, "release", w.release); state.Child != running || state.Route != "child" {
		t.Errorf("%+v", state)
	}
	if took := time.Since(began); took > guess+2*time.Second {
		t.Errorf("released after %s", took)
	}
}

// A container that was started anew knows of no start before.
func TestAFirstStartIsWaitedForByWhatIsDeclared(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Held, c.Record, c.Settings.LeaseMS = true, ann, 500
		c.Command = []string{"sh", "-c", "sleep 1; exec " + "/proc/" + fmt.Sprint(os.Getpid()) + "/exe application " + c.Command[2]}
	})
	w.until(t, "given back", func(s hold.State) bool { return s.Holder == nil })
	if word := w.ask(t); word != "application\n" {
		t.Errorf("%q", word)
	}
}
