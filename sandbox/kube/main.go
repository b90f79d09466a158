// Command kube is every program of a Kubernetes node and control plane in one static file.
//
// The programs share most of their code: one file of 130 MB stands for six that would be 600 MB, and links
// once.  The first argument, or the name it is called by, picks the program:
//
//	kube kube-apiserver --etcd-servers …
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"          // --logging-format=json
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // client metrics
	_ "k8s.io/component-base/metrics/prometheus/version"  // version metric
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

func main() {
	args := os.Args
	command := pick(filepath.Base(args[0]))
	if command == nil && len(args) > 1 {
		args = args[1:]
		command = pick(args[0])
	}
	if command == nil {
		fmt.Fprintln(os.Stderr, "kube: the first argument must be etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubelet or kube-proxy")
		os.Exit(2)
	}
	os.Args = args
	os.Exit(command())
}

// pick returns what runs the program of that name, nil where there is none.
func pick(name string) func() int {
	switch name {
	case "etcd":
		return func() int { etcdmain.Main(os.Args); return 0 }
	case "kube-apiserver":
		return run(apiserver.NewAPIServerCommand)
	case "kube-controller-manager":
		return run(controllers.NewControllerManagerCommand)
	case "kube-scheduler":
		return run(func() *cobra.Command { return scheduler.NewSchedulerCommand() })
	case "kubelet":
		return run(func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) })
	case "kube-proxy":
		return run(proxy.NewProxyCommand)
	}
	return nil
}

// run delays the making of a command: each of them registers flags and metrics of its own.
func run(command func() *cobra.Command) func() int {
	return func() int { return cli.Run(command()) }
}
