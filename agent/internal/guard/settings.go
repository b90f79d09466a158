// Package guard keeps the application: it runs it as its child while nobody
// holds the workload, stops it for whoever does, and starts it again when that
// laptop falls silent. Everything that decides is here; connect carries, front
// leads connections, child and probe do as they are told.
package guard

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"devcluster/agent/internal/control"
	"devcluster/agent/internal/front"
	"devcluster/agent/internal/hold"
	"devcluster/agent/internal/probe"
)

// Settings is agent.json (docs/architecture.md).
type Settings struct {
	Protocol   int    `json:"protocol"`
	Port       int    `json:"port"`
	LeaseMS    int64  `json:"lease_ms"`
	StopSignal string `json:"stop_signal"`
	GraceMS    *int64 `json:"grace_ms"`
	Memory     int64  `json:"memory"`

	Ports []front.Port `json:"ports"`
	Queue struct {
		Connections int   `json:"connections"`
		MS          int64 `json:"ms"`
	} `json:"queue"`
	Figures []control.Figure `json:"figures"`
	Sync    []string         `json:"sync"` // mounts in which the laptop may change files

	PostStart *probe.Action   `json:"post_start"`
	PreStop   *probe.Action   `json:"pre_stop"`
	Startup   json.RawMessage `json:"startup_probe"`
	Readiness json.RawMessage `json:"readiness_probe"`
	Liveness  json.RawMessage `json:"liveness_probe"`
}

// Config is everything of /.devcluster/etc, read and checked.
type Config struct {
	Settings                     Settings
	Record                       hold.Claim // what record.json says
	Held                         bool       // whether it names a holder
	Agent                        []byte     // agent.key
	Laptop                       []byte     // laptop.pub
	Address                      string     // the pod's own
	Command                      []string   // the application's
	Stop                         syscall.Signal
	Startup, Readiness, Liveness *probe.Spec
}

const protocol = 1

// Load reads the folder.
func Load(folder string) (Config, error) {
	var config Config
	text, err := os.ReadFile(filepath.Join(folder, "agent.json"))
	if err != nil {
		return config, err
	}
	if err := json.Unmarshal(text, &config.Settings); err != nil {
		return config, fmt.Errorf("agent.json: %w", err)
	}
	if config.Settings.Protocol != protocol {
		return config, fmt.Errorf("agent.json is of protocol %d, this agent speaks %d", config.Settings.Protocol, protocol)
	}
	config.Settings.fill()
	if config.Stop, err = parseSignal(config.Settings.StopSignal); err != nil {
		return config, err
	}
	for _, one := range []struct {
		text json.RawMessage
		to   **probe.Spec
	}{{config.Settings.Startup, &config.Startup}, {config.Settings.Readiness, &config.Readiness}, {config.Settings.Liveness, &config.Liveness}} {
		if len(one.text) == 0 || string(one.text) == "null" {
			continue
		}
		spec, err := probe.Parse(one.text)
		if err != nil {
			return config, err
		}
		*one.to = &spec
	}
	if config.Agent, err = os.ReadFile(filepath.Join(folder, "agent.key")); err != nil {
		return config, err
	}
	if config.Laptop, err = os.ReadFile(filepath.Join(folder, "laptop.pub")); err != nil {
		return config, err
	}
	return config, config.readRecord(folder)
}

func (c *Config) readRecord(folder string) error {
	text, err := os.ReadFile(filepath.Join(folder, "record.json"))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	var record struct {
		Epoch  int64        `json:"epoch"`
		Holder *hold.Holder `json:"holder"`
		Since  string       `json:"since"`
	}
	if err := json.Unmarshal(text, &record); err != nil {
		return fmt.Errorf("record.json: %w", err)
	}
	c.Record.Epoch, c.Record.Since = record.Epoch, record.Since
	if record.Holder != nil {
		c.Record.Holder, c.Held = *record.Holder, true
	}
	return nil
}

func (s *Settings) fill() {
	orElse := func(value *int64, other int64) {
		if *value <= 0 {
			*value = other
		}
	}
	orElse(&s.LeaseMS, 15_000)
	orElse(&s.Queue.MS, 60_000)
	orElse(&s.Memory, 48<<20)
	// Of another protocol: of a laptop that is newer, and leads more than this agent can.
	s.Ports = slices.DeleteFunc(s.Ports, func(port front.Port) bool { return port.Protocol != "" && port.Protocol != "TCP" })
	if s.Queue.Connections <= 0 {
		s.Queue.Connections = 1024
	}
	if s.Port == 0 {
		s.Port = 9900
	}
}

func (s *Settings) lease() time.Duration { return time.Duration(s.LeaseMS) * time.Millisecond }

// patience is for requests under way: as long as a pod that ends has for them,
// and half a minute where that is less.
func (s *Settings) patience() time.Duration { return max(s.grace(), 30*time.Second) }

// grace is kubelet's: its default where the pod says nothing, and never less
// than its least.
func (s *Settings) grace() time.Duration {
	if s.GraceMS == nil {
		return 30 * time.Second
	}
	return atLeast(time.Duration(*s.GraceMS) * time.Millisecond)
}

// atLeast is kubelet's least grace period.
func atLeast(grace time.Duration) time.Duration { return max(grace, 2*time.Second) }

// parseSignal reads an image's STOPSIGNAL: a name with or without SIG, a
// number, or SIGRTMIN+n.
func parseSignal(text string) (syscall.Signal, error) {
	name := strings.ToUpper(text)
	if name == "" {
		return syscall.SIGTERM, nil
	}
	if number, err := strconv.Atoi(name); err == nil && number > 0 && number < 65 {
		return syscall.Signal(number), nil
	}
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	if offset, found := strings.CutPrefix(name, "SIGRTMIN+"); found {
		if number, err := strconv.Atoi(offset); err == nil && number >= 0 && number <= 30 {
			return syscall.Signal(34 + number), nil
		}
	}
	if sig := unix.SignalNum(name); sig != 0 {
		return sig, nil
	}
	return 0, fmt.Errorf("the stop signal %q is unknown", text)
}
