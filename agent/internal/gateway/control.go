package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"

	"devcluster/agent/internal/dns"
	"devcluster/agent/internal/door"
)

const (
	// dnsTime is the patience of a resolver with one question, five seconds each.
	dnsTime = 10 * time.Second
	// laptopTime is shorter: the question has waited for the pod's resolver already.
	laptopTime = 4 * time.Second
)

// laneEvent tells the host process what became of a lane.
type laneEvent struct {
	Event  string `json:"event"`
	Pod    string `json:"pod"`
	Lane   string `json:"lane"`
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
}

// laneState is one lane in the answer to "state".
type laneState struct {
	Pod      string  `json:"pod"`
	Lane     string  `json:"lane"`
	RTT      float64 `json:"rtt_ms"`
	Sent     int64   `json:"sent"`
	Received int64   `json:"received"`
}

// state is the answer to "state": the lanes that are up.
type state struct {
	Lanes []laneState `json:"lanes"`
}

// Control implements door.Backend: a conversation with a host process.
func (g *Gateway) Control(ctx context.Context, conn net.Conn, welcome func() error) {
	lines := door.NewLines(conn, g.request)
	g.mu.Lock() // whoever was welcomed is asked from the next question on, and hears nothing before it
	err := welcome()
	if err == nil {
		g.hosts = append(g.hosts, lines)
	}
	g.mu.Unlock()
	if err != nil {
		_ = conn.Close()
		return
	}
	lines.Run(ctx)
	_ = conn.Close()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hosts = slices.DeleteFunc(g.hosts, func(other *door.Lines) bool { return other == lines })
}

func (g *Gateway) request(ctx context.Context, do string, body []byte) (any, error) {
	switch do {
	case "state":
		return g.state(), nil
	case "primary":
		return g.setPrimary(body)
	case "probe":
		return g.probe(ctx, body)
	}
	return nil, &door.Refusal{Kind: "unknown-request", Text: "do: expected state, primary or probe"}
}

func bad(text string) error { return &door.Refusal{Kind: "bad-request", Text: text} }

func (g *Gateway) state() state {
	result := state{Lanes: []laneState{}}
	for _, s := range g.lanes.list() {
		result.Lanes = append(result.Lanes, laneState{
			Pod: s.pod, Lane: s.id, RTT: float64(s.session.RTT().Microseconds()) / 1000,
			Sent: s.session.Sent(), Received: s.session.Received(),
		})
	}
	return result
}

type nothing struct{}

func (g *Gateway) setPrimary(body []byte) (any, error) {
	var asked struct {
		Pod string `json:"pod"`
	}
	if json.Unmarshal(body, &asked) != nil || asked.Pod == "" {
		return nil, bad("primary: pod is missing")
	}
	g.lanes.setPrimary(asked.Pod)
	return nothing{}, nil
}

// announce tells every host process; one that does not listen misses it and can ask for the state.
func (g *Gateway) announce(pod, id, what, reason string) {
	g.mu.Lock()
	hosts := slices.Clone(g.hosts)
	g.mu.Unlock()
	for _, host := range hosts {
		_ = host.Event(laneEvent{Event: "lane", Pod: pod, Lane: id, State: what, Reason: reason})
	}
}

// askLaptop asks the newest host process, which has the laptop's resolver.
func (g *Gateway) askLaptop(ctx context.Context, name string) (dns.Found, error) {
	g.mu.Lock()
	hosts := slices.Clone(g.hosts)
	g.mu.Unlock()
	if len(hosts) == 0 {
		return dns.Found{}, errors.New("no host process is there to ask")
	}
	ctx, cancel := context.WithTimeout(ctx, laptopTime)
	defer cancel()
	var found struct {
		Addresses []netip.Addr `json:"addresses"`
		TTL       float64      `json:"ttl"`
	}
	err := hosts[len(hosts)-1].Call(ctx, "resolve", map[string]any{"name": name}, &found)
	var refusal *door.Refusal
	if errors.As(err, &refusal) && refusal.Kind == "not-found" {
		return dns.Found{}, dns.ErrNotFound
	}
	if err != nil {
		return dns.Found{}, err
	}
	return dns.Found{Addresses: found.Addresses, TTL: time.Duration(found.TTL * float64(time.Second))}, nil
}
