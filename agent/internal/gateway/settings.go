package gateway

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"

	"devcluster/agent/internal/tun"
)

// Settings is what the host process hands the gateway, one line of JSON on stdin: it holds keys, and what is
// in a command line or an environment can be read with `docker inspect`.
type Settings struct {
	Token          string       `json:"token"`
	Listen         uint16       `json:"listen"`
	Key            string       `json:"key"`
	Agent          string       `json:"agent"`
	Epoch          int64        `json:"epoch"`
	Address        netip.Addr   `json:"address"`
	ResolvConf     string       `json:"resolv_conf"`
	Hosts          string       `json:"hosts"`
	Hostname       string       `json:"hostname"`
	ClusterDomains []string     `json:"cluster_domains"`
	LocalNames     []string     `json:"local_names"`
	LocalNetworks  networks     `json:"local_networks"`
	DockerNetwork  netip.Prefix `json:"docker_network"`
	DockerGateway  netip.Addr   `json:"docker_gateway"`
	// PortMap says where the application listens: port of the pod to local port, the same where it is silent.
	PortMap map[uint16]uint16 `json:"port_map"`
	// Neighbours are where the pod's other containers listen.
	Neighbours listeners `json:"neighbours"`
}

// maxSettings bounds the line; a key, a hosts file and lists of networks fit.
const maxSettings = 1 << 20

// ReadSettings reads the one line. Its errors name fields, never values.
func ReadSettings(r io.Reader) (Settings, error) {
	line, err := bufio.NewReader(io.LimitReader(r, maxSettings)).ReadBytes('\n')
	if err != nil && (!errors.Is(err, io.EOF) || len(line) == 0) {
		return Settings{}, errors.New("settings: expected one line of JSON on stdin, got nothing")
	}
	var settings Settings
	if err := json.Unmarshal(line, &settings); err != nil {
		return Settings{}, fmt.Errorf("settings: %s", describe(err))
	}
	return settings, settings.check()
}

func describe(err error) string {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return fmt.Sprintf("%s: expected %s", kind.Field, kind.Type)
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Sprintf("not JSON, at byte %d", syntax.Offset)
	}
	return "an address or network can't be read: address, docker_gateway, docker_network or local_networks"
}

func (s Settings) check() error {
	switch {
	case s.Token == "":
		return errors.New("settings: token is missing")
	case s.Listen == 0:
		return errors.New("settings: listen is missing")
	case !s.Address.Is4():
		return errors.New("settings: address: expected the pod's IPv4 address; IPv6-only clusters are not supported")
	case !s.DockerNetwork.IsValid() || !s.DockerNetwork.Addr().Is4():
		return errors.New("settings: docker_network: expected an IPv4 network")
	case !s.DockerGateway.Is4() || !s.DockerNetwork.Contains(s.DockerGateway):
		return errors.New("settings: docker_gateway: expected an address in docker_network")
	case s.DockerNetwork.Contains(s.Address):
		return fmt.Errorf("settings: the docker network %s contains the pod's address %s: create it in another range",
			s.DockerNetwork, s.Address)
	}
	return nil
}

// localPort is where the application listens for what arrives at port of the pod.
func (s Settings) localPort(port uint16) uint16 {
	if local, mapped := s.PortMap[port]; mapped {
		return local
	}
	return port
}

// listeners are where somebody listens, as the agent tells it.
type listeners []tun.Listener

func (l *listeners) UnmarshalJSON(text []byte) error {
	var told []struct {
		Address  netip.Addr `json:"address"`
		Port     uint16     `json:"port"`
		Protocol string     `json:"protocol"`
	}
	if err := json.Unmarshal(text, &told); err != nil {
		return err
	}
	*l = nil
	for _, one := range told {
		*l = append(*l, tun.Listener{AddrPort: netip.AddrPortFrom(one.Address, one.Port), UDP: one.Protocol == "UDP"})
	}
	return nil
}

// networks are CIDR prefixes; a bare address is a network of one.
type networks []netip.Prefix

func (n *networks) UnmarshalJSON(text []byte) error {
	var names []string
	if err := json.Unmarshal(text, &names); err != nil {
		return err
	}
	for _, name := range names {
		prefix, err := parseNetwork(name)
		if err != nil {
			return err
		}
		*n = append(*n, prefix)
	}
	return nil
}

func parseNetwork(text string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("expected a network such as 192.168.7.0/24, got %q", text)
	}
	return prefix.Masked(), nil
}
