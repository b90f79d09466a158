package control

import (
	"os"
	"path"

	"devcluster/agent/internal/hold"
)

// Renewed are the folders that kubelet writes anew: ConfigMaps, Secrets, tokens,
// what is projected. It writes a whole set into a new folder and then renames a
// link onto ..data, so one look at that link tells whether anything has changed.
func Renewed(mounts []hold.Mount) []string {
	found := []string{}
	for _, mount := range mounts {
		if mount.Projected {
			found = append(found, mount.Path)
		}
	}
	return found
}

// Versions tells where the ..data of each of folders leads: kubelet gives no name
// twice.
func Versions(folders []string) []string {
	found := []string{}
	for _, folder := range folders {
		if version, err := os.Readlink(path.Join(folder, "..data")); err == nil {
			found = append(found, version)
		}
	}
	return found
}
