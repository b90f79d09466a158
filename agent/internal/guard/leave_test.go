package guard

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

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
