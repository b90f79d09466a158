package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"time"

	"devcluster/agent/internal/dns"
	"devcluster/agent/internal/door"
	"devcluster/agent/internal/probe"
)

const (
	// dnsTime is the patience of a resolver with one question, five seconds each.
	dnsTime = 10 * time.Second
	// laptopTime is shorter: the question has waited for the pod's resolver already.
	laptopTime = 4 * time.Second
)

// probeResult is the answer to "probe".
type probeResult struct {
	Healthy bool   `json:"healthy"`
	Text    string `json:"text"`
}

// request answers what only a gateway is asked.
func (g *Gateway) request(ctx context.Context, do string, body []byte) (any, error) {
	switch do {
	case "probe":
		return g.probe(ctx, body)
	case "neighbours":
		return g.lead(body)
	}
	return nil, &door.Refusal{Kind: "unknown-request", Text: "do: expected probe or neighbours"}
}

// lead takes the pod's other containers as they are now.
func (g *Gateway) lead(body []byte) (any, error) {
	var asked struct {
		Neighbours listeners `json:"neighbours"`
	}
	if err := json.Unmarshal(body, &asked); err != nil {
		return nil, bad("neighbours: " + err.Error())
	}
	return struct{}{}, g.neighbours.Lead(asked.Neighbours)
}

func bad(text string) error { return &door.Refusal{Kind: "bad-request", Text: text} }

// probe asks the application once, as kubelet would, from inside its own network namespace. Commands are the
// host process's to run: it has Docker.
func (g *Gateway) probe(ctx context.Context, body []byte) (any, error) {
	var asked struct {
		Probe json.RawMessage `json:"probe"`
	}
	if err := json.Unmarshal(body, &asked); err != nil {
		return nil, bad("probe: " + err.Error())
	}
	spec, err := probe.Parse(asked.Probe)
	if err != nil {
		return nil, bad(err.Error())
	}
	if err := probe.Run(ctx, g.settings.Address.String(), spec, nil); err != nil {
		return probeResult{Text: err.Error()}, nil
	}
	return probeResult{Healthy: true}, nil
}

// askLaptop asks the newest host process, which has the laptop's resolver.
func (g *Gateway) askLaptop(ctx context.Context, name string) (dns.Found, error) {
	ctx, cancel := context.WithTimeout(ctx, laptopTime)
	defer cancel()
	var found struct {
		Addresses []netip.Addr `json:"addresses"`
		TTL       float64      `json:"ttl"`
	}
	err := g.end.Ask(ctx, "resolve", map[string]any{"name": name}, &found)
	var refusal *door.Refusal
	if errors.As(err, &refusal) && refusal.Kind == "not-found" {
		return dns.Found{}, dns.ErrNotFound
	}
	if err != nil {
		return dns.Found{}, err
	}
	return dns.Found{Addresses: found.Addresses, TTL: time.Duration(found.TTL * float64(time.Second))}, nil
}
