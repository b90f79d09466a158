// Command guarded is an application for the tests of the agent: it needs no
// libc and no shell.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	switch os.Args[1] {
	case "say": // argv and the parent's number, as JSON
		_ = json.NewEncoder(os.Stdout).Encode(map[string]any{"argv": os.Args[2:], "pid": os.Getpid(), "parent": os.Getppid()})
	case "exit":
		code, _ := strconv.Atoi(os.Args[2])
		os.Exit(code)
	case "killed":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "wait": // for a signal, and tell which
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGTERM, syscall.SIGWINCH)
		fmt.Println("waiting")
		fmt.Println(<-signals)
		os.Exit(7)
	case "parent": // of somebody who leaves an orphan behind
		_ = exec.Command("/proc/self/exe", "orphaner").Run()
		time.Sleep(1500 * time.Millisecond)
		fmt.Println(zombies())
	case "orphaner":
		_ = exec.Command("/proc/self/exe", "orphan").Start()
	case "orphan":
		time.Sleep(300 * time.Millisecond)
	}
}

// zombies counts processes that nobody has waited for.
func zombies() (count int) {
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		if _, err := strconv.Atoi(entry.Name()); err != nil {
			continue
		}
		stat, _ := os.ReadFile("/proc/" + entry.Name() + "/stat")
		for i := len(stat) - 1; i > 0; i-- {
			if stat[i] == ')' {
				if stat[i+2] == 'Z' {
					count++
				}
				break
			}
		}
	}
	return count
}
