package cgroup

import (
	"os"
	"path/filepath"
	"testing"
)

func TestBothLayouts(t *testing.T) {
	for layout, files := range map[string][]string{
		"v1": {"cpu/cgroup.procs", "memory/cgroup.procs"},
		"v2": {"cgroup.controllers", "system.slice/cgroup.procs"},
	} {
		t.Run(layout, func(t *testing.T) {
			mount := t.TempDir()
			for _, file := range files {
				write(t, filepath.Join(mount, file))
			}
			if err := Prepare(mount, "one"); err != nil {
				t.Fatal(err)
			}
			made := groups(mount)
			if want := map[string]int{"v1": 2, "v2": 1}[layout]; len(made) != want {
				t.Fatalf("made %q", made)
			}
			for _, group := range made {
				if err := os.MkdirAll(filepath.Join(group, "kubepods", "pod"), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 { // the second time there is nothing
				if err := Sweep(mount, "one"); err != nil {
					t.Fatal(err)
				}
			}
			if left := groups(mount); len(left) > 0 {
				t.Errorf("left %q", left)
			}
		})
	}
}

// groups are the folders of the sandbox "one", in whatever hierarchy.
func groups(mount string) []string {
	var found []string
	_ = filepath.WalkDir(mount, func(path string, entry os.DirEntry, err error) error {
		if err == nil && "/"+entry.Name() == Root("one") {
			found = append(found, path)
		}
		return nil
	})
	return found
}

func TestVersion2PassesControllersDown(t *testing.T) {
	mount := t.TempDir()
	control := filepath.Join(mount, "cgroup.subtree_control")
	write(t, control)
	if err := os.WriteFile(filepath.Join(mount, "cgroup.controllers"), []byte("cpu io memory rdma\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Prepare(mount, "one"); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(control)
	if want := "+cpu\n+memory\n"; err != nil || string(got) != want {
		t.Errorf("asked for %q, want %q (%v)", got, want, err)
	}
}

func write(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
}
