package control

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"devcluster/agent/internal/hold"
)

func TestAVersionIsWhereKubeletsLinkLeads(t *testing.T) {
	renewed, plain := t.TempDir(), t.TempDir()
	data := filepath.Join(renewed, "..data")
	if err := os.Symlink("..2026_11_30_06_00_00.1", data); err != nil {
		t.Fatal(err)
	}
	folders := Renewed([]hold.Mount{{Path: plain}, {Path: renewed, Projected: true}})
	if !slices.Equal(folders, []string{renewed}) {
		t.Errorf("%q", folders)
	}
	if got := Versions(folders); !slices.Equal(got, []string{"..2026_11_30_06_00_00.1"}) {
		t.Errorf("%q", got)
	}
	if err := os.Remove(data); err != nil {
		t.Fatal(err)
	}
	if got := Versions(folders); got == nil || len(got) != 0 {
		t.Errorf("%q", got)
	}
}
