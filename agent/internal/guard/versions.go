package guard

import (
	"slices"

	"devcluster/agent/internal/control"
)

// renewedFolders are the mounts that kubelet writes anew.
func renewedFolders() []string {
	mounts, err := control.Mounts()
	if err != nil {
		return nil
	}
	return control.Renewed(mounts)
}

func (g *Guard) setVersions(found []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !slices.Equal(found, g.versions) {
		g.versions = found
		g.tell()
	}
}

func (g *Guard) held() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.holder != nil
}
