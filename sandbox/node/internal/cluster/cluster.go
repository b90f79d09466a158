// Package cluster says what a one-node Kubernetes is made of: files, certificates, programs, add-ons.
//
// The node's address is a fixed one on its loopback device, never the container's: after `docker restart`
// the container may have another, and an API server whose address changed answers in-cluster clients
// on the old one for a while.  So the node, its certificates and the endpoints of `kubernetes` stay the same.
package cluster

import (
	"net"
	"os"
	"path/filepath"

	"devcluster/sandbox/node/internal/pki"
)

// Addresses of every sandbox; they exist only inside its container's network namespace.
const (
	NodeAddress = "10.244.255.254"
	dnsAddress  = "10.96.0.10"
	apiService  = "10.96.0.1"
	podNetwork  = "10.244.0.0/24"
	podRange    = "10.244.0.0/16"
	services    = "10.96.0.0/16"
	nodeName    = "node"
	apiServer   = "https://127.0.0.1:6443"
)

// Cluster is where a sandbox keeps its files.  Volume survives the container; Run does not.
type Cluster struct {
	Name   string // of the sandbox
	Volume string
	Run    string
}

// New is the cluster of the sandbox of that name, at its usual places.
func New(name string) Cluster {
	return Cluster{Name: name, Volume: "/var/lib/sandbox", Run: "/run/sandbox"}
}

func (c Cluster) volume(parts ...string) string {
	return filepath.Join(append([]string{c.Volume}, parts...)...)
}

func (c Cluster) run(parts ...string) string {
	return filepath.Join(append([]string{c.Run}, parts...)...)
}

// identities are the programs' users: the ones that RBAC's own bindings and the Node authorizer expect.
func identities() map[string]pki.Subject {
	return map[string]pki.Subject{
		"admin":      {User: "sandbox-admin", Groups: []string{"system:masters"}},
		"controller": {User: "system:kube-controller-manager"},
		"scheduler":  {User: "system:kube-scheduler"},
		"proxy":      {User: "system:kube-proxy"},
		"node":       {User: "system:node:" + nodeName, Groups: []string{"system:nodes"}},
		"to-kubelet": {User: "kube-apiserver-kubelet-client", Groups: []string{"system:masters"}},
	}
}

// servers are the certificates that somebody checks against a name or an address.
func servers() (map[string]pki.Subject, error) {
	own, err := addresses()
	if err != nil {
		return nil, err
	}
	names := []string{"localhost", "host.docker.internal", "kubernetes", "kubernetes.default",
		"kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}
	return map[string]pki.Subject{
		"apiserver": {User: "kube-apiserver", Names: names, Addresses: append(own, net.ParseIP(apiService))},
		"kubelet":   {User: "system:node:" + nodeName, Names: []string{nodeName}, Addresses: own},
	}, nil
}

func addresses() ([]net.IP, error) {
	found, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	own := []net.IP{net.ParseIP(NodeAddress)}
	for _, address := range found {
		if network, ok := address.(*net.IPNet); ok {
			own = append(own, network.IP)
		}
	}
	return own, nil
}

// Certify writes every certificate and the programs' kubeconfigs.
func (c Cluster) Certify() error {
	if err := os.MkdirAll(c.volume("pki"), 0o700); err != nil {
		return err
	}
	authority, err := pki.OpenAuthority(c.volume("pki"))
	if err != nil {
		return err
	}
	if err := pki.OpenKey(c.volume("pki"), "accounts"); err != nil {
		return err
	}
	issued, err := servers()
	if err != nil {
		return err
	}
	for name, subject := range identities() {
		issued[name] = subject
	}
	for name, subject := range issued {
		if err := c.issue(authority, name, subject); err != nil {
			return err
		}
	}
	return nil
}

func (c Cluster) issue(authority *pki.Authority, name string, subject pki.Subject) error {
	pair, err := authority.Issue(subject)
	if err != nil {
		return err
	}
	if err := pair.Write(c.run(name)); err != nil {
		return err
	}
	return os.WriteFile(c.run(name+".conf"), pki.Kubeconfig("sandbox", apiServer, authority, pair), 0o600)
}

// Kubeconfig is an administrator's, for a server address and a context name of the caller's.
func (c Cluster) Kubeconfig(server, context string) ([]byte, error) {
	authority, err := pki.OpenAuthority(c.volume("pki"))
	if err != nil {
		return nil, err
	}
	pair, err := authority.Issue(identities()["admin"])
	if err != nil {
		return nil, err
	}
	return pki.Kubeconfig(context, server, authority, pair), nil
}
