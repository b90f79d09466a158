package control

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"devcluster/agent/internal/hold"
)

// rights are the agent's own, which runs as the application does: also what a
// policy of the cluster gave to the pod and no template says.
//
// Source: proc_pid_status(5).
func rights() (hold.Rights, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return hold.Rights{}, err
	}
	found := hold.Rights{}
	for line := range strings.Lines(string(status)) {
		switch key, value, _ := strings.Cut(strings.TrimSpace(line), ":"); key {
		case "CapBnd":
			found.Capabilities = strings.TrimSpace(value)
		case "NoNewPrivs":
			found.NoNewPrivileges = strings.TrimSpace(value) == "1"
		}
	}
	var root unix.Statfs_t
	if err := unix.Statfs("/", &root); err != nil {
		return hold.Rights{}, err
	}
	found.ReadOnlyRoot = root.Flags&unix.ST_RDONLY != 0
	return found, nil
}
