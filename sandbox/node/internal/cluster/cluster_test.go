package cluster

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"
)

func TestUpstreamsAPodCanReach(t *testing.T) {
	text := "# x\nnameserver 127.0.0.11\nnameserver 10.1.1.1\nsearch corp\nnameserver ::1\nnameserver 127.0.0.53\nnameserver fd00::1\n"
	if got, want := upstreams(text), []string{"10.1.1.1", "fd00::1"}; !slices.Equal(got, want) {
		t.Errorf("upstreams %q, want %q", got, want)
	}
}

func TestCoreDNSForwardsOnlyWhereItCan(t *testing.T) {
	for _, forward := range []bool{true, false} {
		parsed, err := template.ParseFS(addons, "addons/coredns-configmap.yaml")
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := parsed.Execute(&out, map[string]any{"Forward": forward}); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(out.String(), "forward . /etc/resolv.conf"); got != forward {
			t.Errorf("forward %v:\n%s", forward, out.String())
		}
	}
}

func TestEveryAddonIsAppliedOnce(t *testing.T) {
	var applied []string
	for _, object := range objects {
		applied = append(applied, object.file)
	}
	entries, err := addons.ReadDir("addons")
	if err != nil {
		t.Fatal(err)
	}
	var there []string
	for _, entry := range entries {
		there = append(there, entry.Name())
	}
	slices.Sort(applied)
	if !slices.Equal(applied, there) {
		t.Errorf("applied %q, there are %q", applied, there)
	}
}

func TestEveryNeedIsAUnit(t *testing.T) {
	names := map[string]bool{}
	units := New("x").Units()
	for _, unit := range units {
		names[unit.Name] = true
	}
	for _, unit := range units {
		for _, need := range unit.Needs {
			if !names[need] {
				t.Errorf("%s needs %s, which there is not", unit.Name, need)
			}
		}
	}
}

func TestCertifyCanBeRepeated(t *testing.T) {
	c := Cluster{Name: "x", Volume: t.TempDir(), Run: t.TempDir()}
	var authority []byte
	for range 2 {
		if err := c.Certify(); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(c.Volume, "pki", "ca.crt"))
		if err != nil {
			t.Fatal(err)
		}
		if authority != nil && !bytes.Equal(authority, text) {
			t.Error("the authority changed")
		}
		authority = text
	}
	text, err := c.Kubeconfig("https://127.0.0.1:26443", "sandbox-x")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"server: https://127.0.0.1:26443", "current-context: sandbox-x"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the kubeconfig lacks %q", want)
		}
	}
}
