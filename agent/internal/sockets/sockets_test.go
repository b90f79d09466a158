package sockets

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"testing"
)

func listening(t *testing.T, address string) netip.AddrPort {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return netip.MustParseAddrPort(listener.Addr().String())
}

func nobody() []int { return nil }

func TestOwnSocketsAreNobodysNeighbours(t *testing.T) {
	table := New()
	for range 2 { // known the second time
		for _, address := range []string{"127.0.0.1:0", "[::1]:0", ":0"} {
			here := listening(t, address)
			found, err := table.Look(nobody)
			if err != nil {
				t.Fatal(err)
			}
			if all := slices.Concat(found.Child, found.Neighbours, found.Unsure); slices.Contains(all, here) {
				t.Errorf("%s in %v", here, all)
			}
		}
	}
}

// TestMain is a program that listens until its input ends, too.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "listen" {
		listener, err := net.Listen("tcp", os.Args[2])
		if err != nil {
			panic(err)
		}
		_, _ = os.Stdout.WriteString(listener.Addr().String() + "\n")
		_, _ = os.Stdin.Read(make([]byte, 1))
		return
	}
	os.Exit(m.Run())
}

// other is a process that listens.
func other(t *testing.T, address string) (pid int, at netip.AddrPort) {
	t.Helper()
	process := exec.Command("/proc/self/exe", "listen", address)
	in, inErr := process.StdinPipe()
	out, outErr := process.StdoutPipe()
	if inErr != nil || outErr != nil {
		t.Fatal(inErr, outErr)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = process.Wait() })
	text := make([]byte, 64)
	n, err := out.Read(text)
	if err != nil {
		t.Fatal(err)
	}
	return process.Process.Pid, netip.MustParseAddrPort(string(text[:n-1]))
}

func TestASocketIsItsProcess(t *testing.T) {
	pid, child := other(t, "127.0.0.1:0")
	_, neighbour := other(t, "127.0.0.1:0")
	table := New()
	for range 2 {
		found, err := table.Look(func() []int { return []int{pid} })
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(found.Child, []netip.AddrPort{child}) || !slices.Contains(found.Neighbours, neighbour) {
			t.Errorf("%+v, and not %s and %s", found, child, neighbour)
		}
	}
}

func TestAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"0100007F:1F90":                         "127.0.0.1:8080",
		"00000000:0050":                         "0.0.0.0:80",
		"00000000000000000000000001000000:1538": "[::1]:5432",
		"0000000000000000FFFF00000100007F:1F90": "127.0.0.1:8080",
	} {
		if got, ok := parse(text); !ok || got.String() != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	if _, ok := parse("nonsense"); ok {
		t.Error("nonsense is taken for an address")
	}
}

func TestDatagramsAreTold(t *testing.T) {
	table := New()
	table.given = portRange{40_000, 65_535}
	for port, told := range map[int]bool{20_125: true, 40_125: false} {
		listener, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		if err != nil {
			t.Skip(err)
		}
		defer listener.Close()
		at := netip.MustParseAddrPort(listener.LocalAddr().String())
		listening, err := table.read()
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, place := range listening {
			found = found || place.udp && place.AddrPort == at
		}
		if found != told {
			t.Errorf("%s: %v", at, found)
		}
	}
}
