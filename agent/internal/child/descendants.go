package child

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
)

// KillDescendants ends with SIGKILL what is left below this process: a daemon
// that the application started is its container's, and would hold its ports.
// Programs that the reaper knows are spared, with all below them: a probe or a
// hook that runs is none of the application's. It tells how many it hit.
func (r *Reaper) KillDescendants() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	parents := readParents()
	hit := 0
	for pid := range parents {
		if r.isLeftOver(pid, parents) && syscall.Kill(pid, syscall.SIGKILL) == nil {
			hit++
		}
	}
	return hit
}

// Family is every process below this one: the application's, and those of
// probes and hooks that run at the moment.
func Family() []int {
	parents := readParents()
	self := os.Getpid()
	var found []int
	for pid := range parents {
		if pid != self && isBelow(pid, self, parents) {
			found = append(found, pid)
		}
	}
	return found
}

func isBelow(pid, top int, parents map[int]int) bool {
	for range parents {
		if pid == top {
			return true
		}
		pid = parents[pid]
	}
	return false
}

// isLeftOver is whether the way up from pid comes to this process without
// passing a program that the reaper knows.
func (r *Reaper) isLeftOver(pid int, parents map[int]int) bool {
	self := os.Getpid()
	for steps := 0; pid > 1 && steps < len(parents); steps++ {
		if _, known := r.known[pid]; known {
			return false
		}
		parent, found := parents[pid]
		if !found {
			return false
		}
		if parent == self {
			return true
		}
		pid = parent
	}
	return false
}

// readParents tells the parent of each process that /proc shows.
// Source: proc_pid_stat(5); the name in parentheses may hold anything.
func readParents() map[int]int {
	parents := map[int]int{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return parents
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + entry.Name() + "/stat")
		if err != nil {
			continue
		}
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) < 2 {
			continue
		}
		if parent, err := strconv.Atoi(string(fields[1])); err == nil {
			parents[pid] = parent
		}
	}
	return parents
}
