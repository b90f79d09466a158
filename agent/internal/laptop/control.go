package laptop

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"slices"

	"devcluster/agent/internal/door"
)

// laneEvent tells the host process what became of a lane.
type laneEvent struct {
	Event  string `json:"event"`
	Pod    string `json:"pod"`
	Lane   string `json:"lane"`
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
}

// LaneState is one lane in the answer to "state".
type LaneState struct {
	Pod      string  `json:"pod"`
	Lane     string  `json:"lane"`
	RTT      float64 `json:"rtt_ms"`
	Sent     int64   `json:"sent"`
	Received int64   `json:"received"`
}

// Silent is a port of the pod that leads to a port of the laptop on which nobody listens.
type Silent struct {
	Port  uint16 `json:"port"`
	Local uint16 `json:"local"`
}

// State is the answer to "state": the lanes that are up.
type State struct {
	Lanes  []LaneState `json:"lanes"`
	Silent []Silent    `json:"silent,omitempty"`
}

// Control implements door.Backend: a conversation with a host process.
func (e *End) Control(ctx context.Context, conn net.Conn, welcome func() error) {
	lines := door.NewLines(conn, e.Request)
	e.mu.Lock() // whoever was welcomed is asked from the next question on, and hears nothing before it
	err := welcome()
	if err == nil {
		e.hosts = append(e.hosts, lines)
	}
	e.mu.Unlock()
	if err != nil {
		_ = conn.Close()
		return
	}
	lines.Run(ctx)
	_ = conn.Close()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.hosts = slices.DeleteFunc(e.hosts, func(other *door.Lines) bool { return other == lines })
}

// Request answers the host process; it is the conversation's door.Handler.
func (e *End) Request(ctx context.Context, do string, body []byte) (any, error) {
	switch do {
	case "state":
		return e.State(), nil
	case "primary":
		return e.setPrimary(body)
	}
	if e.config.Answer != nil {
		return e.config.Answer(ctx, do, body)
	}
	return nil, &door.Refusal{Kind: "unknown-request", Text: "do: expected state or primary"}
}

// State tells the lanes.
func (e *End) State() State {
	result := State{Lanes: []LaneState{}}
	for _, s := range e.lanes.list() {
		result.Lanes = append(result.Lanes, LaneState{
			Pod: s.pod, Lane: s.id, RTT: float64(s.session.RTT().Microseconds()) / 1000,
			Sent: s.session.Sent(), Received: s.session.Received(),
		})
	}
	if e.config.Silent != nil {
		result.Silent = e.config.Silent()
	}
	return result
}

type nothing struct{}

func (e *End) setPrimary(body []byte) (any, error) {
	var asked struct {
		Pod string `json:"pod"`
	}
	if json.Unmarshal(body, &asked) != nil || asked.Pod == "" {
		return nil, &door.Refusal{Kind: "bad-request", Text: "primary: pod is missing"}
	}
	e.lanes.setPrimary(asked.Pod)
	return nothing{}, nil
}

// announce tells every host process; one that does not listen misses it and can ask for the state.
func (e *End) announce(pod, id, what, reason string) {
	e.mu.Lock()
	hosts := slices.Clone(e.hosts)
	e.mu.Unlock()
	for _, host := range hosts {
		_ = host.Event(laneEvent{Event: "lane", Pod: pod, Lane: id, State: what, Reason: reason})
	}
}

// Ask asks the newest host process; see door.Lines.Call.
func (e *End) Ask(ctx context.Context, do string, arguments map[string]any, result any) error {
	e.mu.Lock()
	hosts := slices.Clone(e.hosts)
	e.mu.Unlock()
	if len(hosts) == 0 {
		return errors.New("no host process is there to ask")
	}
	return hosts[len(hosts)-1].Call(ctx, do, arguments, result)
}
