package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"devcluster/agent/internal/gateway"
)

// memoryGoal is where the garbage collector becomes eager; it is no limit.
const memoryGoal = 192 << 20

func init() {
	roles["hold"], roles["gateway"], roles["files"], roles["sync"] = hold, runGateway, runFiles, runSync
}

// hold is PID 1 of the netns container: the kernel discards signals that it does not ask for.
func hold([]string) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	<-signals
	return nil
}

func runGateway([]string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	settings, err := gateway.ReadSettings(os.Stdin)
	if err != nil {
		return err
	}
	debug.SetMemoryLimit(memoryGoal)
	return gateway.Run(ctx, settings, os.Stdout)
}
