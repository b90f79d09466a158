package cluster

import (
	"context"
	"path/filepath"

	"devcluster/sandbox/node/internal/images"
	"devcluster/sandbox/node/internal/supervise"
)

const etcd = "http://127.0.0.1:2379"

// Units are the programs and stages of a sandbox, in the order in which `status` shows them.
func (c Cluster) Units() []supervise.Unit {
	return []supervise.Unit{
		{Name: "etcd", Last: true, Argv: c.etcd(), Probe: ask(etcd + "/health")},
		{Name: "containerd", Argv: []string{"containerd"}, Probe: dial("/run/containerd/containerd.sock")},
		{Name: "kube-apiserver", Needs: []string{"etcd"}, Argv: c.apiServer(), Probe: c.ask("/readyz")},
		{Name: "kube-controller-manager", Needs: []string{"kube-apiserver"}, Argv: c.controllers(),
			Probe: ask("https://127.0.0.1:10257/healthz")},
		{Name: "kube-scheduler", Needs: []string{"kube-apiserver"}, Argv: c.scheduler(),
			Probe: ask("https://127.0.0.1:10259/healthz")},
		{Name: "kubelet", Needs: []string{"kube-apiserver", "images"}, Argv: c.kubelet(),
			Probe: ask("http://127.0.0.1:10248/healthz")},
		{Name: "kube-proxy", Needs: []string{"kube-apiserver"}, Argv: c.proxy(),
			Probe: ask("http://127.0.0.1:10256/livez")},
		{Name: "images", Needs: []string{"containerd"}, Do: loadImages},
		{Name: "claims", Do: watchClaims},
		{Name: "add-ons", Needs: []string{"kube-apiserver"}, Do: c.applyAddons},
		{Name: "node", Needs: []string{"kubelet"}, Do: c.awaitNode},
		{Name: "accounts", Needs: []string{"kube-controller-manager"}, Do: c.awaitAccount},
		{Name: "dns", Needs: []string{"add-ons", "kubelet", "kube-proxy"}, Do: awaitDNS},
	}
}

func (c Cluster) etcd() []string {
	return []string{"kube", "etcd", "--name=" + nodeName, "--data-dir=" + c.volume("etcd"),
		"--listen-client-urls=" + etcd, "--advertise-client-urls=" + etcd,
		"--listen-peer-urls=http://127.0.0.1:2380", "--initial-advertise-peer-urls=http://127.0.0.1:2380",
		"--initial-cluster=" + nodeName + "=http://127.0.0.1:2380",
		"--unsafe-no-fsync", // a throwaway cluster: what a power cut loses is worth less than the disk's time
		"--log-level=warn"}
}

func (c Cluster) apiServer() []string {
	return []string{"kube", "kube-apiserver", "--etcd-servers=" + etcd,
		"--secure-port=6443", "--advertise-address=" + NodeAddress, "--service-cluster-ip-range=" + services,
		"--tls-cert-file=" + c.run("apiserver.crt"), "--tls-private-key-file=" + c.run("apiserver.key"),
		"--client-ca-file=" + c.volume("pki/ca.crt"),
		"--kubelet-client-certificate=" + c.run("to-kubelet.crt"),
		"--kubelet-client-key=" + c.run("to-kubelet.key"),
		"--kubelet-certificate-authority=" + c.volume("pki/ca.crt"),
		"--kubelet-preferred-address-types=InternalIP",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + c.volume("pki/accounts.pub"),
		"--service-account-signing-key-file=" + c.volume("pki/accounts.key"),
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
		"--allow-privileged", "--profiling=false"}
}

func (c Cluster) controllers() []string {
	return []string{"kube", "kube-controller-manager", "--kubeconfig=" + c.run("controller.conf"),
		"--authentication-kubeconfig=" + c.run("controller.conf"),
		"--authorization-kubeconfig=" + c.run("controller.conf"),
		"--bind-address=127.0.0.1", "--leader-elect=false", "--use-service-account-credentials",
		"--service-account-private-key-file=" + c.volume("pki/accounts.key"),
		"--root-ca-file=" + c.volume("pki/ca.crt"),
		"--cluster-signing-cert-file=" + c.volume("pki/ca.crt"),
		"--cluster-signing-key-file=" + c.volume("pki/ca.key"),
		"--kube-api-qps=300", "--kube-api-burst=600", // its sixty controllers start at once, each with an account
		"--enable-hostpath-provisioner", "--profiling=false"}
}

func (c Cluster) scheduler() []string {
	return []string{"kube", "kube-scheduler", "--kubeconfig=" + c.run("scheduler.conf"),
		"--authentication-kubeconfig=" + c.run("scheduler.conf"),
		"--authorization-kubeconfig=" + c.run("scheduler.conf"),
		"--bind-address=127.0.0.1", "--leader-elect=false", "--profiling=false"}
}

func (c Cluster) kubelet() []string {
	return []string{"kube", "kubelet", "--config=" + c.run("kubelet.yaml"), "--kubeconfig=" + c.run("node.conf"),
		"--hostname-override=" + nodeName, "--node-ip=" + NodeAddress, "--root-dir=" + c.volume("kubelet")}
}

func (c Cluster) proxy() []string {
	return []string{"kube", "kube-proxy", "--config=" + c.run("kube-proxy.yaml"), "--hostname-override=" + nodeName}
}

func loadImages(ctx context.Context) error {
	for _, program := range []string{"pause", "coredns"} {
		path := filepath.Join("/usr/local/bin", program)
		if err := images.LoadProgram(ctx, "sandbox.local/"+program+":1", path); err != nil {
			return err
		}
	}
	return nil
}
