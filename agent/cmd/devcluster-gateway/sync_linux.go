package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"devcluster/agent/internal/sync/engine"
	"devcluster/agent/internal/sync/volume"
)

const syncUsage = "usage: sync ROOT --state FILE [--copy ID] [--volume ID] [--exclude GLOB]… [--rewrite GLOB]… [--database GLOB]… " +
	"[--one-way] [--no-owners] [--share UID:GID] [--rescan DURATION]"

// runSync is the role sync: it keeps ROOT and a pod's volume equal, over the streams of whoever started it
// (docs/architecture.md).
func runSync(args []string) error {
	if len(args) == 0 {
		return errors.New(syncUsage)
	}
	flags := flag.NewFlagSet("sync", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	var exclude, rewrite, database patterns
	var config engine.Config
	flags.StringVar(&config.State, "state", "", "where it is remembered what both sides had")
	flags.StringVar(&config.Copy, "copy", "", "which copy ROOT is")
	flags.StringVar(&config.Volume, "volume", "", "which volume of the pod")
	flags.Var(&exclude, "exclude", "leave alone what matches, on both sides")
	flags.Var(&rewrite, "rewrite", "ask how what matches is written on the other side")
	flags.Var(&database, "database", "tell of the names that match: a database's")
	flags.BoolVar(&config.OneWay, "one-way", false, "never change the pod")
	flags.BoolVar(&config.NoOwners, "no-owners", false, "ROOT belongs to one user")
	flags.Func("share", "ROOT is the folder of this user (UID:GID)", func(text string) error {
		config.Share = &volume.Share{}
		_, err := fmt.Sscanf(text, "%d:%d", &config.Share.UID, &config.Share.GID)
		return err
	})
	flags.DurationVar(&config.Rescan, "rescan", 30*time.Second, "how often everything is looked at")
	if err := flags.Parse(args[1:]); err != nil || flags.NArg() > 0 || config.State == "" {
		return errors.New(syncUsage)
	}
	root, err := filepath.EvalSymlinks(args[0])
	if err != nil {
		return err
	}
	if config.Root, err = filepath.Abs(root); err != nil {
		return err
	}
	config.Exclude, config.Rewrite, config.Databases = exclude, rewrite, database
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	debug.SetMemoryLimit(memoryGoal)
	debug.SetGCPercent(50) // what is known of the files is most of the heap, and stays
	return engine.Run(ctx, config, engine.NewHost(os.Stdin, os.Stdout))
}
