package sockets

import (
	"maps"
	"net"
	"testing"
)

// What the kernel is asked for is what its table has, at a cost that does not grow with the machine.
func TestTheKernelTellsWhatItsTableHas(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", ":0"} {
		at := listening(t, address)
		if conn, err := net.Dial("tcp", at.String()); err == nil { // one that does not listen
			defer conn.Close()
		}
	}
	for try := 1; ; try++ { // others come and go meanwhile
		asked, read, again := map[string]place{}, map[string]place{}, map[string]place{}
		if err := ask(asked); err != nil {
			t.Skip(err)
		}
		for _, found := range []map[string]place{read, again} {
			if err := readTables("/proc/net/tcp", false, portRange{}, found); err != nil {
				t.Fatal(err)
			}
		}
		if len(asked) >= 3 && maps.Equal(asked, read) {
			return
		}
		if maps.Equal(read, again) && try > 9 {
			t.Fatalf("asked: %v, read: %v", asked, read)
		}
	}
}

func TestWhatTheKernelRefusesIsAnError(t *testing.T) {
	if err := endOf([]byte{0xfe, 0xff, 0xff, 0xff}); err == nil { // ENOENT: a kernel without tcp_diag
		t.Error("no error")
	}
	if err := endOf([]byte{0, 0, 0, 0}); err != nil {
		t.Error(err)
	}
}
