// Command node makes a container into a Kubernetes node with its control plane, and answers for it.
//
//	node                        PID 1: starts everything, stops it on SIGTERM
//	node status [watch]         the board as JSON, one line (watch: one a change, until it is ready)
//	node kubeconfig SERVER NAME an administrator's kubeconfig for that address, with that context
//	node load                   an archive of `docker save` on stdin, into containerd
//	node has REFERENCE ID       exit 0 where containerd has that image under that reference, else 1
//	node sweep NAME             removes the control groups of a sandbox that is gone
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"devcluster/sandbox/node/internal/board"
	"devcluster/sandbox/node/internal/cgroup"
	"devcluster/sandbox/node/internal/cluster"
	"devcluster/sandbox/node/internal/images"
	"devcluster/sandbox/node/internal/supervise"
)

const socket = "/run/sandbox/status.sock"

func main() {
	code, err := run(context.Background(), os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		code = 1
	}
	os.Exit(code)
}

func run(ctx context.Context, args []string) (int, error) {
	here := cluster.New(name())
	switch {
	case len(args) == 0:
		return supervise.Init([]string{"supervise"})
	case args[0] == "supervise":
		return 0, supervised(ctx, here)
	case args[0] == "status":
		return 0, board.Copy(socket, strings.Join(args[1:], "&"), os.Stdout)
	case args[0] == "kubeconfig" && len(args) == 3:
		text, err := here.Kubeconfig(args[1], args[2])
		_, _ = os.Stdout.Write(text)
		return 0, err
	case args[0] == "load":
		return 0, images.Load(ctx, os.Stdin)
	case args[0] == "has" && len(args) == 3:
		found, err := images.Has(ctx, args[1], args[2])
		if found {
			return 0, err
		}
		return 1, err
	case args[0] == "sweep" && len(args) == 2:
		return 0, cgroup.Sweep(cgroup.Mount, args[1])
	}
	return 2, fmt.Errorf("unknown command %q", strings.Join(args, " "))
}

// name is the sandbox's, from the container's environment.
func name() string {
	if name := os.Getenv("SANDBOX_NAME"); name != "" {
		return name
	}
	return "default"
}

func supervised(ctx context.Context, here cluster.Cluster) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	state := board.New()
	say := func(line string) { fmt.Printf("[%5.1f s] %s\n", state.Elapsed().Seconds(), line) }
	if err := here.Prepare(); err != nil {
		return err
	}
	go func() {
		if err := state.Serve(socket); err != nil {
			say("status: " + err.Error())
		}
	}()
	go announce(state, say)
	supervisor := supervise.Supervisor{Board: state, Logs: "/var/log", Say: say}
	supervisor.Run(ctx, here.Units())
	say("stopped")
	return nil
}

// announce says once that everything works.
func announce(state *board.Board, say func(string)) {
	for {
		snapshot, changed := state.Snapshot()
		if snapshot.Ready {
			say("ready")
			return
		}
		<-changed
	}
}
