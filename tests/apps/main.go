// Command app is an application for tests: a server of several kinds that tells who answered, and a bounded
// client that runs in pods and prints one JSON document of what it saw.
//
//	app serve http=:8080 echo=:7000 sink=:7001 source=:7002 reset=:7003 gate=:4180 datagrams=:7004
//	app http|ask|echo|sink|source|reset ADDRESS
//	app client http|get|echo|halfclose|reset|hold|idle FLAGS
//	app attack lane|garbage|header|silent FLAGS
//	app resolve NAME…
//	app look PATH…
//	app put PATH TEXT
//	app signal NUMBER PID
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "app:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, words []string) error {
	if len(words) < 2 {
		return fmt.Errorf("usage: app serve|client|resolve|look|put|MODE …")
	}
	switch words[0] {
	case "serve":
		return serve(ctx, words[1:])
	case "client":
		return client(ctx, words[1], words[2:])
	case "attack":
		return attack(ctx, words[1], words[2:])
	case "look":
		found, err := look(words[1:])
		return show(found, err)
	case "put":
		return put(words[1], strings.Join(words[2:], " "))
	case "signal":
		return signalTo(words[1:])
	case "resolve":
		return show(resolve(ctx, words[1:]), nil)
	default:
		return serve(ctx, []string{words[0] + "=" + words[1]})
	}
}

// signalTo sends a signal, as kill(1) does, which a bare image has not.
func signalTo(words []string) error {
	if len(words) != 2 {
		return fmt.Errorf("usage: app signal NUMBER PID")
	}
	number, numberErr := strconv.Atoi(words[0])
	pid, pidErr := strconv.Atoi(words[1])
	if err := errors.Join(numberErr, pidErr); err != nil {
		return err
	}
	return syscall.Kill(pid, syscall.Signal(number))
}

// show prints a report as one line; err, if any, comes after it and makes the process fail.
func show(report any, err error) error {
	if encodeErr := json.NewEncoder(os.Stdout).Encode(report); encodeErr != nil {
		return encodeErr
	}
	return err
}
