// Command testagent plays the cluster and the application for the gateway's tests.
//
//	testagent agent DOOR LANES   the agent's end of lanes, opened through the door at DOOR; JSON lines on stdio
//	testagent app …              an application in the local pod, see app.go
//
// It speaks the real lane; the cluster behind it is this machine's loopback: 10.99.0.0/24 is 127.0.0.1 with the
// same port. 10.99.1.1 never answers, 10.99.2.1 is unreachable.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("expected agent or app"))
	}
	var err error
	switch os.Args[1] {
	case "agent":
		err = runAgent(os.Args[2:])
	case "app":
		err = runApp(os.Args[2:])
	default:
		err = fmt.Errorf("expected agent or app, got %q", os.Args[1])
	}
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "testagent:", err)
	os.Exit(1)
}
