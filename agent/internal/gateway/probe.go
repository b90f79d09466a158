package gateway

import (
	"context"
	"encoding/json"

	"devcluster/agent/internal/probe"
)

// probeResult is the answer to "probe".
type probeResult struct {
	Healthy bool   `json:"healthy"`
	Text    string `json:"text"`
}

// probe asks the application once, as kubelet would, from inside its own
// network namespace. Commands are the host process's to run: it has Docker.
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
