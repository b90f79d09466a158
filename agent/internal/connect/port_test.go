package connect

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startPort serves a port whose only upgrade echoes.
func startPort(t *testing.T) string {
	t.Helper()
	ready := func() (bool, string) { return false, "the child is\nstarting" }
	live := func() (bool, string) { return true, "" }
	echo := func(_ context.Context, conn net.Conn, proved func()) {
		proved()
		_, _ = io.Copy(conn, conn)
	}
	p := &port{
		probe:    map[string]func() (bool, string){pathReady: ready, pathLive: live},
		upgrades: map[string]upgrade{"echo": echo},
		waiting:  &waiting{most: maxUnproved},
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.serve(ctx, listener) }()
	t.Cleanup(func() { cancel(); <-done })
	return listener.Addr().String()
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn
}

func TestRequests(t *testing.T) {
	address := startPort(t)
	tests := []struct {
		name, request, status, body string
	}{
		{"ready", "GET /.devcluster/ready HTTP/1.1\r\nHost: x\r\n\r\n", "503", "the child is starting\n"},
		{"live", "GET /.devcluster/live HTTP/1.1\r\nHost: x\r\n\r\n", "200", "ok\n"},
		{"post", "POST /.devcluster/live HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "405", "GET only\n"},
		{"elsewhere", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "404", "not found\n"},
		{"no upgrade", "GET /.devcluster/connect HTTP/1.1\r\nHost: x\r\n\r\n", "426", ""},
		{"another upgrade", "GET /.devcluster/connect HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "426", ""},
		{"garbage", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "400", ""},
		{"long line", "GET /" + strings.Repeat("a", 9000) + " HTTP/1.1\r\n\r\n", "431", ""},
		{"long header", "GET / HTTP/1.1\r\nX: " + strings.Repeat("a", 9000) + "\r\n\r\n", "431", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			conn := dial(t, address)
			go func() { _, _ = conn.Write([]byte(test.request)) }()
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(answer.Body)
			if !strings.HasPrefix(answer.Status, test.status) || (test.body != "" && string(body) != test.body) {
				t.Errorf("%s, %q", answer.Status, body)
			}
		})
	}
}

func TestUpgradeKeepsWhatCameWithTheRequest(t *testing.T) {
	conn := dial(t, startPort(t))
	fmt.Fprint(conn, "GET /.devcluster/connect HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: ECHO\r\n\r\nearly")
	reader := bufio.NewReader(conn)
	answer, err := http.ReadResponse(reader, nil)
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols || answer.Header.Get("Upgrade") != "echo" {
		t.Fatalf("%v, %v", answer, err)
	}
	fmt.Fprint(conn, "late")
	got := make([]byte, 9)
	if _, err := io.ReadFull(reader, got); err != nil || string(got) != "earlylate" {
		t.Fatalf("%q, %v", got, err)
	}
}

// endless is a header that never ends; it stands for one of a GiB, of which
// no more than 8 KiB may be taken.
type endless struct{}

func (endless) Read(b []byte) (int, error) {
	return copy(b, strings.Repeat("X: y\r\n", len(b)/6+1)), nil
}

func TestAHeaderWithoutEndIsCut(t *testing.T) {
	conn := dial(t, startPort(t))
	fmt.Fprint(conn, "GET / HTTP/1.1\r\n")
	n, err := io.CopyN(conn, endless{}, 1<<30)
	if err == nil {
		t.Fatal("a header of 1 GiB was taken")
	}
	t.Logf("refused after %d KiB (the kernel's buffers included)", n>>10)
}

func TestAThousandSilentConnectionsKeepNobodyOut(t *testing.T) {
	address := startPort(t)
	silent := make([]net.Conn, 1000)
	for i := range silent {
		silent[i] = dial(t, address)
	}
	begin := time.Now()
	conn := dial(t, address)
	fmt.Fprint(conn, "GET /.devcluster/live HTTP/1.1\r\nHost: x\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", answer, err)
	}
	t.Logf("answered in %v", time.Since(begin))
	if _, err := silent[0].Read(make([]byte, 1)); err == nil {
		t.Error("the oldest silent connection still stands")
	}
}

func TestANoisyAddressPushesOutItself(t *testing.T) {
	address := startPort(t)
	kubelet := dial(t, address)
	fmt.Fprint(kubelet, "GET /.devcluster/live HTTP/1.1\r\n") // accepted and not read to its end, as on a busy node
	noisy := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	var first net.Conn
	for range 1000 {
		conn, err := noisy.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if first == nil {
			first = conn
		}
	}
	_ = first.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := first.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("its oldest still stands: %v", err)
	}
	fmt.Fprint(kubelet, "Host: x\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(kubelet), nil)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", answer, err)
	}
}

func TestWhoIsTooSlowIsTold(t *testing.T) {
	if testing.Short() {
		t.Skip("waits 5 s")
	}
	conn := dial(t, startPort(t))
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nX:")
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || answer.StatusCode != http.StatusRequestTimeout {
		t.Fatalf("%v, %v", answer, err)
	}
}
