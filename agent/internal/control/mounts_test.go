package control

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"devcluster/agent/internal/hold"
)

func TestTheContainersOwnMounts(t *testing.T) {
	const text = `136 71 0:60 / / rw,relatime master:30 - overlay overlay rw,lowerdir=/a,upperdir=/b
137 136 0:62 / /proc rw,nosuid - proc proc rw
142 141 0:65 / /sys/fs/cgroup rw,nosuid - tmpfs tmpfs rw,mode=755
152 136 254:0 /kubelet/pods/4e/volumes/kubernetes.io~configmap/config /etc/conf\040d ro,relatime - ext4 /dev/vda rw,discard
153 136 254:0 /kubelet/pods/4e/etc-hosts /etc/hosts rw,relatime - ext4 /dev/vda rw
154 136 254:0 /kubelet/pods/4e/containers/web/21a4cb28 /tmp/last-words rw,relatime - ext4 /dev/vda rw
157 138 0:49 / /dev/shm rw,nosuid,nodev,noexec,relatime - tmpfs shm rw,size=65536k
158 136 0:48 / /var/run/secrets/kubernetes.io/serviceaccount ro,relatime - tmpfs tmpfs rw,size=24684092k,noswap
159 136 0:50 / /hidden rw - ext4 /dev/vdb rw
160 136 0:51 / /data rw shared:7 master:30 - nfs4 10.0.0.1:/x rw
161 136 0:52 / /hidden rw - tmpfs tmpfs rw,size=1024k
162 136 254:0 /kubelet/pods/4e/volumes/kubernetes.io~secret/devcluster-etc /.devcluster/etc ro - tmpfs tmpfs rw
163 136 254:0 / /devices rw - ext4 /dev/vda ro
`
	want := []hold.Mount{
		{Path: "/etc/conf d", Kind: "ext4", ReadOnly: true},
		{Path: "/var/run/secrets/kubernetes.io/serviceaccount", Kind: "tmpfs", ReadOnly: true, Size: 24684092 << 10},
		{Path: "/data", Kind: "nfs4"},
		{Path: "/hidden", Kind: "tmpfs", Size: 1 << 20},
		{Path: "/devices", Kind: "ext4", ReadOnly: true},
	}
	if got := ownMounts(text); !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}

func TestAPodsOwnSharedMemoryIsItsMount(t *testing.T) {
	const text = "157 138 0:49 / /dev/shm rw,relatime - tmpfs tmpfs rw,size=65536k\n"
	if got := ownMounts(text); len(got) != 1 || got[0].Path != "/dev/shm" {
		t.Errorf("%+v", got)
	}
}

func TestAPathThatLeadsThroughTheImagesLinks(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(root+"/run/secrets", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../run", root+"/var"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("run", root+"/short"); err != nil {
		t.Fatal(err)
	}
	got := realPaths([]string{root + "/short/secrets/", root + "/run", root + "/var/secrets"})
	real, err := filepath.EvalSymlinks(root)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{root + "/short/secrets/": real + "/run/secrets", root + "/run": real + "/run"}
	if !maps.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

func TestThisMachinesMountsAreRead(t *testing.T) {
	if _, err := Mounts(); err != nil {
		t.Error(err)
	}
}
