// Command devcluster-gateway is the laptop's side of devcluster inside Docker. Its first argument is its role:
//
//	hold      keeps a network namespace: waits for SIGTERM
//	gateway   the local pod's network; its settings are one line of JSON on stdin
//	files     scans, packs and fills a volume
//
// It runs in images without anything else, so an error is one line on stderr: what failed and what to do.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"devcluster/agent/internal/gateway"
)

// memoryGoal is where the garbage collector becomes eager; it is no limit.
const memoryGoal = 192 << 20

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "devcluster-gateway:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	role := ""
	if len(args) > 0 {
		role = args[0]
	}
	switch role {
	case "hold":
		return hold()
	case "gateway":
		return runGateway()
	case "files":
		return runFiles(args[1:])
	}
	return fmt.Errorf("expected a role (hold, gateway or files), got %q", role)
}

// hold is PID 1 of the netns container: the kernel discards signals that it does not ask for.
func hold() error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	<-signals
	return nil
}

func runGateway() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	settings, err := gateway.ReadSettings(os.Stdin)
	if err != nil {
		return err
	}
	debug.SetMemoryLimit(memoryGoal)
	return gateway.Run(ctx, settings, os.Stdout)
}
