package lane

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// TestADeadLaneIsFound puts between the two ends what an API server that stops
// is: connections that stand, and carry nothing any more.
func TestADeadLaneIsFound(t *testing.T) {
	if testing.Short() {
		t.Skip("waits about 10 s")
	}
	k := newKeys(t)
	client, near := tcpPair(t)
	far, server := tcpPair(t)
	var dead atomic.Bool
	go swallow(far, near, &dead)
	go swallow(near, far, &dead)
	agents := make(chan *Session, 1)
	go func() {
		session, _ := Server(t.Context(), server, k.agent, k.laptopPub)
		agents <- session
	}()
	gateway, err := Client(t.Context(), client, k.laptop, k.agentPub)
	if err != nil {
		t.Fatal(err)
	}
	agent := <-agents
	opened, _ := streamPair(t, gateway, agent)
	begin := time.Now()
	dead.Store(true)
	for name, session := range map[string]*Session{"gateway": gateway, "agent": agent} {
		select {
		case <-session.Done():
			t.Logf("the %s saw it after %v", name, time.Since(begin).Round(time.Millisecond))
		case <-time.After(15 * time.Second):
			t.Errorf("the %s still believes in its lane", name)
		}
	}
	if _, err := opened.Read(make([]byte, 1)); !isReset(err) {
		t.Errorf("its streams end with %v", err)
	}
}

func swallow(to, from net.Conn, dead *atomic.Bool) {
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		var sink io.Writer = to
		if dead.Load() {
			sink = io.Discard
		}
		_, _ = sink.Write(buffer[:n])
	}
}

// TestASlowUplinkIsNotADeadLane puts a queue of seconds into one direction, as
// the buffers on the way to an API server behind a home's uplink are. An answer
// to a ping waits behind all of it.
func TestASlowUplinkIsNotADeadLane(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 14 s")
	}
	k := newKeys(t)
	client, near := tcpPair(t)
	far, server := tcpPair(t)
	var alive atomic.Bool
	go swallow(near, far, &alive)
	go slowly(far, near)
	agents := make(chan *Session, 1)
	go func() {
		session, _ := Server(t.Context(), server, k.agent, k.laptopPub)
		agents <- session
	}()
	gateway, err := Client(t.Context(), client, k.laptop, k.agentPub)
	if err != nil {
		t.Fatal(err)
	}
	opened, accepted := streamPair(t, gateway, <-agents)
	go func() { _, _ = io.Copy(io.Discard, accepted) }()
	_ = opened.SetWriteDeadline(time.Now().Add(14 * time.Second))
	sent, err := io.Copy(opened, zeroes{})
	if gateway.mux.IsClosed() {
		t.Errorf("the lane was given up after %d KiB: %v", sent>>10, err)
	}
}

// slowly passes on 64 MiB as fast as they come, by which the windows grow, then
// 60 KB/s, and takes 8 MiB more than it passes on.
func slowly(to, from net.Conn) {
	queue := make(chan []byte, 8<<20/4096)
	go func() {
		defer close(queue)
		for {
			buffer := make([]byte, 4096)
			n, err := from.Read(buffer)
			if err != nil {
				return
			}
			queue <- buffer[:n]
		}
	}()
	passed := 0
	for block := range queue {
		if _, err := to.Write(block); err != nil {
			return
		}
		if passed += len(block); passed > 64<<20 {
			time.Sleep(time.Duration(len(block)) * time.Second / 60_000)
		}
	}
}
