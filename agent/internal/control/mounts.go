package control

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"devcluster/agent/internal/hold"
)

// runtimes are what container runtimes mount into every container, with all
// below; and ours.
var runtimes = []string{
	"/proc", "/sys", "/dev", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/run/.containerenv", "/.devcluster",
}

// kubelets is where a mount comes from that is the runtime's wherever it is: the
// termination log, which has a path of the pod's choice, and what CRI-O gives.
var kubelets = regexp.MustCompile(`/pods/[^/]+/containers/|/overlay-containers/[^/]+/userdata/`)

// Mounts are the container's own: what its pod asked for, and what admission
// added to that, by whatever way.
func Mounts() ([]hold.Mount, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	found := ownMounts(string(text))
	for i := range found {
		describe(&found[i])
	}
	return found, nil
}

// ownMounts reads a mountinfo; of several mounts at one path the last one counts.
//
// Source: proc_pid_mountinfo(5).
func ownMounts(text string) []hold.Mount {
	found := []hold.Mount{}
	for line := range strings.Lines(text) {
		before, behind, ok := strings.Cut(line, " - ")
		fields, rest := strings.Fields(before), strings.Fields(behind)
		if !ok || len(fields) < 6 || len(rest) < 3 || isRuntimes(unescape(fields[3]), unescape(fields[4]), rest[1]) {
			continue
		}
		mount := hold.Mount{Path: unescape(fields[4]), Kind: rest[0]}
		options := strings.Split(rest[2], ",")
		mount.ReadOnly = slices.Contains(strings.Split(fields[5], ","), "ro") || slices.Contains(options, "ro")
		if mount.Kind == "tmpfs" {
			mount.Size = sizeOf(options)
		}
		found = slices.DeleteFunc(found, func(other hold.Mount) bool { return other.Path == mount.Path })
		found = append(found, mount)
	}
	return found
}

func isRuntimes(root, at, source string) bool {
	if at == "/dev/shm" { // a pod may give its own
		return source == "shm"
	}
	if at == "/" || kubelets.MatchString(root) {
		return true
	}
	return slices.ContainsFunc(runtimes, func(top string) bool { return at == top || strings.HasPrefix(at, top+"/") })
}

// sizeOf is the size of a tmpfs in bytes, which its options tell in KiB.
func sizeOf(options []string) int64 {
	for _, option := range options {
		if text, found := strings.CutPrefix(option, "size="); found {
			kib, _ := strconv.ParseInt(strings.TrimSuffix(text, "k"), 10, 64)
			return kib << 10
		}
	}
	return 0
}

// describe looks at what is mounted. A projected volume (secrets, tokens,
// ConfigMaps) is known by the link that kubelet renews it by.
func describe(mount *hold.Mount) {
	if info, err := os.Stat(mount.Path); err == nil {
		mount.File = !info.IsDir()
	}
	if info, err := os.Lstat(path.Join(mount.Path, "..data")); err == nil {
		mount.Projected = info.Mode()&os.ModeSymlink != 0
	}
}

// realPaths tells where each of paths leads through links; one that leads nowhere
// has no answer. Mounts have the kernel's paths: what a pod mounts at
// /var/run/secrets is at /run/secrets in most images.
func realPaths(paths []string) map[string]string {
	found := make(map[string]string, len(paths))
	for _, asked := range paths {
		if real, err := filepath.EvalSymlinks(path.Clean("/" + asked)); err == nil {
			found[asked] = real
		}
	}
	return found
}

// unescape reads what the kernel wrote as three octal digits: space, tab, newline, backslash.
func unescape(text string) string {
	var plain strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+3 < len(text) {
			if code, err := strconv.ParseUint(text[i+1:i+4], 8, 8); err == nil {
				plain.WriteByte(byte(code))
				i += 3
				continue
			}
		}
		plain.WriteByte(text[i])
	}
	return plain.String()
}
