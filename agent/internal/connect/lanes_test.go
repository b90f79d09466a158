package connect

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"devcluster/agent/internal/hold"
	"devcluster/agent/internal/lane"
)

// keeper knows one epoch; what these tests don't ask of a keeper it has not.
type keeper struct {
	hold.Keeper
	epoch   atomic.Int64
	changes chan struct{}
}

func (k *keeper) LaneUp(epoch int64) error {
	if now := k.epoch.Load(); epoch < now {
		return fmt.Errorf("epoch %d is over, %d holds", epoch, now)
	}
	return nil
}

func (k *keeper) LanesChanged() {
	select {
	case k.changes <- struct{}{}:
	default:
	}
}
func (k *keeper) Ready() (bool, string) { return true, "" }
func (k *keeper) Live() (bool, string)  { return true, "" }

type world struct {
	address string
	port    *Port
	keeper  *keeper
	laptop  ed25519.PrivateKey
	agent   ed25519.PublicKey
}

func newWorld(t *testing.T) world {
	t.Helper()
	agentPub, agent, _ := ed25519.GenerateKey(nil)
	laptopPub, laptop, _ := ed25519.GenerateKey(nil)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k := &keeper{changes: make(chan struct{}, 100)}
	k.epoch.Store(3)
	p := New(Config{Key: agent, Laptop: laptopPub})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Serve(ctx, listener, k) }()
	t.Cleanup(func() { cancel(); <-done })
	return world{listener.Addr().String(), p, k, laptop, agentPub}
}

// upgraded is a connection behind its 101.
func upgraded(t *testing.T, address, protocol string) net.Conn {
	t.Helper()
	conn := dial(t, address)
	fmt.Fprintf(conn, "GET /.devcluster/connect HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", protocol)
	reader := bufio.NewReader(conn)
	answer, err := http.ReadResponse(reader, nil)
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", answer, err)
	}
	_ = conn.SetDeadline(time.Time{})
	return &rest{Conn: conn, read: reader}
}

func (w world) lane(t *testing.T, epoch int64) (*lane.Session, error) {
	t.Helper()
	session, err := lane.Client(t.Context(), upgraded(t, w.address, "devcluster-lane"), w.laptop, w.agent)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close() })
	_, err = session.Open(t.Context(), lane.Header{Net: "hello", Epoch: epoch})
	return session, err
}

func (w world) standing(t *testing.T) *lane.Session {
	t.Helper()
	session, err := w.lane(t, 3)
	if err != nil {
		t.Fatal(err)
	}
	return session
}

func TestAnotherKeyGetsNoLane(t *testing.T) {
	w := newWorld(t)
	_, other, _ := ed25519.GenerateKey(nil)
	if _, err := lane.Client(t.Context(), upgraded(t, w.address, "devcluster-lane"), other, w.agent); err == nil {
		t.Fatal("a lane for another key")
	}
}

func TestALaneBelongsToAnEpoch(t *testing.T) {
	w := newWorld(t)
	session, err := w.lane(t, 2)
	if !errors.Is(err, syscall.ESTALE) {
		t.Fatalf("an old epoch: %v", err)
	}
	<-session.Done()
	session = w.standing(t)
	if n := w.port.Count(3); n != 1 {
		t.Errorf("%d lanes", n)
	}
	w.keeper.epoch.Store(4)
	w.port.Drop(4)
	if n := w.port.Count(3); n != 0 { // whoever asks next must not be led into it
		t.Errorf("%d lanes after the drop", n)
	}
	<-session.Done()
}

func TestALaneBeginsWithHello(t *testing.T) {
	w := newWorld(t)
	session, err := lane.Client(t.Context(), upgraded(t, w.address, "devcluster-lane"), w.laptop, w.agent)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := session.OpenTCP(t.Context(), lane.Header{To: w.address}); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("got %v", err)
	}
	<-session.Done()
}

func TestOutboundTCP(t *testing.T) {
	w := newWorld(t)
	session := w.standing(t)
	listener, _ := net.Listen("tcp", "127.0.0.1:0")
	defer listener.Close()
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			_, _ = io.Copy(conn, conn)
			_ = conn.Close()
		}
	}()
	stream, err := session.OpenTCP(t.Context(), lane.Header{To: listener.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(stream, "hello")
	_ = stream.CloseWrite()
	if got, err := io.ReadAll(stream); err != nil || string(got) != "hello" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestOutboundRefusals(t *testing.T) {
	session := newWorld(t).standing(t)
	closed, _ := net.Listen("tcp", "127.0.0.1:0")
	_ = closed.Close()
	tests := []struct {
		header lane.Header
		want   error
	}{
		{lane.Header{Net: "tcp", To: closed.Addr().String()}, syscall.ECONNREFUSED},
		{lane.Header{Net: "tcp", To: "no port"}, syscall.EINVAL},
		{lane.Header{Net: "raw", To: "127.0.0.1:1"}, syscall.EINVAL},
	}
	for _, test := range tests {
		if _, err := session.Open(t.Context(), test.header); !errors.Is(err, test.want) {
			t.Errorf("%+v: %v", test.header, err)
		}
	}
}

func TestInboundGoesToALaneOfItsEpoch(t *testing.T) {
	w := newWorld(t)
	if _, err := w.port.Open(t.Context(), 3, "10.0.0.1:1", "10.0.0.2:2"); !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("without a lane: %v", err)
	}
	session := w.standing(t)
	go func() {
		for _, refusal := range []error{nil, syscall.ECONNREFUSED} {
			header, stream, err := session.Accept(t.Context())
			if err != nil || header != (lane.Header{Net: "tcp", From: "10.0.0.1:1", To: "10.0.0.2:2"}) {
				t.Errorf("%+v, %v", header, err)
				return
			}
			_ = stream.Answer(refusal)
		}
	}()
	if _, err := w.port.Open(t.Context(), 3, "10.0.0.1:1", "10.0.0.2:2"); err != nil {
		t.Error(err)
	}
	if _, err := w.port.Open(t.Context(), 3, "10.0.0.1:1", "10.0.0.2:2"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v", err)
	}
	if _, err := w.port.Open(t.Context(), 2, "a", "b"); !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("another epoch's lane was taken: %v", err)
	}
}

func TestUDPKeepsDatagramsApart(t *testing.T) {
	session := newWorld(t).standing(t)
	server, _ := net.ListenPacket("udp", "127.0.0.1:0")
	defer server.Close()
	go func() {
		buffer := make([]byte, 64<<10)
		for {
			n, from, err := server.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = server.WriteTo(buffer[:n], from)
		}
	}()
	stream, err := session.Open(t.Context(), lane.Header{Net: "udp", To: server.LocalAddr().String()})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	for _, datagram := range []string{"one", "", strings.Repeat("x", 9000)} {
		(&framer{to: stream}).send([]byte(datagram))
		if got, err := readFrame(stream, nil); err != nil || string(got) != datagram {
			t.Errorf("%d bytes for %d, %v", len(got), len(datagram), err)
		}
	}
}

// heap is what lies there after a collection.
func heap() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

func TestSilentUDPStreamsCostLittle(t *testing.T) {
	session := newWorld(t).standing(t)
	server, _ := net.ListenPacket("udp", "127.0.0.1:0")
	defer server.Close()
	before := heap()
	const count = 300
	for range count {
		stream, err := session.Open(t.Context(), lane.Header{Net: "udp", To: server.LocalAddr().String()})
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
	}
	if each := (heap() - before) / count; each > 24<<10 { // both ends of the lane are here
		t.Errorf("%d bytes each", each)
	}
}
