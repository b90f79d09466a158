package control

import (
	"encoding/base64"
	"net"
	"os"
	"os/exec"
	"slices"
	"testing"
)

// TestGather runs itself with an environment that a shell can't set.
func TestGather(t *testing.T) {
	const inner = "GATHER_INSIDE"
	if os.Getenv(inner) == "" {
		again := exec.Command(os.Args[0], "-test.run=^TestGather$", "-test.v")
		again.Env = []string{inner + "=1", "A=line\nline = \"q\" $X ü", "EMPTY=", "without", "BAD=\xff"}
		if out, err := again.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	facts, err := Gather([]string{"/bin/sh", "-c", "\xff'$(X)'"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, entry := range facts.Environment {
		raw, _ := base64.StdEncoding.DecodeString(entry)
		got = append(got, string(raw))
	}
	if want := []string{inner + "=1", "A=line\nline = \"q\" $X ü", "EMPTY=", "without", "BAD=\xff"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if last, _ := base64.StdEncoding.DecodeString(facts.Command[2]); string(last) != "\xff'$(X)'" {
		t.Errorf("%q", last)
	}
	if facts.UID != os.Getuid() || facts.Groups == nil || net.ParseIP(facts.Address) == nil {
		t.Errorf("%d %v %q", facts.UID, facts.Groups, facts.Address)
	}
}
