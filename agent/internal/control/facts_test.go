package control

import (
	"encoding/base64"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
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
	facts, err := Gather([]string{"/bin/sh", "-c", "\xff'$(X)'"}, nil)
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
	if known, err := strconv.ParseUint(facts.Rights.Capabilities, 16, 64); err != nil || known>>63 != 0 {
		t.Errorf("%q: %v", facts.Rights.Capabilities, err)
	}
}

func TestAPodOfIPv6AloneHasAnAddress(t *testing.T) {
	of := func(texts ...string) (found []net.Addr) {
		for _, text := range texts {
			ip, network, err := net.ParseCIDR(text)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, &net.IPNet{IP: ip, Mask: network.Mask})
		}
		return found
	}
	for _, c := range []struct {
		addresses []net.Addr
		want      string
	}{
		{of("127.0.0.1/8", "::1/128", "fe80::1/64", "fd00::9/64"), "fd00::9"},
		{of("::1/128", "fd00::9/64", "10.244.0.9/24"), "10.244.0.9"},
		{of("127.0.0.1/8", "fe80::1/64"), ""},
	} {
		if got, err := firstReachable(c.addresses); got != c.want || (err == nil) == (c.want == "") {
			t.Errorf("%v: %q, %v", c.addresses, got, err)
		}
	}
}
