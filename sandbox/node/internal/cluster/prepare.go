package cluster

import (
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"text/template"

	"devcluster/sandbox/node/internal/cgroup"
)

//go:embed files
var files embed.FS

// written maps a template to the file it becomes.
var written = map[string]string{
	"files/containerd.toml": "/etc/containerd/config.toml",
	"files/pods.conflist":   "/etc/cni/net.d/10-pods.conflist",
	"files/kubelet.yaml":    "kubelet.yaml",
	"files/kube-proxy.yaml": "kube-proxy.yaml",
}

// settings is what the templates know.
type settings struct {
	Volume, Run, CgroupRoot, DNS, NodeAddress, PodNetwork, PodRange string
}

// Prepare makes a container into a node, ready for its programs; it can be repeated.
func (c Cluster) Prepare() error {
	for _, step := range []func() error{
		c.folders, c.mounts, c.device, c.address,
		c.groups,
		c.Certify, c.templates, c.resolver,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (c Cluster) folders() error {
	for _, folder := range []string{c.run(), c.volume("etcd"), c.volume("containerd"), c.volume("kubelet"),
		c.volume("volumes"), Claims, "/etc/cni/net.d", "/etc/containerd", "/var/log/pods"} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// mounts: kubelet's mounts reach the pods that ask for propagation, and claims lie in the volume.
func (c Cluster) mounts() error {
	if err := syscall.Mount("", "/", "", syscall.MS_SHARED|syscall.MS_REC, ""); err != nil {
		return fmt.Errorf("share mounts: %w", err)
	}
	if err := syscall.Mount(c.volume("volumes"), Claims, "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount %s: %w", Claims, err)
	}
	return nil
}

// device: kubelet insists on the kernel's log, which a container may not have.
func (c Cluster) device() error {
	err := os.Symlink("/dev/null", "/dev/kmsg")
	if os.IsExist(err) {
		return nil
	}
	return err
}

func (c Cluster) address() error {
	said, err := exec.Command("ip", "address", "replace", NodeAddress+"/32", "dev", "lo").CombinedOutput()
	if err != nil {
		return fmt.Errorf("the node's address: %w: %s", err, said)
	}
	return nil
}

// groups: those of the start before hold nothing any more, but kubelet would look into each for seconds.
func (c Cluster) groups() error {
	if err := cgroup.Sweep(cgroup.Mount, c.Name); err != nil {
		return err
	}
	return cgroup.Prepare(cgroup.Mount, c.Name)
}

func (c Cluster) templates() error {
	values := settings{
		Volume: c.Volume, Run: c.Run, CgroupRoot: cgroup.Root(c.Name), DNS: dnsAddress,
		NodeAddress: NodeAddress, PodNetwork: podNetwork, PodRange: podRange,
	}
	for source, target := range written {
		if !filepath.IsAbs(target) {
			target = c.run(target)
		}
		if err := render(source, target, values); err != nil {
			return err
		}
	}
	return nil
}

func render(source, target string, values settings) error {
	parsed, err := template.ParseFS(files, source)
	if err != nil {
		return err
	}
	out, err := os.Create(target)
	if err != nil {
		return err
	}
	if err := parsed.Execute(out, values); err != nil {
		return err
	}
	return out.Close()
}

// resolver writes the nameservers that pods' DNS may forward to.
func (c Cluster) resolver() error {
	text, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		return err
	}
	var lines strings.Builder
	for _, server := range upstreams(string(text)) {
		fmt.Fprintf(&lines, "nameserver %s\n", server)
	}
	return os.WriteFile(c.run("resolv.conf"), []byte(lines.String()), 0o644)
}

// upstreams are the nameservers of a resolv.conf that a pod can reach: one on a loopback address (Docker's
// own on a network with names, systemd's) would be the pod itself, and CoreDNS would ask itself for ever.
func upstreams(text string) []string {
	var found []string
	for _, line := range strings.Split(text, "\n") {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		if !strings.HasPrefix(fields[1], "127.") && fields[1] != "::1" {
			found = append(found, fields[1])
		}
	}
	return found
}
