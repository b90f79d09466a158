// Package process is the laptop's end for a workload that runs as a process of the laptop (`run: host`): what
// comes from the cluster is dialled at 127.0.0.1. It needs no Docker, no TUN and no right on the laptop.
//
// Rules:
//   - the caller is answered when the process has accepted, and refused at once where nobody listens; a command of
//     `devcluster run` starts and ends, so there its caller waits for a moment;
//   - it is told on which ports nobody listens, without knocking at them: a debugger takes the first connection
//     for its client;
//   - it ends with the one who started it: at the end of its stdin, however that came.
package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"syscall"
	"time"

	"devcluster/agent/internal/door"
	"devcluster/agent/internal/lane"
	"devcluster/agent/internal/laptop"
)

const (
	// budget bounds the receive windows of all lanes.
	budget = 128 << 20
	// acceptTime is how long the process may take to accept; its kernel has a queue of its own.
	acceptTime = 10 * time.Second
)

// Run serves until ctx ends, or stdin, behind its settings. It writes {"door": PORT} to stdout once it listens.
func Run(ctx context.Context, stdin io.Reader, stdout io.Writer) error {
	lines := json.NewDecoder(stdin)
	settings, err := readSettings(lines)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		cancel()
	}()
	lane.SetBudget(budget)
	ports := newPorts(settings.Ports, time.Duration(settings.PatienceMS)*time.Millisecond)
	end, err := laptop.New(laptop.Config{
		Key: settings.Key, Agent: settings.Agent, Epoch: settings.Epoch, Silent: ports.silent, Answer: answer,
		Inbound: func(header lane.Header, stream *lane.Stream) { inbound(ctx, ports, header, stream) },
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	port := listener.Addr().(*net.TCPAddr).Port
	if err := json.NewEncoder(stdout).Encode(map[string]int{"door": port}); err != nil {
		return err
	}
	return door.New(settings.Token, end).Serve(ctx, listener)
}

// settings are the first line of stdin: they hold keys. Ports leads a port of the pod to one of the laptop;
// what is not in it keeps its number. PatienceMS is how long callers wait where nobody listens, from the first of
// them on.
type settings struct {
	Token string            `json:"token"`
	Key   string            `json:"key"`
	Agent string            `json:"agent"`
	Epoch int64             `json:"epoch"`
	Ports map[uint16]uint16 `json:"ports"`

	PatienceMS int `json:"patience_ms"`
}

// readSettings' errors name fields, never values.
func readSettings(lines *json.Decoder) (settings, error) {
	var read settings
	var kind *json.UnmarshalTypeError
	switch err := lines.Decode(&read); {
	case errors.As(err, &kind):
		return read, fmt.Errorf("settings: %s: expected %s", kind.Field, kind.Type)
	case err != nil:
		return read, errors.New("settings: expected one line of JSON on stdin")
	case read.Token == "":
		return read, errors.New("settings: token is missing")
	}
	return read, nil
}

// answer lets the pod's other containers be: what they listen on is at the laptop's localhost by a tunnel only,
// since its ports are everybody's.
func answer(_ context.Context, do string, _ []byte) (any, error) {
	if do == "neighbours" {
		return struct{}{}, nil
	}
	return nil, &door.Refusal{Kind: "unknown-request", Text: "do: expected state, primary or neighbours"}
}

// inbound leads a connection that came to the workload in the cluster to the process.
func inbound(ctx context.Context, ports *ports, header lane.Header, stream *lane.Stream) {
	conn, err := dial(ctx, ports, header.To)
	if err != nil {
		_ = stream.Answer(err)
		return
	}
	if stream.Answer(nil) != nil {
		_ = conn.SetLinger(0)
		_ = conn.Close()
		stream.Abort()
		return
	}
	lane.Splice(stream, conn)
}

func dial(ctx context.Context, ports *ports, to string) (*net.TCPConn, error) {
	_, text, err := net.SplitHostPort(to)
	if err != nil {
		return nil, fmt.Errorf("to: %w", syscall.EINVAL)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("to: %w", syscall.EINVAL)
	}
	ctx, cancel := context.WithTimeout(ctx, acceptTime)
	defer cancel()
	return ports.dial(ctx, uint16(port))
}
