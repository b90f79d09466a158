package lane

import (
	"net"
	"sync/atomic"
	"testing"
	"time"
)

type counting struct {
	net.Conn
	writes *atomic.Int64
}

func (c counting) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

// At rest the gateway pings and the agent answers: pings of the agent's own would tell neither anything.
func TestAtRestOneSidePings(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 7 s")
	}
	var ends [2]atomic.Int64 // the gateway's and the agent's
	next := 0
	pairOver(t, func(conn net.Conn) net.Conn {
		next++
		return counting{conn, &ends[next-1]}
	})
	began, gateway, agent := time.Now(), ends[0].Load(), ends[1].Load()
	time.Sleep(7 * time.Second)
	pings := int64(time.Since(began)/pingInterval) + 1
	for name, count := range map[string]int64{"gateway": ends[0].Load() - gateway, "agent": ends[1].Load() - agent} {
		if count < pings-2 || count > pings+1 { // the agent's first one may still be under way
			t.Errorf("the %s wrote %d times, with a ping each %v", name, count, pingInterval)
		}
	}
}

// Behind a queue the gateway's pings don't arrive; what it hears then is what the agent says by itself.
func TestWhoIsAskedNothingSpeaks(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 8 s")
	}
	k := newKeys(t)
	client, near := tcpPair(t)
	far, server := tcpPair(t)
	var held, open atomic.Bool
	go swallow(near, far, &open)
	go swallow(far, near, &held)
	var writes atomic.Int64
	go func() { _, _ = Server(t.Context(), counting{server, &writes}, k.agent, k.laptopPub) }()
	if _, err := Client(t.Context(), client, k.laptop, k.agentPub); err != nil {
		t.Fatal(err)
	}
	held.Store(true)
	time.Sleep(time.Second) // for what is on its way
	before := writes.Load()
	time.Sleep(7 * time.Second)
	if count := writes.Load() - before; count == 0 {
		t.Error("the agent was silent for 7 s")
	}
}
