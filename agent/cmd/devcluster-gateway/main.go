// Command devcluster-gateway is the laptop's side of devcluster. Its first argument is its role:
//
//	host      leads the cluster's connections to a process of this laptop; its settings are one line of JSON on
//	          stdin, at whose end it ends
//
// and, inside Docker, where it runs in an image without anything else:
//
//	hold      keeps a network namespace: waits for SIGTERM
//	gateway   the local pod's network; its settings are one line of JSON on stdin
//	files     scans, packs and fills a volume
//	sync      keeps a volume and the pod's equal
//
// An error is one line on stderr: what failed and what to do.
package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"devcluster/agent/internal/process"
)

// roles are those of any system; Linux has more.
var roles = map[string]func(args []string) error{"host": runHost}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "devcluster-gateway:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 || roles[args[0]] == nil {
		return fmt.Errorf("expected a role (%s)", strings.Join(slices.Sorted(maps.Keys(roles)), ", "))
	}
	return roles[args[0]](args[1:])
}

func runHost([]string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	return process.Run(ctx, os.Stdin, os.Stdout)
}
