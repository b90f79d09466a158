package guard

import (
	"slices"
	"time"

	"devcluster/agent/internal/control"
)

// followVersions looks what kubelet wrote last, while somebody wants to know. A
// container's mounts stay what they are.
func (g *Guard) followVersions() {
	mounts, err := control.Mounts()
	if err != nil {
		return
	}
	folders := control.Renewed(mounts)
	for ; len(folders) > 0; time.Sleep(watch) {
		if g.held() {
			g.setVersions(control.Versions(folders))
		}
	}
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
