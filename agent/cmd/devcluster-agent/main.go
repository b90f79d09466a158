// Command devcluster-agent is PID 1 of an application's container while
// devcluster is installed:
//
//	devcluster-agent guard [--etc FOLDER] -- COMMAND…
//
// It runs COMMAND as its child and lets a laptop stand in for it
// (docs/architecture.md).
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"strconv"
	"syscall"

	"devcluster/agent/internal/child"
	"devcluster/agent/internal/connect"
	"devcluster/agent/internal/control"
	"devcluster/agent/internal/guard"
	"devcluster/agent/internal/lane"
	"devcluster/agent/internal/origin"
)

const usage = "usage: devcluster-agent guard [--etc FOLDER] -- COMMAND…"

// forwarded are the signals that people, hooks and applications send to process 1.
var forwarded = []os.Signal{
	syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH,
	syscall.SIGALRM, syscall.SIGCONT, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU,
}

func main() {
	etc, command, err := parse(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if err := run(etc, command); err != nil {
		guard.Log("%v", err)
		os.Exit(1)
	}
}

func parse(words []string) (etc string, command []string, err error) {
	etc = "/.devcluster/etc"
	if len(words) == 0 || words[0] != "guard" {
		return "", nil, errors.New(usage)
	}
	words = words[1:]
	if len(words) > 1 && words[0] == "--etc" {
		etc, words = words[1], words[2:]
	}
	if len(words) < 2 || words[0] != "--" {
		return "", nil, errors.New(usage)
	}
	return etc, words[1:], nil
}

func run(etc string, command []string) error {
	config, err := guard.Load(etc)
	if err != nil {
		return err
	}
	config.Command = command
	if err := control.Correct(config.Settings.Figures); err != nil {
		return fmt.Errorf("the application's environment: %w", err)
	}
	if config.Address, err = control.PodAddress(); err != nil {
		return err
	}
	key, err := lane.ParsePrivate(config.Agent)
	if err != nil {
		return fmt.Errorf("agent.key: %w", err)
	}
	laptop, err := lane.ParsePublic(config.Laptop)
	if err != nil {
		return fmt.Errorf("laptop.pub: %w", err)
	}
	reaper, err := child.NewReaper()
	if err != nil {
		return err
	}
	budget(config.Settings.Memory)
	listener, err := net.Listen("tcp", ":"+strconv.Itoa(config.Settings.Port))
	if err != nil {
		return fmt.Errorf("the agent's port: %w", err)
	}
	port := connect.New(connect.Config{
		Key: key, Laptop: laptop, Memory: config.Settings.Memory / 3, Writable: config.Settings.Sync,
	})
	keeper := guard.New(config, reaper, port, os.Exit)
	signals, err := origin.Listen(append(forwarded, config.Stop)...)
	if err != nil {
		return err
	}
	go obey(keeper, signals)
	if err := keeper.Begin(); err != nil {
		return err
	}
	return port.Serve(context.Background(), listener, keeper)
}

// budget keeps the heap well below the share that the pod was given for us; the
// program itself lies in memory, too.
func budget(share int64) {
	debug.SetMemoryLimit(share / 10 * 7)
	debug.SetGCPercent(50)
}

// obey hands signals on. The image's own stop signal may be any.
func obey(keeper *guard.Guard, signals <-chan origin.Signal) {
	for signal := range signals {
		if signal.Inside && keeper.Pass(signal.Number) {
			continue
		}
		go keeper.Terminate(signal.Number)
	}
}
