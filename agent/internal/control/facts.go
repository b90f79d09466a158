package control

import (
	"bytes"
	"encoding/base64"
	"errors"
	"net"
	"os"

	"devcluster/agent/internal/hold"
)

// Gather tells what the application has, as inspect answers it: the agent
// runs as the application, so what it finds at itself is exact. command is
// the argv behind "--", as kubelet expanded it.
func Gather(command []string, figures []Figure) (hold.Facts, error) {
	cwd, cwdErr := os.Getwd()
	groups, groupsErr := os.Getgroups()
	hostname, hostErr := os.Hostname()
	address, addressErr := PodAddress()
	resolv, resolvErr := os.ReadFile("/etc/resolv.conf")
	hosts, hostsErr := os.ReadFile("/etc/hosts")
	if groups == nil {
		groups = []int{}
	}
	mounts, mountsErr := Mounts()
	rights, rightsErr := rights()
	facts := hold.Facts{
		Environment: coded(corrected(environment(), figures)), Command: coded(command), Cwd: cwd, UID: os.Getuid(), GID: os.Getgid(),
		Groups: groups, Hostname: hostname, Address: address, ResolvConf: string(resolv), Hosts: string(hosts), Mounts: mounts, Rights: rights,
	}
	return facts, errors.Join(cwdErr, groupsErr, hostErr, addressErr, mountsErr, rightsErr, absent(resolvErr), absent(hostsErr))
}

// absent forgives a file that an image may lack.
func absent(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// environment is the agent's own as it was started. os.Environ drops what is
// named twice, which some shells and runtimes do not.
func environment() []string {
	raw, err := os.ReadFile("/proc/self/environ")
	if err != nil || len(raw) == 0 {
		return os.Environ()
	}
	var found []string
	for entry := range bytes.SplitSeq(bytes.TrimSuffix(raw, []byte{0}), []byte{0}) {
		found = append(found, string(entry))
	}
	return found
}

func coded(values []string) []string {
	result := make([]string, len(values))
	for i, value := range values {
		result[i] = base64.StdEncoding.EncodeToString([]byte(value))
	}
	return result
}

// PodAddress is the first address of the pod that others can reach, IPv4
// before IPv6. An application of a pod that has IPv6 only is served by its agent
// as ever; it is the laptop that says it can't stand in for it.
func PodAddress() (string, error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return "", err
	}
	return firstReachable(addresses)
}

func firstReachable(addresses []net.Addr) (string, error) {
	second := ""
	for _, address := range addresses {
		network, ok := address.(*net.IPNet)
		if !ok || !network.IP.IsGlobalUnicast() {
			continue
		}
		if network.IP.To4() != nil {
			return network.IP.String(), nil
		}
		if second == "" {
			second = network.IP.String()
		}
	}
	if second == "" {
		return "", errors.New("the pod has no address")
	}
	return second, nil
}
