package guard

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"devcluster/agent/internal/hold"
	"devcluster/agent/internal/probe"
)

func TestAHookThatCallsTheApplicationIsRunForItAlone(t *testing.T) {
	var calls atomic.Int32
	web := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	t.Cleanup(web.Close)
	spec, err := probe.Parse(fmt.Appendf(nil, `{"httpGet":{"port":%d}}`, web.Listener.Addr().(*net.TCPAddr).Port))
	if err != nil {
		t.Fatal(err)
	}
	hooked := func(c *Config) { c.Settings.PreStop = &spec.Action }

	w := newWorld(t, hooked)
	w.until(t, "started", func(s hold.State) bool { return s.Started })
	w.Terminate(15)
	if code := <-w.codes; code != 128+15 || calls.Load() != 1 {
		t.Errorf("a pod that ends: ended with %d, %d calls", code, calls.Load())
	}

	w = newWorld(t, hooked)
	w.hand(t) // stop runs it, too
	w.Terminate(15)
	if code := <-w.codes; code != 0 || calls.Load() != 2 {
		t.Errorf("a held one: ended with %d, %d calls", code, calls.Load())
	}
}

// Nobody asks for longer than a quiet pod would serve, and the pod stays ready.
func TestAPodThatIsReplacedServesUntilItsSuccessorDoes(t *testing.T) {
	w := newWorld(t, func(c *Config) { grace := int64(1000); c.Settings.GraceMS = &grace })
	w.hand(t)
	stay := func(span time.Duration) {
		w.do(t, "stay", func(_ context.Context, epoch int64) (hold.State, error) { return w.Stay(epoch, span) })
	}
	stay(time.Minute)
	go w.Terminate(syscall.SIGTERM)
	select {
	case code := <-w.codes:
		t.Fatalf("ended with %d", code)
	case <-time.After(2 * quiet): // longer than its grace period, and than a quiet pod lingers
	}
	if state := w.State(); !state.Ready {
		t.Errorf("not ready: %+v", state)
	}
	if word := w.ask(t); word != "laptop\n" {
		t.Errorf("answered by %q", word)
	}
	stay(0)
	if w.State().Ready {
		t.Error("still ready, though its successor is")
	}
	err := within(t, "end", 3*quiet, func() error {
		if code := <-w.codes; code != 0 {
			return fmt.Errorf("ended with %d", code)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
